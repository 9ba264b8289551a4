"""What is known of a stage while it runs: counts, the best so far, the newest trouble, hints. Decides nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from sweeps.objective import Objective
from sweeps.regions import Observed, Region, hints
from sweeps.secret import hidden
from sweeps.snapshot import Best, Snapshot
from sweeps.space import Columns, Flags, config_at
from workers.messages import Ends, Reports, Status

_WINDOW_S = 10.0  #: the rate is that of the last seconds
_FIRST_HINT = 20  #: trials before a hint is worth anything
_MOST_LOOKED_AT = 20_000  #: trials: evenly chosen ones tell a person as much as all of a million
_HINT_GROWTH = 1.2  #: a new look when there are so many times more: the work stays in proportion


class Monitor:
    """One stage, as far as it is known.

    Attributes:
        best: The best trial so far, over all stages.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        objective: Objective,
        region: Region,
        columns: Columns,
        done: Mapping[str, int],
    ) -> None:
        """Begin to watch a stage.

        Args:
            snapshot: What does not change while the stage runs, and the best of earlier stages.
            objective: What is optimised.
            region: Where the stage draws.
            columns: Configs of all trials of the stage.
            done: Trials that were stored before, by status.
        """
        self.best = snapshot.best
        self._base = snapshot
        self._objective = objective
        self._region = region
        self._columns = columns
        self._counts = dict(done)
        self._scores = np.full(snapshot.total, np.inf)
        self._status = np.full(snapshot.total, -1, np.int64)
        self._newest: str | None = None
        self._hint: str | None = None
        self._next_hint = _FIRST_HINT
        self._ended: deque[tuple[float, int]] = deque()

    def report(self, reports: Reports) -> None:
        """Take in reports."""
        values = reports.metrics.get(self._objective.metric)
        if values is None or not len(values):
            return
        scores = self._objective.scores(values)
        np.minimum.at(self._scores, reports.trial, scores)
        row = int(np.argmin(scores))
        trial = int(reports.trial[row])
        if self._objective.better(float(values[row]), None if self.best is None else self.best.value):
            self.best = Best(float(values[row]), self._base.stage, trial, config_at(self._columns, trial), ())

    def extend_curve(self, curve: tuple[float, ...]) -> None:
        """The best trial's curve has become longer."""
        if self.best is not None:
            self.best = Best(self.best.value, self.best.stage, self.best.trial, self.best.config, curve)

    def end(self, ends: Ends, final: Flags, now_s: float, again: int = 0) -> None:
        """Take in ends of trials.

        Args:
            ends: The ends.
            final: (n,) false for attempts that are made again.
            now_s: Seconds since the driver started.
            again: How many of the final ones had completed before, and went on.
        """
        if again:
            self._counts[Status.COMPLETED.word] -= again
        for status, count in zip(*np.unique(ends.status[final], return_counts=True), strict=True):
            word = Status(int(status)).word
            self._counts[word] = self._counts.get(word, 0) + int(count)
        self._status[ends.trial[final]] = ends.status[final]
        self._ended.append((now_s, int(final.sum())))
        if ends.reasons:
            trial, reason = next(reversed(ends.reasons.items()))
            self._newest = f"{self._base.stage} {trial} {self._verb(ends, trial)}: {hidden(reason)}"

    def look_for_hints(self) -> None:
        """Look at the edges again when enough has come in since the last look."""
        ended = np.flatnonzero(self._status >= 0)
        if len(ended) < self._next_hint:
            return
        self._next_hint = int(len(ended) * _HINT_GROWTH) + 1
        ended = ended[:: -(-len(ended) // _MOST_LOOKED_AT)]
        columns = {name: [column[i] for i in ended.tolist()] for name, column in self._columns.items()}
        scores = self._scores[ended]
        if np.isfinite(scores).any():
            found = hints(self._region, Observed(columns, scores, self._status[ended] == Status.STOPPED))
            self._hint = found[0] if found else None

    def snapshot(self, now_s: float, running: int, slots: int) -> Snapshot:
        """How the stage stands.

        Args:
            now_s: Seconds since the driver started.
            running: Trials that are running or on their way.
            slots: Slots that are up.
        """
        base = self._base
        while self._ended and self._ended[0][0] < now_s - _WINDOW_S:
            self._ended.popleft()
        window = min(_WINDOW_S, max(now_s - base.elapsed_s, 1e-3))
        rate = sum(count for _, count in self._ended) / window
        left = base.total - sum(self._counts.values())
        return Snapshot(
            run=base.run,
            metric=base.metric,
            mode=base.mode,
            stage=base.stage,
            number=base.number,
            stages=base.stages,
            epochs=base.epochs,
            total=base.total,
            counts=dict(self._counts),
            running=running,
            slots=slots,
            rate=rate,
            elapsed_s=now_s,
            eta_s=left / rate if rate > 0 else None,
            best=self.best,
            newest=self._newest,
            hint=self._hint,
        )

    @staticmethod
    def _verb(ends: Ends, trial: int) -> str:
        """How a trial ended, in a word."""
        return Status(int(ends.status[ends.trial == trial][0])).word
