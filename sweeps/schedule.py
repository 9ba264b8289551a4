"""Which trial goes where next: a queue as a state machine without I/O and without a clock.

Events in, decisions out. A decision looks only at what is left to run and at what happened; nothing here depends on
which backend is below or on what time it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workers.messages import Ends, Flags, Ints, Lost, Status

BATCH_S = 0.25  #: work waiting in a slot when trials are short
MAX_BATCH = 4096
_GROWTH = 8  #: a batch grows at most so many times from one to the next
_SMOOTHING = 0.3


@dataclass(slots=True)
class _Flight:
    """A batch on its way."""

    slot: int
    trials: Ints  # those that have not ended, in the order in which they run
    eager: bool
    heard: int = 0  # messages


@dataclass(frozen=True, slots=True)
class Order:
    """What to submit next.

    Attributes:
        batch: Number of the batch.
        trials: Its trials, in the order in which they shall run.
        eager: A retry: everything that it says is sent at once.
    """

    batch: int
    trials: Ints
    eager: bool


@dataclass(frozen=True, slots=True)
class Loss:
    """What a lost slot means for the trials that it had.

    Attributes:
        again: Trials that go again.
        given_up: Trials that have no try left.
        blamed: Trials whose attempt this was: the one that was running, or all when nobody can tell.
    """

    again: tuple[int, ...]
    given_up: tuple[int, ...]
    blamed: tuple[int, ...]


class Schedule:
    """The trials that are still to be run.

    Attributes:
        retries: How often a trial is tried again after a loss or a time-out.
    """

    def __init__(
        self, pending: Ints, retries: int, first_batch: int = 0, attempts: Mapping[int, int] | None = None
    ) -> None:
        """Plan to run trials.

        Args:
            pending: Trials to run, in order.
            retries: How often one of them may be tried again.
            first_batch: Number of the first batch; numbers are never used twice in a driver's life.
            attempts: How often trials were tried before, under an earlier driver; they have all their retries again.
        """
        self.retries = retries
        self._pending = pending
        self._cursor = 0
        self._again: deque[int] = deque()
        self._tries: dict[int, int] = {}  # that used up a retry
        self._attempts = dict(attempts or {})  # that came to nothing, for whatever reason
        self._flights: dict[int, _Flight] = {}
        self._next = first_batch
        self._seconds: float | None = None
        self._last_size = 1

    def add(self, trials: Ints, attempts: Mapping[int, int]) -> None:
        """Put more trials at the end of the queue: new ones, or ones whose training goes on.

        Args:
            trials: Which.
            attempts: How often trials that are heard of for the first time were tried before.
        """
        self._attempts |= attempts
        self._pending = np.concatenate([self._pending[self._cursor :], trials])
        self._cursor = 0
        for trial in trials.tolist():
            self._tries.pop(trial, None)

    def follow(self, trial: int) -> None:
        """The attempt that a trial has made came to its end: the next one has the next number."""
        self._attempts[trial] = self._attempts.get(trial, 0) + 1

    @property
    def waiting(self) -> int:
        """Trials that no slot has yet."""
        return len(self._pending) - self._cursor + len(self._again)

    @property
    def running(self) -> int:
        """Trials that a slot has and that have not ended."""
        return sum(len(flight.trials) for flight in self._flights.values())

    @property
    def done(self) -> bool:
        """Every trial has ended."""
        return not self.waiting and not self._flights

    @property
    def next_batch(self) -> int:
        """The number that the next batch will have."""
        return self._next

    def attempt(self, trial: int) -> int:
        """The number of a trial's current attempt, from 1."""
        return 1 + self._attempts.get(trial, 0)

    def order(self, slot: int, slots: int) -> Order | None:
        """The next batch for a slot, or None when it has enough or nothing is left.

        Short trials travel in batches worth about `BATCH_S`, with one batch waiting behind the one that runs; long
        ones travel alone. A retry always travels alone, so that a death has one trial to blame.

        Args:
            slot: A slot that is up.
            slots: How many are up, so that the last trials are shared out.
        """
        held = [flight for flight in self._flights.values() if flight.slot == slot]
        short = self._seconds is not None and self._seconds < BATCH_S / 2
        if len(held) >= (2 if short and not any(flight.eager for flight in held) else 1):
            return None
        if self._again:
            return None if held else self._send(slot, np.array([self._again.popleft()], np.int64), eager=True)
        left = len(self._pending) - self._cursor
        if not left:
            return None
        size = 1 if self._seconds is None else int(BATCH_S / max(self._seconds, 1e-9))
        size = max(1, min(size, MAX_BATCH, self._last_size * _GROWTH, -(-left // (2 * max(slots, 1)))))
        self._last_size = size
        trials = self._pending[self._cursor : self._cursor + size]
        self._cursor += size
        return self._send(slot, trials, eager=False)

    def hears(self, batch: int, part: int) -> bool:
        """Whether a message counts: its batch is on its way, and it was not heard before."""
        flight = self._flights.get(batch)
        if flight is None or part < flight.heard:
            return False
        flight.heard = part + 1
        return True

    def ended(self, batch: int, ends: Ends) -> Flags | None:
        """Which of these ends are final: (n,) flags; the others are time-outs that are tried again.

        None when the batch is unknown: it was lost before, and what it says now does not count.
        """
        flight = self._flights.get(batch)
        if flight is None:
            return None
        if not len(ends.trial):
            return np.ones(0, np.bool_)
        flight.trials = flight.trials[~np.isin(flight.trials, ends.trial)]
        if not len(flight.trials):
            del self._flights[batch]
        mean = float(np.mean(ends.seconds))
        self._seconds = mean if self._seconds is None else self._seconds + _SMOOTHING * (mean - self._seconds)
        final = np.ones(len(ends.trial), np.bool_)
        for i in np.flatnonzero(ends.status == Status.TIMEOUT):
            trial = int(ends.trial[i])
            final[i] = not self._try_again(trial)
            self._attempts[trial] = self._attempts.get(trial, 0) + 1
        return final

    def lost(self, event: Lost) -> Loss:
        """What becomes of the trials that a lost slot had.

        The trial that was running is to blame, and the rest take their places at the head of the queue. When nobody
        can tell which one that was, all of them go again alone, so that the next death has a culprit; between two
        trials it is the one that was about to begin.
        """
        flights = [number for number, flight in self._flights.items() if flight.slot == event.slot]
        left = [int(trial) for number in flights for trial in self._flights[number].trials]
        eager = any(self._flights[number].eager for number in flights)
        for number in flights:
            del self._flights[number]
        blamed = event.trial
        if blamed not in left:
            if len(left) == 1 and (blamed is None or eager):
                blamed = left[0]
            elif blamed is None:
                self._again.extend(left)
                return self._booked(Loss(tuple(left), (), tuple(left)))
            else:
                self._again.extend(left[:1])
                self._put_back(left[1:])
                return Loss(tuple(left), (), ())
        rest = [trial for trial in left if trial != blamed]
        self._put_back(rest)
        if event.blameless:
            self._again.append(blamed)
        elif not self._try_again(blamed):
            return self._booked(Loss(tuple(rest), (blamed,), (blamed,)))
        return self._booked(Loss(tuple(left), (), (blamed,)))

    def _booked(self, loss: Loss) -> Loss:
        """The loss, whose attempts are counted."""
        for trial in loss.blamed:
            self._attempts[trial] = self._attempts.get(trial, 0) + 1
        return loss

    def _put_back(self, trials: list[int]) -> None:
        """Put trials at the head of the queue."""
        self._pending = np.concatenate([np.array(trials, np.int64), self._pending[self._cursor :]])
        self._cursor = 0

    def _try_again(self, trial: int) -> bool:
        """Queue another try if the trial has one left."""
        self._tries[trial] = self._tries.get(trial, 0) + 1
        if self._tries[trial] > self.retries:
            return False
        self._again.append(trial)
        return True

    def _send(self, slot: int, trials: Ints, *, eager: bool) -> Order:
        """A batch on its way."""
        order = Order(self._next, trials, eager)
        self._flights[self._next] = _Flight(slot, trials, eager)
        self._next += 1
        return order
