"""What a search does with its budget, laid out before it starts: rungs, stages, trials.

A trial climbs a ladder of rungs: it is looked at after a few epochs, and the best third of all that were looked at
there go on to the next rung (successive halving; Jamieson and Talwalkar 2016). The first rung is where the budget puts
it: about so many trials are tried whatever the budget, and a larger one looks at each for longer.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

ETA = 3  #: one of so many goes on from a rung
TRIALS_PER_PARAMETER = 50  #: what the budget should pay for
_LAST_STEP = 1.5  #: the last rung below the top leaves at least half of its own epochs to do
_COARSE = 5  #: trials per parameter that start before anything is known
_BATCH = 8  #: trials of a later stage, or more where that would make more stages than
_MOST_STAGES = 40
_TRAININGS_EACH = 2.5  #: full trainings for each virtual worker of a search that does not say how many it has
_FEWEST_WORKERS, _MOST_WORKERS = 2, 32
_WORKERS = 8  #: of a usual search
_TRIALS_EACH = 10  #: for each virtual worker, where there are more than of a usual search
_MOST_COMPLETION = 0.5  #: share of the budget that is kept to complete the best trials
_TIME_TO_COMPLETE = 1.5  #: full trainings for which each worker has time, where the last ones can end together


@dataclass(frozen=True, slots=True)
class Plan:
    """The layout of a search.

    Attributes:
        budget: Epochs to spend, all trials together.
        rungs: Epochs after which a trial is looked at, ascending; the last is a full training.
        coarse: Trials of the first stage.
        batch: Trials of every later stage.
        trials: Trials that the budget would pay for if nothing were kept; dead ones make room for more.
        workers: Virtual workers: a decision waits for no more jobs than these have begun.
    """

    budget: int
    rungs: tuple[int, ...]
    coarse: int
    batch: int
    trials: int
    workers: int

    @property
    def kept(self) -> float:
        """Epochs that are kept to complete the best trials: of n full trainings the square root of n.

        More workers than usual keep more, up to a last step for each: they should end together, not wait for a few.
        """
        if len(self.rungs) == 1:
            return 0.0
        least = math.sqrt(self.budget * self.rungs[-1])
        each = self.workers * (self.rungs[-1] - self.rungs[-2])
        return min(max(least, min(least * self.workers / _WORKERS, each)), _MOST_COMPLETION * self.budget)

    @property
    def begun(self) -> int:
        """About how many trials begin: those that are kept for completion have begun before."""
        return max(int((self.budget - self.kept) / cost(self.rungs)), 1)

    @property
    def stages(self) -> int:
        """How many stages start so many trials."""
        return 1 + math.ceil(max(self.begun - self.coarse, 0) / self.batch)

    @property
    def together(self) -> bool:
        """The workers have time for so much more than a full training each that they can all end at about one time."""
        return self.budget >= _TIME_TO_COMPLETE * self.workers * self.rungs[-1]


def plan(trainings: float, epochs: int, parameters: int, workers: int | None = None) -> Plan:
    """The layout for a budget.

    Args:
        trainings: The budget, in full trainings; at least one is spent.
        epochs: Epochs of a full training.
        parameters: How many parameters are searched.
        workers: Virtual workers. More of them keep more slots busy, and learn later from each other: a small budget
            cannot afford that, a large one tries more before it settles. None for as many as suit it.
    """
    budget = max(round(trainings * epochs), epochs)
    rungs = _rungs(budget / (TRIALS_PER_PARAMETER * max(parameters, 1)), epochs)
    trials = max(int(budget / cost(rungs)), 1)
    coarse = min(max(_COARSE * parameters, _BATCH), max(trials // 2, 1))
    batch = max(round((trials - coarse) / _MOST_STAGES), min(_BATCH, trials))
    if workers is None:
        suited = min(trainings / _TRAININGS_EACH, max(trials / _TRIALS_EACH, _WORKERS))
        workers = min(max(int(suited), _FEWEST_WORKERS), _MOST_WORKERS)
    return Plan(budget, rungs, coarse, batch, trials, workers)


def stage_name(number: int) -> str:
    """The name of a stage of a search."""
    return f"s{number:02}"


def cost(rungs: tuple[int, ...]) -> float:
    """Epochs that a trial costs on average, where one of `ETA` goes on from each rung."""
    steps = [rungs[0], *(after - before for before, after in pairwise(rungs))]
    return sum((step / float(ETA) ** k for k, step in enumerate(steps)), 0.0)


def _rungs(wanted: float, epochs: int) -> tuple[int, ...]:
    """The ladder whose cost is nearest below the wanted one; from one epoch where none is cheap enough."""
    firsts = range(1, epochs + 1)
    cheap_enough = bisect_right(firsts, wanted, key=lambda first: cost(_climb(first, epochs)))  # costs rise with it
    return _climb(max(cheap_enough, 1), epochs)


def _climb(first: int, epochs: int) -> tuple[int, ...]:
    """first, 3 first, 9 first, ... and the full training."""
    rungs = [first]
    while rungs[-1] * ETA * _LAST_STEP <= epochs:
        rungs.append(rungs[-1] * ETA)
    return (*rungs, epochs) if rungs[-1] < epochs else tuple(rungs)
