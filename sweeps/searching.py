"""A search on real slots: its decisions become trials to train, and what is stored already is told to it first.

So a search goes on after a crash by deciding everything once more: the same results give the same decisions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from sweeps.arrow import numbers
from sweeps.book import Book, Goals
from sweeps.ladder import Plan
from sweeps.objective import Objective
from sweeps.search import Job, Planned, Search
from sweeps.space import Floats
from sweeps.store import Store
from workers.messages import Ints, Status, identities

_OPEN = 128  #: waiting trials whose checkpoints are kept; one that goes on without is trained again from its start


@dataclass(frozen=True, slots=True)
class _Past:
    """What is stored of a trial.

    Attributes:
        scores: (n,) of its epochs.
        whole: How many pieces of its training came to their end.
        over: It was stopped or given up in the piece after those.
    """

    scores: Floats
    whole: int
    over: bool


class Searching:
    """The agenda of a search.

    Attributes:
        expected: About how many trials there will be.
        trained: Epochs that were trained since it began; those that are stored are not among them.
        left: Epochs of its budget that no trial has trained yet.
        books: The stages decided so far.
        goals: How far the trials that were handed out are trained.
    """

    def __init__(
        self, search: Search, plan: Plan, store: Store, objective: Objective, open_stage: Callable[[Planned], Book]
    ) -> None:
        """Begin, or go on where an earlier driver was.

        Args:
            search: Decides.
            plan: How its budget is laid out.
            store: Holds what came back before.
            objective: What is optimised.
            open_stage: Gives a stage that was decided its book.
        """
        self.expected = plan.begun
        self.trained, self.left = 0, plan.budget
        self.books: dict[int, Book] = {}
        self.goals = Goals(plan.rungs[-1], {})
        self._search = search
        self._store = store
        self._objective = objective
        self._open_stage = open_stage
        self._past: dict[int, _Past] = {}
        self._pieces: Counter[int] = Counter()  # of each trial's training, that were decided
        self._ahead: set[int] = set()  # trials that were handed out before their turn, which has not come
        self._scores: dict[int, Floats] = {}

    @property
    def open(self) -> Collection[int]:
        """Trials that train, or wait and may go on: what a bounded number of checkpoints is best spent on."""
        return self._search.open(_OPEN)

    def due(self, slots: int) -> Ints:
        """(n,) trials to train next, in order; as many as there are slots to fill, if what is sure to come suffices."""
        found: list[int] = []
        while jobs := self._search.due():
            self._open_stages()
            left = [job for job in jobs if not self._is_known(job)]
            # What was handed out before its turn may have ended by now, so that the same trial's next job comes along.
            found += self._handed_out([job for job in left if job.start or job.id not in self._ahead])
            self._ahead.difference_update(job.id for job in left)
            if len(left) == len(jobs):
                break
        if len(found) < slots:
            new = [job for job in self._search.sure() if job.id not in self._ahead and job.id not in self._past]
            ahead = self._handed_out(new[: slots - len(found)])
            self._ahead.update(ahead)
            found += ahead
        return np.array(found, np.int64)

    def _handed_out(self, jobs: list[Job]) -> list[int]:
        """The trials of jobs that are to be trained now."""
        self.goals.others.update({job.id: (job.start, job.epochs) for job in jobs})
        return [job.id for job in jobs]

    def ended(self, trial: int, values: Floats, completed: bool) -> None:
        """Take in that a trial came to an end."""
        start, epochs = self.goals.others[trial]
        before = self._scores.get(trial, np.empty(0))[:start]
        scores = np.concatenate([before, self._objective.scores(values)])
        self._scores[trial] = scores
        self.trained += len(values)
        self._tell(trial, scores, start, epochs, completed)

    def _tell(self, trial: int, scores: Floats, start: int, epochs: int, completed: bool) -> None:
        """Tell the search of an end; one that is no result of the training is an infinite last score."""
        self.left -= len(scores) - start
        if not completed:
            scores = np.append(scores[: max(start, len(scores) - 1)], np.inf)
        self._search.tell(trial, scores, not completed or len(scores) < epochs)

    def _open_stages(self) -> None:
        """Books for the stages that were decided since the last time, and what is stored of their trials."""
        for stage in self._search.stages[len(self.books) :]:
            self.books[stage.number] = self._open_stage(stage)
            self._past |= self._stored(stage)

    def _is_known(self, job: Job) -> bool:
        """Whether a job's end is stored; the search is told of it then."""
        self._pieces[job.id] += 1
        past = self._past.get(job.id)
        if past is None:
            return False
        completed = self._pieces[job.id] <= past.whole
        if not completed and not past.over:
            return False
        self._scores[job.id] = past.scores[: job.epochs]
        self._tell(job.id, self._scores[job.id], job.start, job.epochs, completed)
        return True

    def _stored(self, stage: Planned) -> dict[int, _Past]:
        """What is stored of a stage's trials."""
        indices = np.arange(len(stage.seeds))
        rows = self._store.rows(stage.number, indices)
        if not rows:
            return {}
        whole = self._store.completed(stage.number)
        reports = self._store.reports(stage.number, self._objective.metric)
        trials = numbers(reports["trial"])
        scores = self._objective.scores(numbers(reports[self._objective.metric]))
        past = {}
        for index, trial in zip(rows, identities(stage.number, np.array(list(rows))).tolist(), strict=True):
            over = rows[index]["status"] != Status.COMPLETED.word
            past[trial] = _Past(scores[trials == index], whole[index], over)
        return past
