"""The loop of a run: for each stage fit its region, hand out its trials, store what comes back.

It decides nothing itself: what to try is `sampling`, where is `regions`, who is next is `schedule`, what is safe is
`store`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sweeps.book import Book, Goals
from sweeps.confirming import confirming
from sweeps.continuing import best_first, chosen_names, left, places, stored_names
from sweeps.declaration import written_from
from sweeps.errors import BackendFailed, SweepError
from sweeps.interrupts import Interrupts
from sweeps.keeper import Keeper
from sweeps.ledger import Ledger
from sweeps.modelled import modelled
from sweeps.monitor import Monitor
from sweeps.outcome import Outcome, observed, outcome, region_from, region_row
from sweeps.progress import View
from sweeps.proposal import Proposal
from sweeps.regions import Region, fit
from sweeps.samplers import sampled
from sweeps.sampling import draw
from sweeps.sampling import seeds as seeds_of
from sweeps.search import Planned, Search
from sweeps.searching import Searching
from sweeps.settings import CONFIRM, MODEL, SEARCH, SearchSettings, Settings, StageSettings
from sweeps.snapshot import Best, Snapshot
from sweeps.space import Columns, config_at
from sweeps.stage import Halt, Slots, StageRun
from sweeps.store import Store
from workers.backend import Backend, BackendError
from workers.messages import FAILURES, Ints, Status, identities, identity, indices_of, stages_of


class Driver:
    """One run, from its first stage to its last.

    Attributes:
        failed: A trial of the stages so far has failed, in this driver's life or before.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        open_backend: Callable[[], Backend],
        view: View,
        interrupts: Interrupts,
    ) -> None:
        """Prepare a run.

        Args:
            settings: The sweep.
            store: The run's folder, held.
            open_backend: Starts the slots; called when there is a trial to run.
            view: Shows how it stands.
            interrupts: Tells when somebody asks for an end.
        """
        self._settings = settings
        self._store = store
        self._open_backend = open_backend
        self._view = view
        self._interrupts = interrupts
        self._slots: Slots | None = None
        self._began = time.monotonic()
        self._best: Best | None = None
        self._proposals: dict[int, Proposal] = {}
        self._keeper = Keeper(store.checkpoints)
        self.failed = False

    def run(self) -> None:
        """Carry out what is left of the plan.

        Raises:
            Halt: Before the plan was done: budget spent or interrupted. What is stored stays; the same call goes on.
            SweepError: The run cannot go on; the text says why.
        """
        region = Region(self._settings.space)
        try:
            self._look_after_checkpoints()
            if self._settings.search is not None:
                self._search(self._settings.search)
            else:
                for number, stage in enumerate(self._settings.stages):
                    region = self._region(number, stage, region)
                    self._stage(number, stage, region)
            self._keeper.narrow(1)
        except BackendError as error:
            raise BackendFailed(str(error)) from error
        except OSError as error:
            raise SweepError(
                f"cannot go on: {error.strerror or error} ({error.filename or self._store.folder}); "
                "what is stored is safe: mend it and run the same command again"
            ) from error
        finally:
            if self._slots is not None:
                self._slots.backend.close()

    def _look_after_checkpoints(self) -> None:
        """Take over the checkpoints that an earlier driver has left."""
        objective = self._settings.objective
        there = np.array(self._keeper.there(), np.int64)
        for number in np.unique(stages_of(there)).tolist():
            indices = indices_of(there[stages_of(there) == number])
            for index, row in self._store.rows(number, indices).items():
                value, over = row.get(objective.metric), row["status"] != Status.COMPLETED.word
                score = float(objective.scores(np.array([np.nan if value is None or over else value]))[0])
                self._keeper.ended([(identity(number, index), score)])

    def _region(self, number: int, stage: StageSettings, previous: Region) -> Region:
        """Where a stage draws: as it was stored when the stage began, or fitted on the stage before it."""
        row = self._store.stage(number)
        if row is not None:
            return region_from(row, self._settings.space)
        region = previous
        if stage.proposed:
            region = self._proposed(number).region
        elif number > 0:
            region = fit(previous, observed(self._store, number - 1, self._settings))
        if number > 0:
            for sentence in region.evidence:
                self._view.say(f"{self._settings.stages[number - 1].name} -> {stage.name}: {sentence}")
        names = chosen_names(self._store, self._settings, number)
        self._store.put_stage(number, _row(number, stage, region) | {"continued": names})
        return region

    def _stage(self, number: int, stage: StageSettings, region: Region) -> None:
        """Run what is left of a stage, and close it."""
        settings, store = self._settings, self._store
        columns, seeds = self._drawn(number, stage, region)
        new = np.flatnonzero(~store.done(number, stage.trials)).astype(np.int64)
        names = stored_names(store, number)
        goes_on = left(store, settings, number) if names else {}
        pending = np.concatenate([np.array(list(goes_on), np.int64), identities(number, new)])
        born_earlier = sorted({born for born, _ in places(names, settings)})
        if len(pending):
            self._keeper.release(goes_on)
            self._keeper.narrow(max([1, *(each.continued for each in settings.stages[number + 1 :])]))
            run = self._stage_run()
            books = {born: self._earlier_book(born) for born in born_earlier}
            books[number] = self._book(number, stage, region, columns, seeds)
            self._best = run.run(books, pending, Goals(stage.epochs, goes_on), self._keeper)
        for born in born_earlier:
            if not store.is_finished(born):
                store.finish(born, settings.stages[born].name)
            row = store.stage(born)
            assert row is not None
            store.put_stage(born, row | self._result(outcome(store, born, settings.objective)))
        if len(new) or not store.is_finished(number):
            store.finish(number, stage.name)
        after = outcome(store, number, settings.objective)
        leader = None if self._best is None else self._best.value
        if after.best is not None and after.best_trial is not None and settings.objective.better(after.best, leader):
            self._best = Best(after.best, stage.name, after.best_trial, config_at(columns, after.best_trial), ())
        row = _row(number, stage, region) | {"continued": names}
        store.put_stage(number, row | self._result(after))

    def _stage_run(self) -> StageRun:
        """What runs trials, on slots that are started with the first of them."""
        if self._slots is None:
            self._slots = Slots(self._open_backend())
        return StageRun(self._settings, self._store, self._slots, self._view, self._halt, self._elapsed_s)

    def _result(self, after: Outcome) -> dict[str, Any]:
        """What a stage came to, as columns of its row; it is remembered if a trial has failed."""
        self.failed = self.failed or any(after.counts[word] for word in FAILURES)
        return dict(after.counts) | {"best_trial": after.best_trial, "best": after.best}

    def _search(self, asked: SearchSettings) -> None:
        """Carry out what is left of a search."""
        settings, store = self._settings, self._store
        layout = asked.layout(settings.space)
        search = Search(settings.space, layout, settings.seed)
        agenda = Searching(search, layout, store, settings.objective, self._open_stage)
        pending = agenda.due(0)
        if len(pending):
            self._keeper.narrow(1, agenda.open)
            self._best = self._stage_run().run(agenda.books, pending, agenda.goals, self._keeper, agenda)
        for number, stage in enumerate(search.stages):
            if not store.is_finished(number):
                store.finish(number, stage.name)
            after = outcome(store, number, settings.objective)
            row = _row(number, _stage_of(stage, asked, sum(after.counts.values())), stage.region)
            store.put_stage(number, row | self._result(after))
        if asked.confirm:
            self._confirm(search.stages, asked)

    def _confirm(self, stages: Sequence[Planned], asked: SearchSettings) -> None:
        """Train the best configs again, with new seeds."""
        number = len(stages)
        best = best_first(self._store, self._settings.objective, number)[: asked.confirm]
        if not len(best):
            return
        stage, region = confirming(best, stages, asked.epochs, self._settings.space)
        if self._store.stage(number) is None:
            self._store.put_stage(number, _row(number, stage, region))
        self._stage(number, stage, region)

    def _open_stage(self, planned: Planned) -> Book:
        """The book of a stage that a search has decided; its row is stored when it begins."""
        assert self._settings.search is not None
        stage = _stage_of(planned, self._settings.search, len(planned.seeds))
        if self._store.stage(planned.number) is None:
            for sentence in planned.region.evidence:
                self._view.say(f"{stage.name}: {sentence}")
            self._store.put_stage(planned.number, _row(planned.number, stage, planned.region))
        return self._book(planned.number, stage, planned.region, planned.columns, planned.seeds)

    def _earlier_book(self, born: int) -> Book:
        """The book of a stage that ended, some of whose trials go on."""
        stage, row = self._settings.stages[born], self._store.stage(born)
        assert row is not None
        region = region_from(row, self._settings.space)
        return self._book(born, stage, region, *self._drawn(born, stage, region))

    def _drawn(self, number: int, stage: StageSettings, region: Region) -> tuple[Columns, Ints]:
        """Configs and seeds of a stage."""
        seed = self._settings.seed
        if stage.proposed:
            return self._proposed(number).columns, seeds_of(seed, number, stage.trials)
        return draw(region.space, stage.method, seed, number, stage.trials, stage.include)

    def _proposed(self, number: int) -> Proposal:
        """What follows for a stage from the results of those before it."""
        if number not in self._proposals:
            settings = self._settings
            propose = modelled if settings.stages[number].method == MODEL else sampled
            self._proposals[number] = propose(
                self._store, settings.space, settings.objective, settings.seed, settings.stages, number
            )
        return self._proposals[number]

    def _book(self, number: int, stage: StageSettings, region: Region, columns: Columns, seeds: Ints) -> Book:
        """The book of a stage."""
        objective = self._settings.objective
        counts = outcome(self._store, number, objective).counts
        monitor = Monitor(self._snapshot(number, stage, counts), objective, region, columns, counts)
        return Book(number, stage.name, columns, seeds, Ledger(objective), monitor)

    def _snapshot(self, number: int, stage: StageSettings, counts: Any) -> Snapshot:
        """How a stage stands before it runs."""
        settings = self._settings
        place, places = number + 1, len(settings.stages)
        if settings.search is not None:
            places = 1 + bool(settings.search.confirm)
            place = places if stage.name == CONFIRM else 1
        return Snapshot(
            run=self._store.folder.name,
            metric=settings.objective.metric,
            mode=settings.objective.mode,
            stage=stage.name,
            number=place,
            stages=places,
            epochs=stage.epochs,
            total=stage.trials,
            counts={word: count for word, count in counts.items() if count},
            running=0,
            slots=0,
            rate=0.0,
            elapsed_s=self._elapsed_s(),
            eta_s=None,
            best=self._best,
            newest=None,
            hint=None,
        )

    def _elapsed_s(self) -> float:
        """Seconds since the driver started."""
        return time.monotonic() - self._began

    def _halt(self) -> Halt | None:
        """Why the run should end early, if it should."""
        if self._interrupts.asked:
            return Halt(130, "interrupted")
        budget_s = self._settings.run.budget_s
        if budget_s is not None and self._elapsed_s() > budget_s:
            return Halt(3, f"stopped: the budget of {budget_s:g} s is spent")
        return None


def _stage_of(planned: Planned, asked: SearchSettings, trials: int) -> StageSettings:
    """A stage that a search has decided, as if it had been asked for."""
    return StageSettings(planned.name, trials, asked.epochs, SEARCH)


def _row(number: int, stage: StageSettings, region: Region) -> dict[str, Any]:
    """A stage's row before it has counts."""
    return {
        "stage": stage.name,
        "number": number,
        "method": stage.method,
        "trials": stage.trials,
        "epochs": stage.epochs,
        **region_row(region, written_from(region.space)),
    }
