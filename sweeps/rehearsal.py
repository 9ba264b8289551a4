"""A search without training: how many trials and epochs its plan comes to, and how busy it keeps a number of slots."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from sweeps.ladder import Plan
from sweeps.search import Job, Search
from sweeps.space import Space


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
    waiting: list[Job] = []
    running: list[tuple[int, int, Job]] = []
    taken: set[Job] = set()
    now = begun = trials = epochs = 0
    while not search.done:
        waiting += [job for job in search.due() if job not in taken]
        for job in (*waiting, *(job for job in search.sure() if job not in taken))[: slots - len(running)]:
            taken.add(job)
            heapq.heappush(running, (now + job.epochs - job.start, begun, job))
            begun, trials, epochs = begun + 1, trials + (job.start == 0), epochs + job.epochs - job.start
        waiting = [job for job in waiting if job not in taken]
        if running:
            now, _, job = heapq.heappop(running)
            search.tell(job.id, np.broadcast_to(scores.random(), job.epochs), False)
    return Rehearsal(trials, len(search.stages), epochs, now, epochs / (slots * now))
