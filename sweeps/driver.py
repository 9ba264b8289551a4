"""The loop of a run: for each stage fit its region, hand out its trials, store what comes back.

It decides nothing itself: what to try is `sampling`, where is `regions`, who is next is `schedule`, what is safe is
`store`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sweeps.declaration import written_from
from sweeps.errors import BackendFailed, SweepError
from sweeps.interrupts import Interrupts
from sweeps.outcome import observed, outcome, region_from, region_row
from sweeps.progress import View
from sweeps.regions import Region, fit
from sweeps.sampling import draw
from sweeps.settings import Settings, StageSettings
from sweeps.snapshot import Best, Snapshot
from sweeps.stage import Halt, Slots, StageRun
from sweeps.store import Store
from workers.backend import Backend, BackendError
from workers.messages import FAILURES


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
        self.failed = False

    def run(self) -> None:
        """Carry out what is left of the plan.

        Raises:
            Halt: Before the plan was done: budget spent or interrupted. What is stored stays; the same call goes on.
            SweepError: The run cannot go on; the text says why.
        """
        region = Region(self._settings.space)
        try:
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
        self._store.put_stage(number, _row(number, stage, region))
        return region

    def _stage(self, number: int, stage: StageSettings, region: Region) -> None:
        """Run what is left of a stage, and close it."""
        settings, store = self._settings, self._store
        columns, seeds = draw(region.space, stage.method, settings.seed, number, stage.trials, stage.include)
        pending = np.flatnonzero(~store.done(number, stage.trials)).astype(np.int64)
        stored = outcome(store, number, settings.objective)
        if len(pending):
            if self._slots is None:
                self._slots = Slots(self._open_backend())
            base = self._snapshot(number, stage, stored.counts)
            run = StageRun(settings, store, self._slots, self._view, self._halt, self._elapsed_s)
            self._best = run.run(number, stage, region, columns, seeds, pending, base)
        if len(pending) or not store.is_finished(number):
            store.finish(number, stage.name)
        after = outcome(store, number, settings.objective)
        self.failed = self.failed or any(after.counts[word] for word in FAILURES)
        leader = None if self._best is None else self._best.value
        if after.best is not None and after.best_trial is not None and settings.objective.better(after.best, leader):
            config = {name: column[after.best_trial] for name, column in columns.items()}
            config = {name: value for name, value in config.items() if value is not None}
            self._best = Best(after.best, stage.name, after.best_trial, config, ())
        row = _row(number, stage, region) | dict(after.counts)
        store.put_stage(number, row | {"best_trial": after.best_trial, "best": after.best})

    def _snapshot(self, number: int, stage: StageSettings, counts: Any) -> Snapshot:
        """How a stage stands before it runs."""
        settings = self._settings
        return Snapshot(
            run=self._store.folder.name,
            metric=settings.objective.metric,
            mode=settings.objective.mode,
            stage=stage.name,
            number=number + 1,
            stages=len(settings.stages),
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
