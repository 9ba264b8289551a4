"""One stage while it runs: slots are kept fed, what comes back is booked, shown and stored."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from sweeps.ledger import Ledger, Place
from sweeps.monitor import Monitor
from sweeps.progress import View
from sweeps.regions import Region
from sweeps.schedule import Schedule
from sweeps.settings import Settings, StageSettings
from sweeps.snapshot import Best, Snapshot
from sweeps.space import Columns
from sweeps.store import Store
from workers.backend import Backend
from workers.messages import Batch, Ends, Event, Ints, Lost, Ready, Remark, Results

FLUSH_S = 2.0  #: results wait no longer than this before they are stored
FLUSH_ROWS = 200_000
DRAIN_S = 1.0  #: what short trials get to end by themselves when the run is asked to stop
GIVE_UP_S = 6.0  #: after that nothing is waited for
TICK_S = 0.1


class Halt(Exception):
    """The run ends before its plan does, with what it has stored.

    Attributes:
        code: Exit code: 3 for a spent budget, 130 for an interrupt.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Slots:
    """The backend of a run with what outlives a stage.

    Attributes:
        backend: The slots.
        places: Where each slot that is up is.
        batches: Number of the next batch.
        notes: Remarks that were passed on already.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.places: dict[int, Place] = {}
        self.batches = 0
        self.notes: set[str] = set()


class StageRun:
    """Runs the pending trials of one stage."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        slots: Slots,
        view: View,
        halt: Callable[[], Halt | None],
        elapsed_s: Callable[[], float],
    ) -> None:
        """Prepare.

        Args:
            settings: The sweep.
            store: Where results go.
            slots: Where trials run.
            view: Shows how it stands.
            halt: Why the run should end early, if it should.
            elapsed_s: Seconds since the driver started.
        """
        self._settings = settings
        self._store = store
        self._slots = slots
        self._view = view
        self._halt = halt
        self._elapsed_s = elapsed_s

    def run(
        self,
        number: int,
        stage: StageSettings,
        region: Region,
        columns: Columns,
        seeds: Ints,
        pending: Ints,
        base: Snapshot,
    ) -> Best | None:
        """Run the pending trials; the best trial so far.

        Args:
            number: Number of the stage.
            stage: The stage.
            region: Where it draws.
            columns: Configs of all its trials.
            seeds: Seeds of all its trials.
            pending: Trials to run.
            base: How the stage stands before.

        Raises:
            Halt: The run was asked to end; what ended before is stored.
        """
        self._number, self._stage = number, stage
        self._columns, self._seeds = columns, seeds
        tries = self._store.tries(number, pending)
        self._schedule = Schedule(pending, self._settings.run.retries, self._slots.batches, tries)
        self._ledger = Ledger(self._settings.objective)
        self._monitor = Monitor(base, self._settings.objective, region, columns, base.counts)
        self._stored_s = self._shown_s = self._elapsed_s()
        self._show(now=True)
        try:
            while not self._schedule.done:
                halt = self._halt()
                if halt is not None:
                    self._view.say(f"{halt}: waiting a moment for trials that are about to end")
                    self._drain()
                    raise halt
                self._feed(self._slots.places)
                self._take_in(self._slots.backend.wait(TICK_S))
                self._show()
                if self._is_due():
                    self._flush()
        finally:
            self._slots.batches = self._schedule.next_batch
            self._flush()
            self._show(now=True)
        return self._monitor.best

    def _feed(self, slots: Collection[int]) -> None:
        """Give every slot what it should have."""
        for slot in sorted(slots):
            while (order := self._schedule.order(slot, len(slots))) is not None:
                chosen = order.trials.tolist()
                columns = tuple([column[i] for i in chosen] for column in self._columns.values())
                batch = Batch(
                    order.batch, order.trials, self._seeds[order.trials], self._stage.epochs, columns, order.eager
                )
                self._slots.backend.submit(slot, batch)

    def _take_in(self, events: list[Event]) -> None:
        """Book what happened."""
        for event in events:
            if isinstance(event, Ready):
                self._slots.places[event.slot] = Place(event.slot, event.host, event.pid)
            elif isinstance(event, Lost):
                self._lost(event)
            elif isinstance(event, Remark):
                self._view.say(event.text)
            else:
                self._results(event)

    def _results(self, event: Results) -> None:
        """Book reports and ends."""
        if not self._schedule.hears(event.batch, event.part):
            return
        attempts = np.array([self._schedule.attempt(t) for t in event.ends.trial.tolist()], np.int64)
        final = self._schedule.ended(event.batch, event.ends)
        if final is None:
            return
        self._ledger.report(event.reports)
        self._monitor.report(event.reports)
        best = self._monitor.best
        if best is not None and best.stage == self._stage.name and np.any(event.reports.trial == best.trial):
            self._monitor.extend_curve(tuple(self._ledger.curve(best.trial).tolist()))
        if len(event.ends.trial):
            self._ledger.end(event.ends, final, attempts, self._slots.places[event.slot])
            self._monitor.end(event.ends, final, self._elapsed_s())
        self._store.log(self._stage.name, event.printed)
        for note in event.notes:
            if note not in self._slots.notes:
                self._slots.notes.add(note)
                self._view.say(note)

    def _lost(self, event: Lost) -> None:
        """Book a slot's death: its trial is tried again or given up, the others go again."""
        place = self._slots.places.pop(event.slot)
        loss = self._schedule.lost(event)
        self._ledger.drop(np.array(loss.again, np.int64))
        for trial in loss.blamed:
            ends = Ends(
                np.array([trial], np.int64),
                np.array([event.status], np.int64),
                np.array([event.started]),
                np.array([event.seconds]),
                {trial: event.reason},
                {} if event.traceback is None else {trial: event.traceback},
            )
            final = np.array([trial in loss.given_up])
            attempt = self._schedule.attempt(trial) - 1  # the next one has the next number
            self._ledger.end(ends, final, np.array([attempt], np.int64), place)
            self._monitor.end(ends, final, self._elapsed_s())

    def _drain(self) -> None:
        """Let what is nearly done end, then stop the slots; nothing new is handed out."""
        began = self._elapsed_s()
        killed = False
        while self._schedule.running and self._elapsed_s() - began < GIVE_UP_S:
            if not killed and self._elapsed_s() - began > DRAIN_S:
                killed = True
                for slot in self._slots.places:
                    self._slots.backend.kill(slot)
            events = self._slots.backend.wait(TICK_S)
            self._take_in([event for event in events if not isinstance(event, Lost)])
            for event in events:
                if isinstance(event, Lost):  # the driver's doing, not the trial's: no attempt to book
                    loss = self._schedule.lost(event)
                    self._ledger.drop(np.array(loss.again + loss.given_up, np.int64))
                    self._slots.places.pop(event.slot, None)

    def _is_due(self) -> bool:
        """Whether results have waited long enough."""
        waited = self._elapsed_s() - self._stored_s
        return self._ledger.rows >= FLUSH_ROWS or (self._ledger.finished > 0 and waited >= FLUSH_S)

    def _flush(self) -> None:
        """Store what has gathered."""
        if self._ledger.finished or self._ledger.attempts:
            rows, metrics = self._ledger.take(self._columns, self._seeds)
            self._store.append(self._number, self._stage.name, rows, metrics)
        self._stored_s = self._elapsed_s()

    def _show(self, *, now: bool = False) -> None:
        """Redraw, a few times a second."""
        clock = self._elapsed_s()
        if now or clock - self._shown_s >= TICK_S:
            self._monitor.look_for_hints()
            self._view.update(self._monitor.snapshot(clock, self._schedule.running, len(self._slots.places)))
            self._shown_s = clock
