"""Who trains next, and for how long: the decisions of a search, without I/O and without a real clock.

They are taken on a clock of their own, with a fixed number of virtual workers on which a job lasts as many ticks as it
has epochs. A decision sees the jobs that ended before it on that clock and nothing else, so that it is the same for
any number of real slots and in whatever order results come in; and nothing waits for the slowest trial of a stage.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from itertools import chain

import numpy as np

from sweeps import cube
from sweeps.belief import Belief
from sweeps.ladder import ETA, Plan, stage_name
from sweeps.proposal import Results, propose, ranking
from sweeps.regions import Region
from sweeps.sampling import seeds
from sweeps.space import Columns, Floats, Space, Value
from workers.messages import Ints, identities

_NEWS = 4  #: results after which it is asked anew what each trial may come to
_MAX_JUDGED = 1000  #: trials, the best ones, of which that is asked
_LATE = 1.1  #: times the time of all work evenly shared: no later than that ends the last training, if it can


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of a trial's training.

    Attributes:
        id: The trial's identity, of its stage of birth and its index there.
        start: Epochs that it has behind it.
        epochs: Epochs that it will have behind it.
    """

    id: int
    start: int
    epochs: int


@dataclass(frozen=True, slots=True)
class Planned:
    """A stage that was decided.

    Attributes:
        number: From 0.
        name: "s00", "s01", ...
        region: Where most of its trials come from, and why.
        columns: Their configs.
        seeds: (n,) their seeds.
    """

    number: int
    name: str
    region: Region
    columns: Columns
    seeds: Ints


