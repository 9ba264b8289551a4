"""A bench to try a trainer on: one worker process that runs one trial after the other and tells what each came to.

The process is a slot of the local backend, so that a trainer that crashes or hangs costs its own trial here as well.
"""

from __future__ import annotations

import inspect
import pathlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import numpy as np

from workers.backend import BackendError
from workers.messages import Batch, Lost, Metrics, Ready, Reports, Results, Status, Work
from workers.processes import Processes

DESCRIBE = "workers.preflight:describe"
_TICK_S = 0.5


@dataclass(frozen=True, slots=True)
class Tried:
    """What one run of the trainer came to.

    Attributes:
        status: How it ended; TIMEOUT when it was given up.
        reports: What it reported, epoch by epoch.
        seconds: How long it took, by the worker's clock; by ours where it did not come to its own end.
        peak_bytes: The most memory that the process has held; None where nobody can tell (elsewhere than on Linux).
        error: Why it did not complete, in one line.
        traceback: The user's own traceback, if there is one.
    """

    status: Status
    reports: tuple[Metrics, ...]
    seconds: float
    peak_bytes: int | None = None
    error: str | None = None
    traceback: str | None = None


class Bench:
    """A worker process with the trainer and its data loaded; to be used in a `with`.

    Attributes:
        loading_s: Seconds that it took to start the process, import the trainer and call `setup`.
    """

    def __init__(self, work: Work, limit_s: float) -> None:
        """Start the process.

        Args:
            work: What all trials have in common.
            limit_s: Seconds that loading may take, and afterwards any one trial.

        Raises:
            BackendError: The trainer or its data cannot be loaded; the text says why.
        """
        self._names = work.parameters
        self._limit_s = limit_s
        self._batch = 0
        self._pid = -1
        began = time.monotonic()
        self._checkpoints = tempfile.TemporaryDirectory(prefix="sweeps-check-", ignore_cleanup_errors=True)
        self._processes = Processes(replace(work, checkpoints=self._checkpoints.name), 1)
        try:
            self._until_ready()
        except BaseException:
            self._close()
            raise
        self.loading_s = time.monotonic() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def run(
        self,
        config: Mapping[str, Any],
        seed: int,
        epochs: int,
        enough: Callable[[Sequence[Metrics]], bool] = lambda reports: False,
    ) -> Tried:
        """What a trial with this config comes to.

        Args:
            config: Values of the work's parameters; the trainer's default holds for those that are left out.
            seed: Its seed.
            epochs: Its budget.
            enough: Asked after each report whether the trial has shown what there is to see.

        Raises:
            BackendError: The trial took its process along, and no other one could be started.
        """
        self._batch += 1
        trial = self._batch  # another one each time: none finds the checkpoint of the one before
        columns = tuple([config.get(name)] for name in self._names)
        trials, seeds, starts, ends = (np.array([number], np.int64) for number in (trial, seed, 0, epochs))
        self._processes.submit(0, Batch(self._batch, trials, seeds, starts, ends, columns, eager=True))
        began = time.monotonic()
        reports: list[Metrics] = []

        def tried(status: Status, error: str | None, trace: str | None, peak: int | None = None) -> Tried:
            return Tried(status, tuple(reports), time.monotonic() - began, peak, error, trace)

        while True:
            for event in self._processes.wait(_TICK_S):
                if isinstance(event, Lost):
                    self._until_ready()
                    return tried(event.status, event.reason, event.traceback)
                if isinstance(event, Results) and event.batch == self._batch:
                    reports += _rows(event.reports)
                    for status, seconds in zip(event.ends.status.tolist(), event.ends.seconds.tolist(), strict=True):
                        reason, trace = event.ends.reasons.get(trial), event.ends.tracebacks.get(trial)
                        return replace(tried(Status(status), reason, trace, self._peak()), seconds=seconds)
            if enough(reports):
                peak = self._peak()
                self._stop()
                return tried(Status.COMPLETED, None, None, peak)
            if time.monotonic() - began > self._limit_s:
                trace = self._stop().traceback
                error = f"given up after {self._limit_s:g} s and {len(reports)} of {epochs} epochs"
                return tried(Status.TIMEOUT, error, trace)

    def _close(self) -> None:
        """Leave no process and no file behind."""
        self._processes.close()
        self._checkpoints.cleanup()

    def _stop(self) -> Lost:
        """The last word of the process that ran, when another one has taken its place."""
        self._processes.kill(0)
        while True:
            for event in self._processes.wait(_TICK_S):
                if isinstance(event, Lost):
                    self._until_ready()
                    return event

    def _until_ready(self) -> None:
        """Wait for the process to have loaded everything."""
        deadline = time.monotonic() + self._limit_s
        while time.monotonic() < deadline:
            for event in self._processes.wait(_TICK_S):
                if isinstance(event, Ready):
                    self._pid = event.pid
                    return
        raise BackendError(f"the trainer and its data were not loaded within {self._limit_s:g} s")

    def _peak(self) -> int | None:
        """The most memory that the process has held at any time, in bytes."""
        try:
            lines = pathlib.Path(f"/proc/{self._pid}/status").read_text("ascii", "replace").splitlines()
        except OSError:
            return None
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def describe(*, data: Any) -> dict[str, float | None]:
    """A trainer that trains nothing: reports the number of `classes` that `data` knows, None if it knows none."""
    classes = getattr(data, "classes", None)
    return {"classes": classes if classes is None or isinstance(classes, int) else len(classes)}


def defaults(train: Callable[..., Any]) -> dict[str, Any]:
    """The parameters of a trainer that can be left out, with their defaults."""
    named = inspect.signature(train).parameters.values()
    return {p.name: p.default for p in named if p.default is not p.empty and p.kind is not p.POSITIONAL_ONLY}


def _rows(reports: Reports) -> list[Metrics]:
    """Reports as one dict an epoch."""
    return [
        {
            name: None if name in reports.missing and reports.missing[name][i] else float(column[i])
            for name, column in reports.metrics.items()
        }
        for i in range(len(reports.epoch))
    ]
