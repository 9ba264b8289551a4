"""How a run stands: what the live view draws and what the plain one says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sweeps.space import Config


@dataclass(frozen=True, slots=True)
class Best:
    """The best trial so far.

    Attributes:
        value: Its objective.
        stage: Name of its stage.
        trial: Its index there.
        config: Its config.
        curve: The objective by epoch.
    """

    value: float
    stage: str
    trial: int
    config: Config
    curve: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A moment of a run.

    Attributes:
        run: Name of the run.
        metric: The objective.
        mode: "max" or "min".
        stage: Name of the stage that runs.
        number: Its number, from 1.
        stages: How many stages there are.
        epochs: Budget of its trials.
        total: Trials of the stage.
        counts: Trials of the stage that ended, by status.
        running: Trials that are running or on their way.
        slots: Slots that are up.
        rate: Trials that ended per second, lately.
        elapsed_s: Seconds since the driver started.
        eta_s: Seconds until the stage ends, at this rate; None while nobody can tell.
        best: The best trial so far, over all stages.
        newest: The newest stop or failure, in words.
        hint: What the results so far say of the edges of the ranges.
    """

    run: str
    metric: str
    mode: str
    stage: str
    number: int
    stages: int
    epochs: int
    total: int
    counts: Mapping[str, int]
    running: int
    slots: int
    rate: float
    elapsed_s: float
    eta_s: float | None
    best: Best | None
    newest: str | None
    hint: str | None


def together(stages: Sequence[Snapshot], newest: Snapshot, expected: int, eta_s: float | None) -> Snapshot:
    """How a search stands whose stages run side by side.

    Args:
        stages: All of them.
        newest: The one that began last.
        expected: About how many trials there will be.
        eta_s: Seconds until the search ends: its last trials train longer than the rate of the first ones tells.
    """
    counts: Counter[str] = Counter()
    for stage in stages:
        counts.update(stage.counts)
    done, rate = sum(counts.values()), sum(stage.rate for stage in stages)
    total = max(expected, done + newest.running)
    return replace(newest, stage="search", counts=dict(counts), total=total, rate=rate, eta_s=eta_s)
