"""A search without training: how many trials and epochs its plan comes to, and how busy it keeps a number of slots."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sweeps.ladder import Plan
from sweeps.search import Job, Search
from sweeps.space import Floats, Space


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a plan comes to where every epoch takes the same time and no trial dies.

    Attributes:
        trials: Trials that begin.
        stages: Stages that they are laid out in.
        epochs: Epochs of all trials together.
        length: Epochs that go by until the last trial has ended.
        busy: Share of the slots' time in which they train.
    """

    trials: int
    stages: int
    epochs: int
    length: int
    busy: float


def rehearse(plan: Plan, slots: int) -> Rehearsal:
    """The outcome of a plan on so many slots; scores are random numbers, always the same."""
    search = Search(Space({}), plan, 0)
    scores = np.random.Generator(np.random.Philox(0))
    ended = list(simulated(search, slots, _epochs, lambda job: np.full(job.epochs, scores.random())))
    length, epochs = int(ended[-1][0]), sum(_epochs(job) for _, job, _ in ended)
    trials = sum(job.start == 0 for _, job, _ in ended)
    return Rehearsal(trials, len(search.stages), epochs, length, epochs / (slots * length))


def simulated(
    search: Search, slots: int, seconds: Callable[[Job], float], curve: Callable[[Job], Floats]
) -> Iterator[tuple[float, Job, Floats]]:
    """Each job of a search with the time of its end, in the order of these, on so many slots, and with its curve.

    Args:
        search: It is told the curves, each at the end of its job.
        slots: Jobs that train at the same time; what is due comes before what is only sure to come.
        seconds: How long a job takes.
        curve: The scores of a job's trial, from the trial's first epoch to the job's last.
    """
    waiting: list[Job] = []
    running: list[tuple[float, int, Job]] = []
    taken: set[Job] = set()
    now = 0.0
    while not search.done:
        waiting += [job for job in search.due() if job not in taken]
        for job in (*waiting, *(job for job in search.sure() if job not in taken))[: slots - len(running)]:
            heapq.heappush(running, (now + seconds(job), len(taken), job))
            taken.add(job)
        waiting = [job for job in waiting if job not in taken]
        if running:
            now, _, job = heapq.heappop(running)
            found = curve(job)
            search.tell(job.id, found, False)
            yield now, job, found


def _epochs(job: Job) -> int:
    return job.epochs - job.start
