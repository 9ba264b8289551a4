"""Trials while they run: slots are kept fed, what comes back is booked, shown and stored."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np

from sweeps.book import Book, Books, Goals, configs, ends_by_stage, reports_by_stage
from sweeps.keeper import Keeper
from sweeps.ledger import Place
from sweeps.progress import View
from sweeps.schedule import Schedule
from sweeps.settings import Settings
from sweeps.snapshot import Best, together
from sweeps.space import Floats
from sweeps.store import Store
from workers.backend import Backend
from workers.messages import (
    Batch,
    Ends,
    Event,
    Flags,
    Ints,
    Lost,
    Ready,
    Remark,
    Results,
    Status,
    identities,
    identity,
    indices_of,
    place_of,
    stages_of,
)

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


class Agenda(Protocol):
    """Decides while trials run what is trained next.

    Attributes:
        expected: About how many trials it will come to.
        trained: Epochs that were trained since it began.
        left: Epochs that it has still to spend.
    """

    expected: int
    trained: int
    left: int

    @property
    def open(self) -> Collection[int]:
        """Trials that train, or wait and may go on."""

    def due(self, slots: int) -> Ints:
        """(n,) trials to train next, in order; books and goals have what they need.

        Args:
            slots: So many have nothing to do, and nothing waits for them.
        """

    def ended(self, trial: int, values: Floats, completed: bool) -> None:
        """Take in that a trial came to an end.

        Args:
            trial: Which.
            values: The objective of each epoch past those that were stored when it began.
            completed: It was neither stopped nor given up.
        """


class StageRun:
    """Runs trials until none is left."""

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
        self, books: Books, pending: Ints, goals: Goals, keeper: Keeper, agenda: Agenda | None = None
    ) -> Best | None:
        """Run the pending trials, and what comes of them; the best trial so far.

        Args:
            books: The stages that the trials belong to; the last one is shown.
            pending: Trials to run.
            goals: How far they are to be trained.
            keeper: Looks after the checkpoints of those that ended.
            agenda: Decides what is trained next, while trials run; it may add to books and goals.

        Raises:
            Halt: The run was asked to end; what ended before is stored.
        """
        self._books, self._goals, self._keeper, self._agenda = books, goals, keeper, agenda
        self._looked_up: set[int] = set()  # stages whose earlier attempts are known
        self._schedule = Schedule(pending, self._settings.run.retries, self._slots.batches, self._tries(pending))
        self._ran: set[int] = set()  # trials that have ended in this run and may go on, where there is an agenda
        self._best = self._shown.monitor.best
        self._began_s = self._stored_s = self._shown_s = self._elapsed_s()
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
                self._ask_agenda()
                self._show()
                if self._is_due():
                    self._flush()
        finally:
            self._slots.batches = self._schedule.next_batch
            self._flush()
            self._show(now=True)
        return self._best

    @property
    def _shown(self) -> Book:
        """The stage that is shown."""
        return self._books[max(self._books)]

    def _tries(self, trials: Ints) -> dict[int, int]:
        """How often trials were tried under earlier drivers, for those that were.

        An agenda may come back to any trial of a stage: all are looked up when the first one comes, and nothing of this
        driver's is stored yet.
        """
        tries: dict[int, int] = {}
        for number in set(np.unique(stages_of(trials)).tolist()) - self._looked_up:
            self._looked_up.add(number)
            indices = indices_of(trials[stages_of(trials) == number])
            if self._agenda is not None:
                indices = np.arange(len(self._books[number].seeds))
            tries |= {identity(number, i): count for i, count in self._store.tries(number, indices).items()}
        return tries

    def _ask_agenda(self) -> None:
        """Queue what was decided since the last time."""
        if self._agenda is None:
            return
        idle = len(self._slots.places) - self._schedule.running - self._schedule.waiting
        trials = self._agenda.due(idle)
        for trial in trials.tolist():
            if trial in self._ran:
                self._ran.discard(trial)
                self._schedule.follow(trial)
                number, index = place_of(trial)
                self._books[number].ledger.reopen(index)
        if len(trials):
            self._schedule.add(trials, self._tries(trials))

    def _feed(self, slots: Collection[int]) -> None:
        """Give every slot what it should have."""
        for slot in sorted(slots):
            while (order := self._schedule.order(slot, len(slots))) is not None:
                columns, seeds = configs(self._books, order.trials)
                starts, ends = self._goals.of(order.trials)
                names = {n: self._books[n].name for n in np.unique(stages_of(order.trials)).tolist()}
                batch = Batch(order.batch, order.trials, seeds, starts, ends, columns, order.eager, names)
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
        for number, reports in reports_by_stage(event.reports):
            book = self._books[number]
            book.ledger.report(reports)
            book.monitor.best = self._best  # of all stages
            book.monitor.report(reports)
            best = book.monitor.best
            if best is not None and best.stage == book.name and np.any(reports.trial == best.trial):
                book.monitor.extend_curve(tuple(book.ledger.curve(best.trial).tolist()))
            self._best = book.monitor.best
        place = self._slots.places[event.slot]
        for number, ends, rows in ends_by_stage(event.ends):
            some = slice(None) if rows is None else rows
            self._end(self._books[number], ends, final[some], attempts[some], place)
        for trial, text in event.printed:
            number, index = place_of(trial)
            self._store.log(self._books[number].name if trial >= 0 else "", [(index, text)])
        for note in event.notes:
            if note not in self._slots.notes:
                self._slots.notes.add(note)
                self._view.say(note)

    def _end(self, book: Book, ends: Ends, final: Flags, attempts: Ints, place: Place) -> None:
        """Book ends of attempts at trials of one stage."""
        book.ledger.end(ends, final, attempts, place)
        starts, _ = self._goals.of(identities(book.number, ends.trial[final]))
        book.monitor.end(ends, final, self._elapsed_s(), int(np.sum(starts > 0)))
        if self._agenda is None:
            return
        for index, status in zip(ends.trial[final].tolist(), ends.status[final].tolist(), strict=True):
            trial = identity(book.number, index)
            start = self._goals.others.get(trial, (0, 0))[0]
            self._ran.add(trial)
            self._agenda.ended(trial, book.ledger.curve(index, start), status == Status.COMPLETED)

    def _lost(self, event: Lost) -> None:
        """Book a slot's death: its trial is tried again or given up, the others go again."""
        place = self._slots.places.pop(event.slot)
        loss = self._schedule.lost(event)
        self._drop(loss.again)
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
            for number, end, _ in ends_by_stage(ends):
                self._end(self._books[number], end, final, np.array([attempt], np.int64), place)

    def _drop(self, trials: tuple[int, ...]) -> None:
        """Forget what trials have reported: they go again."""
        given = np.array(trials, np.int64)
        for number in np.unique(stages_of(given)).tolist():
            self._books[number].ledger.drop(indices_of(given[stages_of(given) == number]))

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
                    self._drop(loss.again + loss.given_up)
                    self._slots.places.pop(event.slot, None)

    def _is_due(self) -> bool:
        """Whether results have waited long enough."""
        waited = self._elapsed_s() - self._stored_s
        rows = sum(book.ledger.rows for book in self._books.values())
        finished = any(book.ledger.finished for book in self._books.values())
        return rows >= FLUSH_ROWS or (finished and waited >= FLUSH_S)

    def _flush(self) -> None:
        """Store what has gathered."""
        for number, book in self._books.items():
            if book.ledger.finished or book.ledger.attempts:
                rows, metrics = book.ledger.take(book.columns, book.seeds, partial(self._stored, number))
                self._store.append(number, book.name, rows, metrics)
                if self._keeper.needed:
                    open = () if self._agenda is None else self._agenda.open
                    self._keeper.ended(book.ledger.scored(number, rows), open)
        self._stored_s = self._elapsed_s()

    def _stored(self, number: int, indices: Ints) -> Mapping[int, Mapping[str, Any]]:
        """The stored rows of those trials of a stage whose training went on."""
        trials = identities(number, indices)
        again = np.array([self._goals.others.get(trial, (0, 0))[0] > 0 for trial in trials.tolist()], np.bool_)
        return self._store.rows(number, indices[again]) if again.any() else {}

    def _show(self, *, now: bool = False) -> None:
        """Redraw, a few times a second."""
        clock = self._elapsed_s()
        if now or clock - self._shown_s >= TICK_S:
            monitor = self._shown.monitor
            monitor.best = self._best
            monitor.look_for_hints()
            running, slots = self._schedule.running, len(self._slots.places)
            snapshot = monitor.snapshot(clock, running, slots)
            if self._agenda is not None:
                others = [book.monitor.snapshot(clock, running, slots) for book in self._books.values()]
                snapshot = together(others, snapshot, *self._outlook(self._agenda, clock))
            self._view.update(snapshot)
            self._shown_s = clock

    def _outlook(self, agenda: Agenda, now_s: float) -> tuple[int, float | None]:
        """About how many trials an agenda will come to, and seconds until it ends; None while nobody can tell."""
        if self._schedule.done:
            return 0, 0.0
        took_s = now_s - self._began_s
        return agenda.expected, took_s * agenda.left / agenda.trained if agenda.trained else None
