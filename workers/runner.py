"""Carries out batches of trials: pulls epochs from the trainer, asks the rules, collects reports and ends.

Runs in whatever process a backend chose. Pulling rather than being pushed means that stopping a trial is not asking
it for another epoch, and that its clean-up is its generator's own `finally`.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from workers.checkpoint import Checkpoint, Saved
from workers.columns import EndColumns, ReportColumns
from workers.console import Console
from workers.context import Context
from workers.messages import Batch, Metrics, Results, Status, Work, place_of
from workers.training import bind, load, reports_of, users_traceback

FLUSH_S = 0.25  #: reports wait no longer than this in a worker before they are sent
KEYS = ("stage", "trial", "epoch")  #: columns of the reports table that no metric can be called

Outcome = tuple[Status, str | None, str | None]  # status, reason, traceback


_UNSAVED = Saved()


class _Task(NamedTuple):
    """One trial of a batch. One is made for each, however short: a tuple costs least."""

    trial: int
    seed: int
    start: int
    epochs: int
    config: Mapping[str, Any]
    stages: Mapping[int, str]
    flush_s: float


class Stopped(Exception):
    """The driver asked this slot to stop; what it runs is given up without an end."""


class Runner:
    """Runs the trials of one slot, one at a time.

    Attributes:
        work: What all trials have in common.
    """

    def __init__(
        self,
        slot: int,
        work: Work,
        send: Callable[[Results], None],
        *,
        console: Console | None = None,
        began: Callable[[int], None] = lambda trial: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """Load the trainer and call `setup`, once for all trials.

        Args:
            slot: Number of the slot, for the messages.
            work: What all trials have in common.
            send: Takes results on their way to the driver.
            console: Collects what trials print; None leaves the standard streams alone.
            began: Told each trial as it begins, and -1 as it ends.
            stopping: Asked at each report whether to give up.

        Raises:
            TrainerError: The trainer or `setup` cannot be found or does not fit.
        """
        self.work = work
        self._slot = slot
        self._send = send
        self._console = console
        self._began = began
        self._stopping = stopping
        self._train = load(work.train)
        self._data = None if work.setup is None else load(work.setup)()
        # Names were checked by the driver before anything started; here only the way to call is needed.
        self._binding = bind(self._train, work.parameters, (), work.setup is not None)
        self._reports = ReportColumns()
        self._ends = EndColumns()
        self._batch, self._part = -1, 0
        self._sent_at = time.monotonic()
        self._home = os.getcwd()
        self._notes: dict[str, None] = {}
        self._told: set[str] = set()
        self._plain: set[str] = set()  # names of metrics that can be stored as they are

    def run(self, batch: Batch) -> None:
        """Run every trial of a batch and send what they report.

        Raises:
            Stopped: `stopping` said so; the trial that was running has no end.
        """
        self._batch, self._part = batch.id, 0
        flush_s = 0.0 if batch.eager else FLUSH_S
        names = self.work.parameters
        rows = zip(*batch.columns, strict=True) if names else iter([()] * len(batch.trials))
        numbers = (column.tolist() for column in (batch.trials, batch.seeds, batch.starts, batch.epochs))
        for trial, seed, start, epochs, row in zip(*numbers, rows, strict=True):
            config = {name: value for name, value in zip(names, row, strict=True) if value is not None}
            started, clock = time.time(), time.perf_counter()
            self._began(trial)
            if self._console is not None:
                self._console.begin(trial)
            status, reason, trace = self._trial(_Task(trial, seed, start, epochs, config, batch.stages, flush_s))
            self._began(-1)
            self._ends.add(trial, status, started, time.perf_counter() - clock, reason, trace)
            if self._due(flush_s):
                self.flush()
        if len(self._ends) or len(self._reports):
            self.flush()

    def flush(self) -> None:
        """Send what has gathered since the last time."""
        printed = [] if self._console is None else self._console.take()
        notes = tuple(self._notes)
        self._notes.clear()
        reports, self._reports = self._reports, ReportColumns()
        ends, self._ends = self._ends, EndColumns()
        self._send(Results(self._slot, self._batch, self._part, reports.arrays(), ends.arrays(), printed, notes))
        self._part += 1
        self._sent_at = time.monotonic()

    def _due(self, flush_s: float) -> bool:
        return time.monotonic() - self._sent_at >= flush_s

    def _trial(self, task: _Task) -> Outcome:
        """How one trial ended. Whatever the trainer raises costs this trial and no other."""
        try:
            # A trainer that draws from the global generators must not depend on which trials ran here before it.
            random.seed(task.seed)
            np.random.seed(task.seed)
            checkpoint = self._checkpoint(task)
            saved = _UNSAVED if checkpoint is None else checkpoint.restore()
            if saved.epoch >= task.epochs:  # its worker died between the last commit and the word of it
                return self._repeat(task, saved)
            answer = self._train(**self._arguments(task, checkpoint))
            reports = reports_of(answer)
            with contextlib.closing(answer) if hasattr(answer, "close") else contextlib.nullcontext():
                return self._pull(task, reports, saved, checkpoint)
        except (Stopped, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a trainer raises
            return Status.FAILED, _one_line(error), _clean(users_traceback(error)[-20_000:])
        finally:
            with contextlib.suppress(OSError):
                os.chdir(self._home)  # the next trial, and whoever is in this process with it, are where they were

    def _checkpoint(self, task: _Task) -> Checkpoint | None:
        """The place of the trial's checkpoint, if the trainer takes one."""
        if not self._binding.checkpoint or self.work.checkpoints is None:
            return None
        return Checkpoint(pathlib.Path(self.work.checkpoints), task.trial)

    def _repeat(self, task: _Task, saved: Saved) -> Outcome:
        """Report what a checkpoint carries and the driver has not stored."""
        for epoch, metrics in enumerate(saved.reports[: task.epochs], 1):
            if epoch > task.start:
                self._reports.add(task.trial, epoch, metrics)
        return Status.COMPLETED, None, None

    def _pull(self, task: _Task, reports: Iterator[Any], saved: Saved, checkpoint: Checkpoint | None) -> Outcome:
        """Ask for one epoch after the other until the budget is used, a rule stops it, or the trainer ends."""
        rules, timeout_s = self.work.rules, self.work.timeout_s
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        start, epochs, flush_s = task.start, task.epochs, task.flush_s
        if saved.epoch:
            self._repeat(task, saved)
            if self._due(flush_s):  # before the trainer gets another chance to take its process along
                self.flush()
        history = list(saved.reports)
        for epoch, item in enumerate(reports, saved.epoch + 1):
            metrics = self._metrics(item)
            history.append(metrics)
            if epoch > start:  # trained again up to there, where the trainer has no checkpoint
                self._reports.add(task.trial, epoch, metrics)
            for rule in rules:
                reason = rule.judge(history)
                if reason is not None:
                    return Status.STOPPED, reason, None
            if checkpoint is not None:
                self._commit(checkpoint, epoch, history)
            if epoch >= epochs:
                return Status.COMPLETED, None, None
            if deadline is not None and time.monotonic() > deadline:
                return Status.TIMEOUT, f"ran longer than {timeout_s:g} s", None
            if self._stopping():
                raise Stopped
            if self._due(flush_s):
                self.flush()
        if not history:
            return Status.FAILED, "the trainer reported nothing: it must yield or return metrics", None
        return Status.COMPLETED, None, None

    def _commit(self, checkpoint: Checkpoint, epoch: int, history: list[Metrics]) -> None:
        """Keep what the trainer has written; a trial whose checkpoint cannot be kept goes on without."""
        try:
            checkpoint.commit(epoch, history)
        except OSError as error:
            self._note(f"a checkpoint was not kept: {error.strerror or _one_line(error)}")

    def _arguments(self, task: _Task, checkpoint: Checkpoint | None) -> dict[str, Any]:
        """The keyword arguments of one trial's call."""
        how = self._binding
        arguments: dict[str, Any] = {"config": task.config} if how.as_dict else dict(task.config)
        if how.epochs:
            arguments["epochs"] = task.epochs
        if how.seed:
            arguments["seed"] = task.seed
        if how.data:
            arguments["data"] = self._data
        if checkpoint is not None:
            arguments["checkpoint"] = checkpoint.work
        if how.context:
            arguments["context"] = self._context(task)
        return arguments

    def _context(self, task: _Task) -> Context:
        """What the trainer may know of its trial."""
        stage, index = place_of(task.trial)
        name = task.stages.get(stage, str(stage))
        return Context(self.work.sweep, name, index, task.seed, task.start, task.epochs)

    def _metrics(self, item: Any) -> Metrics:
        """A report as a fresh dict of floats.

        Raises:
            TypeError: It is neither a dict nor a number.
        """
        if type(item) is not dict:
            if isinstance(item, Mapping):
                item = dict(item)
            elif (value := _number(item)) is not None:
                return {self.work.metric: value}
            else:
                raise TypeError(f"the trainer reported {type(item).__name__}, not a dict of metrics or a number")
        for name, value in item.items():
            if type(value) is not float or type(name) is not str or name not in self._plain:
                return self._coerced(item)
        return dict(item)

    def _coerced(self, item: Mapping[Any, Any]) -> Metrics:
        """A report with every value as a float, or None where it is no number, which is noted once."""
        metrics: dict[str, float | None] = {}
        for key, value in item.items():
            name = str.__str__(key) if isinstance(key, str) else str(key)  # the text of a string enumeration's member
            if name in KEYS:
                if name != "epoch":
                    self._note(f"metric {name!r} has the name of a table column and is left out")
                continue
            if type(key) is str and name.isprintable():
                self._plain.add(name)
            if not name.isprintable():  # it would be the name of a column, in tables and on terminals
                name = name.encode("unicode_escape").decode()
            metrics[name] = _number(value)
            if metrics[name] is None and value is not None:
                self._note(f"metric {name!r} is no number ({type(value).__name__}) and is stored as null")
        return metrics

    def _note(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._notes[text] = None


def _number(value: Any) -> float | None:
    """A value as a float: Python, numpy and torch scalars; None for what is no number."""
    if isinstance(value, str | bytes | bytearray):
        return None
    try:
        try:
            return float(value)
        except OverflowError:  # an int past 1e308
            return float("inf") if value > 0 else float("-inf")
    except Exception:  # noqa: BLE001 - any object may be reported, and its methods may raise anything
        return None


def _one_line(error: BaseException) -> str:
    """`ValueError: text`, whatever the exception's own `__str__` does."""
    try:
        words = str(error).split()
    except Exception:  # noqa: BLE001 - it is the user's own method
        words = ["<its __str__ failed>"]
    return _clean(" ".join([type(error).__name__ + ":" * bool(words), *words]))[:500]


def _clean(text: str) -> str:
    """A text that UTF-8 can carry: file names that are not text come with lone surrogates."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