class Search:
    """The state of a search; `due` and `tell` alone move it on.

    Attributes:
        stages: The stages that were decided so far.
        done: Nothing is left to do.
    """

    def __init__(self, space: Space, plan: Plan, seed: int) -> None:
        """Begin.

        Args:
            space: What is searched.
            plan: How the budget is laid out.
            seed: Seed of the sweep.
        """
        self.stages: list[Planned] = []
        self.done = False
        self._plan, self._seed = plan, seed
        self._domain = Region(space)
        # One row per trial, in the order of their ids.
        self._ids: list[int] = []
        self._columns: dict[str, list[Value]] = {name: [] for name in space.names}
        self._values = np.empty((0, len(plan.rungs)))  # as of `Results`
        self._aims = np.empty(0, np.int64)  # epochs that it has or is on its way to
        self._idle = np.empty(0, np.bool_)  # it waits to go on, and can
        self._merit = np.empty(0)  # what it is expected to come to, lower is better; NaN where nothing is expected yet
        self._belief: Belief | None = None  # as the newest stage was laid out
        self._news = 0  # results since it was asked what trials may come to
        self._completes = False
        self._fresh: list[int] = []  # rows of the newest stage that have not begun, the next one last
        self._rows: dict[int, int] = {}
        # The clock.
        self._now = self._begun = self._spent = 0
        self._running: list[tuple[int, int, Job]] = []  # (end, number, job)
        self._told: dict[int, tuple[Floats, bool]] = {}
        self._due: list[Job] = []

    def due(self) -> list[Job]:
        """Jobs that were decided since the last call, in the order in which they should start.

        None: more must be told first, or the search is `done`.
        """
        while not self.done:
            while len(self._running) < self._plan.workers and (job := self._next()) is not None:
                self._begin(job)
            if not self._running:
                self.done = True
            elif not self._end():
                break
        due, self._due = self._due, []
        return due

    def sure(self) -> list[Job]:
        """Jobs that are going to be due, whatever is told: the laid out trials that have not begun, in order.

        Whoever has a slot to spare may train them ahead of their turn, and tell of them then or later.
        """
        return [Job(self._ids[row], 0, self._plan.rungs[0]) for row in reversed(self._fresh)]

    def tell(self, id: int, curve: Floats, over: bool) -> None:
        """Say how a job ended.

        Args:
            id: Its trial.
            curve: Scores of the trial's epochs from the first on, lower is better, infinite where there was none. Of a
                trial that a rule stopped or that failed the last one is infinite. Epochs past the job's own, known
                from an earlier run, are not looked at before their time.
            over: The trial cannot go on from the last of these epochs.
        """
        self._told[id] = (curve, over)

    def open(self, most: int) -> set[int]:
        """The trials that train, and the most promising of those that wait to go on.

        Args:
            most: How many of these; and all of which nothing is expected yet.
        """
        waiting = self._waiting()
        rows = waiting[:most] + [row for row in waiting[most:] if np.isnan(self._merit[row])]
        return {job.id for _, _, job in self._running} | {self._ids[row] for row in rows + self._fresh}

    def _begin(self, job: Job) -> None:
        """Start a job on a free virtual worker."""
        row = self._rows[job.id]
        self._aims[row], self._idle[row] = job.epochs, False
        if job.start:  # what is laid out was paid then
            self._spent += job.epochs - job.start
        heapq.heappush(self._running, (self._now + job.epochs - job.start, self._begun, job))
        self._begun += 1
        self._due.append(job)

    def _end(self) -> bool:
        """Take in the job that ends next on the virtual clock; False if that was not told yet.

        One by one, also of those that end at the same tick, so that a free worker waits for no other job than its own.
        """
        end, _, job = self._running[0]
        if job.id not in self._told:
            return False
        heapq.heappop(self._running)
        self._now = end
        curve, over = self._told.pop(job.id)
        row, rungs = self._rows[job.id], self._plan.rungs
        trained = min(len(curve), job.epochs)
        self._spent -= job.epochs - max(trained, job.start, 1)  # not even a failure is free, or failing had no end
        for k, rung in enumerate(rungs):
            if job.start < rung <= trained:
                self._values[row, k] = curve[rung - 1]
        if trained < job.epochs:  # it counts as what it would have been at the next rung
            self._values[row, int(np.searchsorted(rungs, trained, "right"))] = curve[-1] if trained else np.inf
        ended = trained < job.epochs or (over and len(curve) == job.epochs) or job.epochs == rungs[-1]
        self._idle[row] = not ended and bool(np.isfinite(curve[job.epochs - 1]))
        self._news += 1
        if self._belief is not None and len(rungs) > 1 and (self._completes or self._news >= _NEWS):
            at = cube.positions(self._domain.space, self._columns)
            self._judge(Belief(self._domain.space, at, self._values, rungs, self._belief))
        return True

    def _judge(self, belief: Belief) -> None:
        """Ask what each trial is expected to come to, by what is believed after all results."""
        self._news = 0
        order = ranking(self._values)[:_MAX_JUDGED]
        self._merit[:] = np.nan
        self._merit[order] = belief.outlook(order)

    def _next(self) -> Job | None:
        """What a free worker does now; None if it waits.

        The first stage starts before anything goes on, since among few the best third says little.
        """
        left = self._plan.budget - self._spent
        if self._fresh and len(self.stages) == 1:
            return self._start(left)
        return self._promotion(left) or self._start(left) or self._completion(left)

    def _promotion(self, left: int) -> Job | None:
        """The trial that goes on by the rule of thirds, from the highest rung where there is one."""
        rungs = self._plan.rungs
        for k in range(len(rungs) - 2, -1, -1):
            there = np.flatnonzero(~np.isnan(self._values[:, k]))
            allowed = len(there) // ETA
            gone = int(np.sum(self._aims[there] > rungs[k]))
            if gone >= allowed or rungs[k + 1] - rungs[k] > left:
                continue
            for row in there[np.lexsort((self._values[there, k], self._merit[there]))][:allowed].tolist():
                if self._idle[row] and self._aims[row] == rungs[k]:
                    return self._going_on(row, rungs[k + 1])
        return None

    def _start(self, left: int) -> Job | None:
        """The next trial of the newest stage, or the first of a new one, all of which are going to be trained.

        None when what is left is to complete others, and while there is nothing to learn from.
        """
        first = self._plan.rungs[0]
        if not self._fresh:
            free = left - self._plan.kept if self.stages else left
            if first > left or free <= 0 or (self.stages and not np.isfinite(self._values).any()):
                return None
            self._lay_out(min(left // first, math.ceil(free / first)))
        return Job(self._ids[self._fresh.pop()], 0, first)

    def _lay_out(self, most: int) -> None:
        """Decide the next stage, of so many trials at most, from what is known by now."""
        number = len(self.stages)
        count = min(self._plan.batch if number else self._plan.coarse, most)
        self._spent += count * self._plan.rungs[0]
        seen = Results(self._columns, self._values)
        found = propose(self._domain, seen, self._plan.rungs, self._seed, number, count)
        self._domain, self._belief = found.domain, found.belief
        if self._belief is not None:
            self._judge(self._belief)
        self.stages.append(
            Planned(number, stage_name(number), found.region, found.columns, seeds(self._seed, number, count))
        )
        for name, column in found.columns.items():
            self._columns[name] += column
        rows = range(len(self._ids), len(self._ids) + count)
        self._ids += identities(number, np.arange(count)).tolist()
        self._rows |= {self._ids[row]: row for row in rows}
        self._values = np.concatenate([self._values, np.full((count, len(self._plan.rungs)), np.nan)])
        self._merit = np.r_[self._merit, np.full(count, np.nan)]
        self._aims = np.r_[self._aims, np.zeros(count, np.int64)]
        self._idle = np.r_[self._idle, np.zeros(count, np.bool_)]
        self._fresh = list(rows)[::-1]

    def _completion(self, left: int) -> Job | None:
        """The best unfinished trial that ends with the others, as far up as it can; the best of all if none does."""
        self._completes = True
        waiting, targets = self._waiting(), self._plan.rungs[:0:-1]
        room = min(left, self._room(left)) if self._plan.together else 0
        ending = ((row, target, room) for target in targets for row in waiting)
        for row, target, most in chain(ending, ((row, target, left) for row in waiting for target in targets)):
            if 0 < target - self._aims[row] <= most:
                return self._going_on(row, target)
        return None

    def _room(self, left: int) -> float:
        """Ticks until a little after all workers would end, if they shared evenly what is left."""
        free = self._plan.workers - len(self._running)
        ends = sum(end for end, _, _ in self._running) + free * self._now
        return _LATE * (ends + left) / self._plan.workers - self._now

    def _waiting(self) -> list[int]:
        """Rows of the trials that wait to go on, those first of which most is expected."""
        order = ranking(self._values)
        order = order[np.argsort(self._merit[order], kind="stable")]
        rows: list[int] = order[self._idle[order]].tolist()
        return rows

    def _going_on(self, row: int, target: int) -> Job:
        """The job that brings a trial to a rung."""
        return Job(self._ids[row], int(self._aims[row]), target)
