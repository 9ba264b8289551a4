"""The loop of a run: for each stage fit its region, hand out its trials, store what comes back.

It decides nothing itself: what to try is `sampling`, where is `regions`, who is next is `schedule`, what is safe is
`store`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sweeps.arrow import numbers
from sweeps.book import Book, Goals
from sweeps.declaration import written_from
from sweeps.errors import BackendFailed, SweepError
from sweeps.interrupts import Interrupts
from sweeps.keeper import Keeper
from sweeps.ledger import Ledger
from sweeps.monitor import Monitor
from sweeps.outcome import observed, outcome, region_from, region_row
from sweeps.progress import View
from sweeps.regions import Region, fit
from sweeps.sampling import draw
from sweeps.search import Planned, Search
from sweeps.searching import Searching
from sweeps.settings import CONFIRM, CONFIRMATIONS, SEARCH, SearchSettings, Settings, StageSettings
from sweeps.snapshot import Best, Snapshot
from sweeps.space import Columns
from sweeps.stage import Halt, Slots, StageRun
from sweeps.store import Store
from workers.backend import Backend, BackendError
from workers.messages import FAILURES, Ints, Status, identities, identity, place_of


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
        self._keeper = Keeper(store.checkpoints, math.inf)
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
                return
            for number, stage in enumerate(self._settings.stages):
                region = self._region(number, stage, region)
                self._stage(number, stage, region)
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
        for trial in self._keeper.there():
            number, index = place_of(trial)
            row = self._store.rows(number, np.array([index])).get(index)
            if row is not None:
                value, over = row.get(objective.metric), row["status"] != Status.COMPLETED.word
                score = float(objective.scores(np.array([np.nan if value is None or over else value]))[0])
                self._keeper.ended([(trial, score)])

    def _region(self, number: int, stage: StageSettings, previous: Region) -> Region:
        """Where a stage draws: as it was stored when the stage began, or fitted on the stage before it."""
        row = self._store.stage(number)
        if row is not None:
            return region_from(row, self._settings.space)
        region = previous
        if number > 0:
            region = fit(previous, observed(self._store, number - 1, self._settings))
            for sentence in region.evidence:
                self._view.say(f"{self._settings.stages[number - 1].name} -> {stage.name}: {sentence}")
        chosen = [place_of(trial) for trial in self._best_before(number, stage)]
        names = [f"{self._settings.stages[born].name}-{index}" for born, index in chosen]
        self._store.put_stage(number, _row(number, stage, region) | {"continued": names})
        return region

    def _best_before(self, number: int, stage: StageSettings) -> list[int]:
        """The earlier trials that go on in a stage: the best of those that came to their end and can be trained longer.

        Ties go to the lowest (stage, trial).
        """
        found: list[tuple[float, int]] = []
        metric = self._settings.objective.metric
        for born in range(number if stage.continued else 0):
            table = self._store.trials(born, ["trial", metric, "status", "epochs"])
            scores = self._settings.objective.scores(numbers(table[metric]))
            whole = np.array([status == Status.COMPLETED.word for status in table["status"].to_pylist()], np.bool_)
            may = whole & np.isfinite(scores) & (numbers(table["epochs"]) < stage.epochs)
            trials = numbers(table["trial"])[may].tolist()
            found += [(score, identity(born, i)) for score, i in zip(scores[may].tolist(), trials, strict=True)]
        return [trial for _, trial in sorted(found)[: stage.continued]]

    def _stage(self, number: int, stage: StageSettings, region: Region) -> None:
        """Run what is left of a stage, and close it."""
        settings, store = self._settings, self._store
        columns, seeds = draw(region.space, stage.method, settings.seed, number, stage.trials, stage.include)
        new = np.flatnonzero(~store.done(number, stage.trials)).astype(np.int64)
        goes_on = self._goes_on(number, stage)
        pending = np.concatenate([np.array(list(goes_on), np.int64), identities(number, new)])
        born_earlier = sorted({place_of(trial)[0] for trial in self._continued(number)})
        if len(pending):
            if self._slots is None:
                self._slots = Slots(self._open_backend())
            books = {born: self._earlier_book(born) for born in born_earlier}
            books[number] = self._book(number, stage, region, columns, seeds)
            self._keeper.release(goes_on)
            self._keeper.narrow(max([1, *(each.continued for each in settings.stages[number + 1 :])]))
            run = StageRun(settings, store, self._slots, self._view, self._halt, self._elapsed_s)
            self._best = run.run(books, pending, Goals(stage.epochs, goes_on), self._keeper)
        for born in born_earlier:
            if not store.is_finished(born):
                store.finish(born, settings.stages[born].name)
        if len(new) or not store.is_finished(number):
            store.finish(number, stage.name)
        after = outcome(store, number, settings.objective)
        self.failed = self.failed or any(after.counts[word] for word in FAILURES)
        leader = None if self._best is None else self._best.value
        if after.best is not None and after.best_trial is not None and settings.objective.better(after.best, leader):
            config = {name: column[after.best_trial] for name, column in columns.items()}
            config = {name: value for name, value in config.items() if value is not None}
            self._best = Best(after.best, stage.name, after.best_trial, config, ())
        row = _row(number, stage, region) | dict(after.counts) | {"continued": self._names_of_continued(number)}
        store.put_stage(number, row | {"best_trial": after.best_trial, "best": after.best})

    def _search(self, asked: SearchSettings) -> None:
        """Carry out what is left of a search."""
        settings, store = self._settings, self._store
        layout = asked.layout(settings.space)
        search = Search(settings.space, layout, settings.seed)
        agenda = Searching(search, layout, store, settings.objective, self._open_stage)
        pending = agenda.due()
        if len(pending):
            if self._slots is None:
                self._slots = Slots(self._open_backend())
            run = StageRun(settings, store, self._slots, self._view, self._halt, self._elapsed_s)
            self._best = run.run(agenda.books, pending, agenda.goals, self._keeper, agenda)
        self._keeper.narrow(1)
        for number, stage in enumerate(search.stages):
            if not store.is_finished(number):
                store.finish(number, stage.name)
            after = outcome(store, number, settings.objective)
            self.failed = self.failed or any(after.counts[word] for word in FAILURES)
            begun = sum(after.counts.values())
            row = _row(number, _stage_of(stage, asked, begun), stage.region) | dict(after.counts)
            store.put_stage(number, row | {"best_trial": after.best_trial, "best": after.best})
        if asked.confirm:
            self._confirm(search.stages, asked)

    def _confirm(self, stages: Sequence[Planned], asked: SearchSettings) -> None:
        """Train the best configs again, with new seeds: what leads by luck falls behind."""
        found: list[tuple[float, int]] = []
        for stage in stages:
            table = self._store.trials(stage.number, ["trial", self._settings.objective.metric])
            scores = self._settings.objective.scores(numbers(table[self._settings.objective.metric]))
            trials = identities(stage.number, numbers(table["trial"])).tolist()
            found += [pair for pair in zip(scores.tolist(), trials, strict=True) if math.isfinite(pair[0])]
        best = [place_of(trial) for _, trial in sorted(found)[: asked.confirm]]
        chosen = [{n: c[i] for n, c in stages[born].columns.items() if c[i] is not None} for born, i in best]
        include = tuple(config for config in chosen for _ in range(CONFIRMATIONS))
        if not include:
            return
        names = ", ".join(f"{stages[born].name} {index}" for born, index in best)
        evidence = (f"the best, each with {CONFIRMATIONS} new seeds: {names}",)
        last = StageSettings(CONFIRM, len(include), asked.epochs, include=include)
        region = Region(self._settings.space, evidence)
        if self._store.stage(len(stages)) is None:
            self._store.put_stage(len(stages), _row(len(stages), last, region))
        self._stage(len(stages), last, region)

    def _open_stage(self, planned: Planned) -> Book:
        """The book of a stage that a search has decided; its row is stored when it begins."""
        assert self._settings.search is not None
        stage = _stage_of(planned, self._settings.search, len(planned.seeds))
        if self._store.stage(planned.number) is None:
            for sentence in planned.region.evidence:
                self._view.say(f"{stage.name}: {sentence}")
            self._store.put_stage(planned.number, _row(planned.number, stage, planned.region))
        return self._book(planned.number, stage, planned.region, planned.columns, planned.seeds)

    def _names_of_continued(self, number: int) -> list[str]:
        """The earlier trials that go on in a stage, as `coarse-17`, as it was stored when the stage began."""
        row = self._store.stage(number)
        return [] if row is None else row["continued"] or []

    def _continued(self, number: int) -> list[int]:
        """The same as identities."""
        born = {stage.name: i for i, stage in enumerate(self._settings.stages)}
        pairs = [name.rpartition("-") for name in self._names_of_continued(number)]
        return [identity(born[stage], int(index)) for stage, _, index in pairs]

    def _goes_on(self, number: int, stage: StageSettings) -> dict[int, tuple[int, int]]:
        """(epochs stored, epoch to reach) of the earlier trials that have not gone on yet in a stage."""
        goals = {}
        for trial in self._continued(number):
            born, index = place_of(trial)
            row = self._store.rows(born, np.array([index]))[index]
            went_on = row["epochs"] >= stage.epochs or row["status"] != Status.COMPLETED.word
            if not went_on and index not in self._store.continued(born):
                goals[trial] = (row["epochs"], stage.epochs)
        return goals

    def _earlier_book(self, born: int) -> Book:
        """The book of a stage that ended, some of whose trials go on."""
        stage, row = self._settings.stages[born], self._store.stage(born)
        assert row is not None
        region = region_from(row, self._settings.space)
        drawn = draw(region.space, stage.method, self._settings.seed, born, stage.trials, stage.include)
        return self._book(born, stage, region, *drawn)

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
