"""How a search will use its slots, found by running its decisions on a make-believe clock. Pure functions."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass

import numpy as np

from sweeps.ladder import Plan
from sweeps.search import Job, Search
from sweeps.space import Space


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a search comes to if all epochs take the same time and no trial dies.

    Attributes:
        epochs: Epochs trained, all trials together.
        trials: Trials begun.
        stages: Stages decided.
        busy: Share of the slots' time that is spent training; 1 is not to be had where one full training takes
            longer than all the rest.
    """

    epochs: int
    trials: int
    stages: int
    busy: float


def forecast(space: Space, plan: Plan, seed: int, slots: int) -> Forecast:
    """What a search comes to on so many slots, where every trial is as good as chance has it."""
    search = Search(space, plan, seed)
    luck = np.random.Generator(np.random.Philox(seed))
    scores: dict[int, float] = {}
    queue: deque[Job] = deque(search.due())
    running: list[tuple[int, int, Job]] = []
    now, spent, begun = 0, 0, 0
    while queue or running:
        while queue and len(running) < slots:
            job = queue.popleft()
            spent += job.epochs - job.start
            begun += 1
            heapq.heappush(running, (now + job.epochs - job.start, begun, job))
        now, _, job = heapq.heappop(running)
        score = scores.setdefault(job.id, float(luck.random()))
        search.tell(job.id, np.full(job.epochs, score), False)
        queue.extend(search.due())
    return Forecast(spent, len(scores), len(search.stages), spent / (now * slots) if now else 0.0)
