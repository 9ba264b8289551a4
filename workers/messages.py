"""What crosses the boundary between the driver and a slot: frozen, picklable, columnar.

A trial may last a millisecond, so nothing here is one object per report: a batch of trials goes out as columns
and its reports come back as columns. Imported by everything that runs or schedules trials; imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Metrics = Mapping[str, float | None]

_INDEX_BITS = 32


def identities(stage: int, indices: Ints) -> Ints:
    """(n,) trials of one stage as whole numbers: a trial's identity, (stage, index), in one."""
    return indices | np.int64(stage << _INDEX_BITS)


def identity(stage: int, index: int) -> int:
    """A trial's identity, (stage, index), as one whole number."""
    return stage << _INDEX_BITS | index


def place_of(trial: int) -> tuple[int, int]:
    """(stage, index) of a trial; (-1, -1) of -1, which is none."""
    return trial >> _INDEX_BITS, trial & ((1 << _INDEX_BITS) - 1) if trial >= 0 else -1


def stages_of(trials: Ints) -> Ints:
    """(n,) the number of the stage that each trial was born in."""
    return trials >> _INDEX_BITS


def indices_of(trials: Ints) -> Ints:
    """(n,) the index of each trial in its stage."""
    return trials & ((1 << _INDEX_BITS) - 1)


class Status(IntEnum):
    """How a trial ended; the numbers travel and are stored by name in the `status` column."""

    COMPLETED = 0  #: it used its budget, or its trainer came to its own end
    STOPPED = 1  #: a rule stopped it: a result, not a failure
    FAILED = 2  #: the trainer raised, or reported something that is no report
    TIMEOUT = 3  #: it ran longer than a trial may
    LOST = 4  #: its worker died under it

    @property
    def word(self) -> str:
        """The status as the tables spell it."""
        return self.name.lower()


FAILURES = (Status.FAILED.word, Status.TIMEOUT.word, Status.LOST.word)  #: a stopped trial is a result


class Rule(Protocol):
    """A pure function from a trial's reports to go on (None) or stop (the reason)."""

    def judge(self, reports: Sequence[Metrics]) -> str | None:
        """The reason to stop after the newest of `reports`, or None to go on."""


@dataclass(frozen=True, slots=True)
class Function:
    """Where a worker finds one of the user's functions.

    Attributes:
        source: `/abs/path/file.py:name`, `package.module:name`, or words for a person when there is a payload.
        payload: The function pickled by value (notebooks, `__main__` scripts); None when it can be imported.
    """

    source: str
    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What all trials of a run have in common; sent to a slot once, before its first batch.

    Attributes:
        train: The trainer.
        setup: Called once per worker process; its result is injected as `data`. None if there is none.
        metric: The objective's name; a trainer that reports a bare number reports this metric.
        parameters: Names of the space's parameters, in the order of a batch's columns.
        rules: Asked after each report, in this order.
        timeout_s: Wall-clock seconds that a trial may last; None for no limit.
        threads: BLAS / OpenMP threads of the worker.
        gpus: How many GPUs a slot has; may be a part of one.
        sweep: Name of the run.
        checkpoints: The folder for the trials' checkpoints; None where there is no place for any.
    """

    train: Function
    setup: Function | None
    metric: str
    parameters: tuple[str, ...]
    rules: tuple[Rule, ...]
    timeout_s: float | None
    threads: int
    gpus: float = 0.0
    sweep: str = ""
    checkpoints: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Trials that travel to a slot together and run there one after the other.

    Attributes:
        id: Number of the batch, unique in a driver's life: what comes back under another number is refused.
        trials: (n,) identity of each trial.
        seeds: (n,) seed of each trial.
        starts: (n,) epochs that are stored of each trial: 0, but for one that a later stage continues.
        epochs: (n,) the epoch up to which each is trained.
        columns: One list of n values per parameter; None where the parameter is not active.
        eager: Send every report and print at once. Set for retries, so that what came before a death is known.
        stages: Names of the stages that the trials were born in, by number.
    """

    id: int
    trials: Ints
    seeds: Ints
    starts: Ints
    epochs: Ints
    columns: tuple[list[Any], ...]
    eager: bool = False
    stages: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reports:
    """Reports as columns; row r is epoch `epoch[r]` of trial `trial[r]`.

    Attributes:
        trial: (n,) identity of each report's trial.
        epoch: (n,) epochs, counted from 1.
        metrics: One (n,) column per metric.
        missing: For metrics that some rows lack: (n,) true where there is no value.
    """

    trial: Ints
    epoch: Ints
    metrics: dict[str, Floats]
    missing: dict[str, Flags]


@dataclass(frozen=True, slots=True)
class Ends:
    """Trials that came to an end, as columns.

    Attributes:
        trial: (n,) identity of each trial.
        status: (n,) a `Status`.
        started: (n,) seconds since 1970.
        seconds: (n,) duration.
        reasons: Why, for the trials that did not complete: one line each.
        tracebacks: The user's own traceback, for the trials that raised.
    """

    trial: Ints
    status: Ints
    started: Floats
    seconds: Floats
    reasons: dict[int, str]
    tracebacks: dict[int, str]


@dataclass(frozen=True, slots=True)
class Ready:
    """A slot is up and takes batches."""

    slot: int
    host: str
    pid: int


@dataclass(frozen=True, slots=True)
class Results:
    """What a slot has to say of a batch since the last time.

    Attributes:
        slot: Where it ran.
        batch: The `Batch.id`.
        part: Number of the message within its batch, from 0: what is heard twice counts once.
        reports: New reports, of ended trials and of the one that is running.
        ends: Trials that ended.
        printed: (trial, text) of what trials printed.
        notes: Remarks on the trainer's reports, each said once per worker.
        saved: Checkpoints on their way from another machine, packed, by trial.
    """

    slot: int
    batch: int
    part: int
    reports: Reports
    ends: Ends
    printed: list[tuple[int, str]] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    saved: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lost:
    """A slot died and its batches with it; a new `Ready` follows when it is up again.

    Attributes:
        slot: The slot.
        status: LOST, or TIMEOUT when it was killed because its trial took too long.
        trial: The trial that was running, -1 when it was between two trials, None when nobody can tell.
        started: When that trial started, seconds since 1970; NaN when unknown.
        seconds: How long it had been running; NaN when unknown.
        reason: One line for a person.
        traceback: Where it was when it was killed, if that is known.
        blameless: True when the machine went away for reasons of its own (preemption): no failure of the trial.
    """

    slot: int
    status: Status
    trial: int | None
    started: float
    seconds: float
    reason: str
    traceback: str | None = None
    blameless: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """A worker could not load the trainer or its data: the run cannot start.

    Attributes:
        text: Why: one line, or the user's own traceback.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that a person should know of the slots as a whole."""

    text: str


Event = Ready | Results | Lost | Remark
