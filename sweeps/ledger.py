"""What came back and is not stored yet: rows gather here between two flushes, as columns.

Reports of a trial are stored together with its end, so a trial that is tried again leaves nothing behind. A ledger is
that of one stage, and knows its trials by their index.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sweeps.arrow import column
from sweeps.layout import CONTINUED
from sweeps.objective import Objective, best_rows
from sweeps.reports import in_order, joined, objective_values, table_columns, where
from sweeps.secret import hidden
from sweeps.space import Columns, Floats
from sweeps.tables import masked
from workers.messages import Ends, Flags, Ints, Reports, Status, identity


@dataclass(frozen=True, slots=True)
class Place:
    """Where an attempt ran.

    Attributes:
        slot: Number of the slot.
        host: Name of the machine.
        pid: Process id of the worker.
    """

    slot: int
    host: str
    pid: int


Rows = dict[str, tuple[Mapping[str, Any], int]]  #: columns and row count, by table


def _none_stored(trials: Ints) -> Mapping[int, Mapping[str, Any]]:
    """Nothing: no trial was stored before."""
    return {}


class Ledger:
    """The rows of one stage between two flushes.

    Attributes:
        finished: Trials that have ended since the last flush.
        attempts: Attempts that have ended since the last flush.
        rows: Reports that are held.
    """

    def __init__(self, objective: Objective) -> None:
        """An empty ledger.

        Args:
            objective: Decides each trial's best epoch.
        """
        self._objective = objective
        self._reports: list[Reports] = []
        self._ended: list[tuple[Ints, Ints]] = []
        self._reasons: dict[int, str] = {}
        self._attempts: list[dict[str, Any]] = []
        self._reopened: dict[int, int] = {}  # the last epoch before it, of trials whose training goes on already
        self.finished = 0
        self.attempts = 0
        self.rows = 0

    def report(self, reports: Reports) -> None:
        """Take in reports."""
        if len(reports.trial):
            self._reports.append(reports)
            self.rows += len(reports.trial)

    def end(self, ends: Ends, final: Flags, attempts: Ints, place: Place) -> None:
        """Take in ends of attempts; those that are not final leave their attempt, and their reports are dropped.

        Args:
            ends: The ends.
            final: (n,) whether the trial ended with the attempt.
            attempts: (n,) number of each attempt.
            place: Where they ran.
        """
        self._attempts.append(_attempt_rows(ends, attempts, place))
        self.attempts += len(attempts)
        if final.all():
            self._ended.append((ends.trial, ends.status))
            self.finished += len(ends.trial)
        else:
            self._ended.append((ends.trial[final], ends.status[final]))
            self.finished += int(final.sum())
            self.drop(ends.trial[~final])
        if self._reopened:  # after that: what is tried again has no end yet
            for trial in ends.trial[final].tolist():
                self._reopened.pop(trial, None)
        self._reasons |= {t: hidden(ends.reasons[t]) for t in ends.trial[final].tolist() if t in ends.reasons}

    def reopen(self, trial: int) -> None:
        """What a trial reports from here on belongs to its continuation, which has no end yet."""
        last = [int(block.epoch[block.trial == trial].max(initial=0)) for block in self._reports]
        self._reopened[trial] = max(last, default=0)

    def drop(self, trials: Ints) -> None:
        """Forget the reports of trials that are tried again."""
        self._reports = [where(block, ~(np.isin(block.trial, trials) & self._open(block))) for block in self._reports]
        self.rows = sum(len(block.trial) for block in self._reports)

    def curve(self, trial: int, after: int = 0) -> Floats:
        """The objective by epoch of a trial, as far as it is not stored yet, past an epoch."""
        parts = [
            objective_values(block, self._objective)[(block.trial == trial) & (block.epoch > after)]
            for block in self._reports
        ]
        return np.concatenate([np.empty(0), *parts])

    def take(
        self, columns: Columns, seeds: Ints, stored: Callable[[Ints], Mapping[int, Mapping[str, Any]]] = _none_stored
    ) -> tuple[Rows, list[str]]:
        """The rows to store, by table, and the names of the metrics in them; what goes on stays.

        Args:
            columns: Values of each parameter for all trials of the stage.
            seeds: Seeds of all trials of the stage.
            stored: Gives the rows of those of some trials that are stored already: their training went on.
        """
        trials = np.concatenate([np.empty(0, np.int64), *(t for t, _ in self._ended)])
        status = np.concatenate([np.empty(0, np.int64), *(s for _, s in self._ended)])
        order = np.argsort(trials, kind="stable")
        trials, status = trials[order], status[order]
        newest = np.append(trials[1:] != trials[:-1], np.ones(len(trials[:1]), np.bool_))
        trials, status = trials[newest], status[newest]
        everything = joined(self._reports)
        belongs = np.isin(everything.trial, trials)
        if self._reopened:
            again = np.isin(everything.trial, list(self._reopened))
            belongs &= ~(again & self._open(everything))
        stays = where(everything, ~belongs)
        reports = in_order(where(everything, belongs))
        attempts = self._attempts
        rows: Rows = {
            "reports": (table_columns(reports), len(reports.trial)),
            "attempts": (
                {name: list(itertools.chain.from_iterable(block[name] for block in attempts)) for name in _ATTEMPT},
                sum(len(block["trial"]) for block in attempts),
            ),
        }
        ended = self._trial_columns(trials, status, reports, columns, seeds)
        before = stored(trials)
        if before:
            again = np.isin(trials, list(before))
            rows[CONTINUED] = (self._continued(_rows_of(ended, again), before), len(before))
            ended = {name: _some(values, ~again) for name, values in ended.items()}
        rows["trials"] = (ended, len(trials) - len(before))
        self._reports = [stays] if len(stays.trial) else []
        self._ended, self._attempts, self._reasons = [], [], {}
        self.finished, self.attempts, self.rows = 0, 0, len(stays.trial)
        return rows, sorted(reports.metrics)

    def scored(self, number: int, rows: Rows) -> list[tuple[int, float]]:
        """The identities of the trials in taken rows with their scores; infinite for those that cannot go on.

        Args:
            number: Number of the stage.
            rows: What `take` gave.
        """
        scored = []
        for columns, count in (rows[table] for table in ("trials", CONTINUED) if table in rows):
            values = columns.get(self._objective.metric, [None] * count)
            found = [np.nan if value is None else value for value in _listed(values)]
            scores = self._objective.scores(np.array(found, np.float64)).tolist()
            for trial, status, score in zip(_listed(columns["trial"]), columns["status"], scores, strict=True):
                over = status != Status.COMPLETED.word
                scored.append((identity(number, trial), np.inf if over else score))
        return scored

    def _open(self, reports: Reports) -> Flags:
        """(n,) true for reports that belong to no end yet, where their trials are the ones that were reopened."""
        if not self._reopened:
            return np.ones(len(reports.trial), np.bool_)
        limits = np.array([self._reopened.get(trial, 0) for trial in reports.trial.tolist()], np.int64)
        return reports.epoch > limits

    def _continued(
        self, rows: Sequence[Mapping[str, Any]], before: Mapping[int, Mapping[str, Any]]
    ) -> dict[str, list[Any]]:
        """Rows of trials whose training went on: the best of all their epochs."""
        merged = []
        for row in rows:
            was = before[row["trial"]]
            value, than = (each.get(self._objective.metric) for each in (row, was))
            best = row if value is not None and self._objective.better(value, than) else was
            kept = {name: row[name] for name in ("trial", "status", "reason", "seed")}
            merged.append({**best, **kept, "epochs": was["epochs"] + row["epochs"]})
        names = dict.fromkeys(name for row in merged for name in row if name != "stage")
        return {name: [row.get(name) for row in merged] for name in names}

    def _trial_columns(
        self, trials: Ints, status: Ints, reports: Reports, columns: Columns, seeds: Ints
    ) -> dict[str, Any]:
        """One row per ended trial: its config, and its metrics at its best epoch."""
        scores = self._objective.scores(objective_values(reports, self._objective))
        best = best_rows(reports.trial, scores)
        at = np.searchsorted(trials, reports.trial[best])
        has_best = np.zeros(len(trials), np.bool_)
        has_best[at] = True
        rows = np.zeros(len(trials), np.int64)
        rows[at] = best
        words = [each.word for each in Status]
        picked: dict[str, Any] = {}
        for name, metric in reports.metrics.items():
            missing = ~has_best
            if name in reports.missing:
                missing = missing | (reports.missing[name][rows] if len(reports.trial) else True)
            picked[name] = masked(metric[rows] if len(metric) else np.zeros(len(trials)), missing)
        chosen = trials.tolist()
        picked |= {name: [values[i] for i in chosen] for name, values in columns.items()}
        epochs = np.searchsorted(reports.trial, trials, "right") - np.searchsorted(reports.trial, trials, "left")
        return picked | {
            "trial": trials,
            "status": [words[s] for s in status.tolist()],
            "reason": [self._reasons.get(trial) for trial in chosen],
            "epochs": epochs,
            "best_epoch": masked(reports.epoch[rows] if len(reports.epoch) else rows, ~has_best),
            "seed": seeds[trials],
        }


def _some(values: Any, rows: Flags) -> Any:
    """Some values of a column, whatever holds it."""
    if isinstance(values, list):
        return [value for value, chosen in zip(values, rows.tolist(), strict=True) if chosen]
    return values[rows] if isinstance(values, np.ndarray) else values.filter(column(rows, pa.bool_()))


def _listed(values: Any) -> list[Any]:
    """The values of a column, as Python has them."""
    return values if isinstance(values, list) else values.tolist()


def _rows_of(columns: Mapping[str, Any], rows: Flags) -> list[dict[str, Any]]:
    """Some rows of columns, as Python has them."""
    picked = {name: _some(values, rows) for name, values in columns.items()}
    lists = {name: _listed(values) for name, values in picked.items()}
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


_ATTEMPT = ("trial", "attempt", "outcome", "started", "seconds", "host", "slot", "pid", "error", "traceback")


def _attempt_rows(ends: Ends, attempts: Ints, place: Place) -> dict[str, list[Any]]:
    """Ends as rows of the `attempts` table."""
    count, trials = len(ends.trial), ends.trial.tolist()
    errors = {trial: hidden(text) for trial, text in ends.reasons.items()}
    traces = {trial: hidden(text) for trial, text in ends.tracebacks.items()}
    words = [each.word for each in Status]
    # A loss whose moment nobody knows has no start.
    started = [None if s != s else int(s * 1e6) for s in ends.started.tolist()]
    return {
        "trial": trials,
        "attempt": attempts.tolist(),
        "outcome": [words[s] for s in ends.status.tolist()],
        "started": started,
        "seconds": [None if s != s else s for s in ends.seconds.tolist()],
        "host": [place.host] * count,
        "slot": [place.slot] * count,
        "pid": [place.pid] * count,
        "error": [errors.get(trial) for trial in trials],
        "traceback": [traces.get(trial) for trial in trials],
    }
