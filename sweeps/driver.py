"""The loop of a run: for each stage fit its region, hand out its trials, store what comes back.

The only file that reads the clock. It decides nothing itself: what to try is `sampling`, where is `regions`, who is
next is `schedule`, what is safe is `store`.
"""

from __future__ import annotations

import math
import pathlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sweeps.errors import BackendFailed, SweepError
from sweeps.interrupts import Interrupts
from sweeps.ledger import Ledger, Place
from sweeps.monitor import Monitor
from sweeps.objective import Objective
from sweeps.progress import View
from sweeps.regions import Observed, Region, fit
from sweeps.results import Standing, observed, standing, stored_region
from sweeps.sampling import draw
from sweeps.schedule import Schedule
from sweeps.settings import Settings, StageSettings
from sweeps.snapshot import Best, Snapshot
from sweeps.store import Store, region_row
from workers.backend import Backend, BackendError
from workers.messages import Batch, Ends, Lost, Ready, Results, Status

FLUSH_S = 2.0  #: results wait no longer than this before they are stored
FLUSH_ROWS = 200_000
_DRAIN_S = 1.0  #: what short trials get to end by themselves when the run is asked to stop
_GIVE_UP_S = 6.0  #: after that nothing is waited for
_VIEW_S = 0.1


class Stop(Exception):
    """The run ends before its plan does, with what it has stored.

    Attributes:
        code: Exit code: 3 for a spent budget, 130 for an interrupt.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Driver:
    """One run, from its first stage to its last."""

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
        self._backend: Backend | None = None
        self._places: dict[int, Place] = {}
        self._notes: set[str] = set()
        self._batches = 0
        self._began = time.monotonic()
        self._best: Best | None = None

    def run(self) -> None:
        """Carry out what is left of the plan.

        Raises:
            Stop: Before the plan was done: budget spent or interrupted. What is stored stays; the same call goes on.
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
            if self._backend is not None:
                self._backend.close()

    def _region(self, number: int, stage: StageSettings, previous: Region) -> Region:
        """Where a stage draws: as it was stored when the stage began, or fitted on the stage before it."""
        row = self._store.stage(number)
        if row is not None:
            return stored_region(row, self._settings.space)
        region = previous
        if number > 0:
            before = self._settings.stages[number - 1]
            region = fit(previous, observed(self._store, number - 1, self._settings))
            for sentence in region.evidence:
                self._view.say(f"{before.name} -> {stage.name}: {sentence}")
        self._store.put_stage(number, region_row(region) | _plan_row(number, stage))
        return region

    def _stage(self, number: int, stage: StageSettings, region: Region) -> None:
        """Run what is left of a stage, and close it."""
        settings = self._settings
        columns, seeds = draw(region.space, stage.method, settings.seed, number, stage.trials, stage.include)
        pending = np.flatnonzero(~self._store.done(number, stage.trials))
        if len(pending):
            running = _Stage(self, number, stage, region, columns, seeds, pending)
            running.run()
            self._batches = running.schedule.next_batch
        if len(pending) or not self._store.is_finished(number):
            self._store.finish(number, stage.name)
        now = standing(self._store, number, settings.objective)
        self._best = better_of(self._best, now, stage.name, settings.objective, columns)
        row = region_row(region) | _plan_row(number, stage) | dict(now.counts)
        self._store.put_stage(number, row | {"best_trial": now.best_trial, "best": now.best})

    def backend(self) -> Backend:
        """The slots, started when first asked for."""
        if self._backend is None:
            self._backend = self._open_backend()
        return self._backend

    def elapsed_s(self) -> float:
        """Seconds since the driver started."""
        return time.monotonic() - self._began

    def reason_to_stop(self) -> Stop | None:
        """Why the run should end early, if it should."""
        if self._interrupts.asked:
            return Stop(130, "interrupted")
        budget_s = self._settings.run.budget_s
        if budget_s is not None and self.elapsed_s() > budget_s:
            return Stop(3, f"the budget of {budget_s:g} s is spent")
        return None
