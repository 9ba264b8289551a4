"""Simulated slots behind the four verbs: what a trial does depends on the trial, what befalls it on the seed."""

import heapq
import itertools
import math
from collections import Counter, deque

import numpy as np

from simulation.disk import Died
from workers.messages import Ends, Lost, Ready, Reports, Results, Status

# By a trial's seed. All seeds of the simulation have the same few trials: in this order they are of every kind.
_KINDS = ["completed", "completed", "failed", "completed", "stopped", "completed"]
_KINDS += ["overdue", "late", "lost", "slow", "late"]
_WHOLE = ("completed", "late")  # comes to its budget, whatever that is; the others to an epoch that is their last
_LAST = 4  # at most
_ENDED_AT_A_REPORT = ("stopped", "overdue")  # of which no checkpoint is left; the others within an epoch


class Clock:
    """A clock that stands until somebody waits."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def story(seed, lr, epochs):
    """What a trial reports and how it ends, whenever and wherever it runs: (kind, reports, status, reason).

    Trained further it reports the same and more, and may come to the epoch that it does not survive.
    """
    kind, last = _KINDS[seed % len(_KINDS)], 1 + seed // len(_KINDS) % _LAST
    if kind not in _WHOLE and last > epochs:
        kind = "completed"
    count = epochs if kind in _WHOLE else last if kind in _ENDED_AT_A_REPORT else last - 1
    worth, tires = 1 - (math.log10(lr) + 3) ** 2 / 9, 0.3 * (seed % 2)
    reports = [{"loss": 1 / (e + lr), "val_acc": worth * e * (1 - tires * e)} for e in range(1, count + 1)]
    for metrics in reports[1:]:
        metrics |= {"late": lr} if kind == "late" else {}
    if kind == "stopped":
        reports[-1]["loss"] = math.nan
        return kind, reports, Status.STOPPED, f"loss is nan at epoch {count}"
    if kind == "failed":
        return kind, reports, Status.FAILED, "ValueError: no"
    if kind == "lost":
        return kind, reports, Status.LOST, "the worker process was killed by SIGSEGV"
    if kind in ("slow", "overdue"):
        return kind, reports, Status.TIMEOUT, "ran longer than 9 s"
    return kind, reports, Status.COMPLETED, None


class Slot:
    """A slot: the batches that it has, and what it has not said yet."""

    def __init__(self, life=0):
        self.life = life
        self.up = False
        self.batches = deque()  # (batch, trials without an end)
        self.running = None  # trial, its start
        self.unsaid = []  # (trial, epoch, metrics) that were reported and not sent
        self.ends = []  # (trial, status, started, seconds, reason)
        self.saved = 0  # epoch of the running trial's checkpoint, of which nobody else may have a copy
        self.said = 0  # messages of the batch that runs
        self.speaks_at = 0.0  # no message overtakes an earlier one of its slot


class Workers:
    """The backend.

    Attributes:
        hurt: How often each trial was harmed by no fault of its own.
        trained: How often each (trial, epoch) was trained, but for those of which no checkpoint can be left.
    """

    def __init__(self, rng, clock, slots, *, trouble, patience, events_to_live, commits=None):
        """Start the slots.

        Args:
            rng: Decides what befalls them.
            clock: The driver's.
            slots: How many.
            trouble: Probability that a trial is struck.
            patience: A trial is harmed at most so often.
            events_to_live: After so many calls the driver dies in the next one; None for never.
            commits: The checkpoints that outlast a slot; None where trials leave none.
        """
        self._rng, self._clock, self._trouble, self._patience = rng, clock, trouble, patience
        self._left = events_to_live
        self._order = itertools.count()
        self._agenda = []  # (time, tie-break, slot, life, what is done then)
        self._commits = commits
        self.hurt = Counter()
        self.trained = Counter()
        self._slots = {number: Slot() for number in range(slots)}
        self._open = set()  # slots that are up as far as the driver can know
        for number in self._slots:
            self._rise(number, rng.choice([0.0, 0.0, 0.5, 4.0]))

    def submit(self, slot, batch):
        self._live()
        assert slot in self._open, "a batch for a slot that is down"
        if self._slots[slot].up:  # else it is dead, and the driver has not heard of it
            self._slots[slot].batches.append((batch, deque(batch.trials.tolist())))
            self._begin(slot)

    def wait(self, timeout_s):
        self._live()
        assert self._clock.now < 5_000, "the run does not come to its end"
        until, told = self._clock.now + timeout_s, []
        while self._agenda and not told:
            if self._agenda[0][0] > until:
                break
            self._next(told)
        while self._agenda and self._agenda[0][0] <= self._clock.now:
            self._next(told)
        if not told:
            self._clock.now = until
        return told

    def kill(self, slot):
        if self._slots[slot].up:
            when = self._clock.now + self._rng.uniform(0, 4)
            self._at(when, slot, lambda told: self._die(slot, told, Status.LOST, None))

    def close(self):
        pass

    def _live(self):
        """Die when it is time."""
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise Died

    def _at(self, when, slot, act):
        """Do something at a time, if the slot still has this life then."""
        heapq.heappush(self._agenda, (when, next(self._order), slot, self._slots[slot].life, act))

    def _next(self, told):
        """Do what is next on the agenda."""
        when, _, slot, life, act = heapq.heappop(self._agenda)
        self._clock.now = max(self._clock.now, when)
        if life in (None, self._slots[slot].life):
            act(told)

    def _rise(self, slot, when):
        def act(told):
            self._slots[slot].up = True
            self._tell(self._clock.now, Ready(slot, "host", 100 * slot + self._slots[slot].life))

        self._at(when, slot, act)

    def _begin(self, number):
        """Begin the next trial of a slot."""
        slot, rng = self._slots[number], self._rng
        while slot.batches and not slot.batches[0][1]:
            slot.batches.popleft()
            slot.said = 0
        if slot.running is not None or not slot.batches:
            return
        batch, left = slot.batches[0]
        trial = left[0]
        row = batch.trials.tolist().index(trial)
        kind, reports, status, reason = story(int(batch.seeds[row]), batch.columns[0][row], int(batch.epochs[row]))
        began = self._clock.now
        slot.running = (trial, began)
        leave = len(reports) - (kind in _ENDED_AT_A_REPORT)
        slot.saved = 0 if self._commits is None else self._commits.epoch(trial)
        seconds = rng.choice([0.001, 0.01, 0.1, 1.0]) * rng.uniform(0.5, 1)
        struck = kind not in ("lost", "slow", "overdue") and rng.random() < self._trouble
        if struck and all(self.hurt[each] < self._patience for _, trials in slot.batches for each in trials):
            self.hurt.update(each for _, trials in slot.batches for each in trials)
            reached, kind = max(slot.saved, rng.randrange(len(reports) + 1)), rng.choice(["lost", "slow", "vanish"])
            reports, status, reason = reports[:reached], Status.TIMEOUT if kind == "slow" else Status.LOST, "bad luck"
        # What a checkpoint carries is told again at once, before the trial gets another chance to take its slot along.
        again = min(slot.saved, len(reports))
        self.trained.update((trial, epoch) for epoch in range(again + 1, min(len(reports), leave) + 1))
        for epoch, metrics in enumerate(reports, 1):
            when = began + (seconds * epoch / (len(reports) + 1) if epoch > again else 0.0)
            tells, leaves = epoch > batch.starts[row], again < epoch <= leave
            self._at(when, number, self._reporting(number, trial, epoch, metrics if tells else None, leaves))
        if kind == "vanish":
            self._at(began + seconds, number, lambda told: self._vanish(number, told, reason))
        elif kind in ("lost", "slow"):
            self._at(began + seconds, number, lambda told: self._die(number, told, status, trial, reason))
        else:
            self._at(began + seconds, number, lambda told: self._end(number, told, trial, status, reason))

    def _reporting(self, number, trial, epoch, metrics, leaves):
        """A report, which is told unless it is stored, and which may leave a checkpoint."""

        def act(told):
            slot = self._slots[number]
            if metrics is not None:
                slot.unsaid.append((trial, epoch, metrics))
            if leaves and self._commits is not None:
                slot.saved = epoch
                if self._rng.random() < 0.3:
                    self._bring_home(slot, trial)
            if slot.batches[0][0].eager or self._rng.random() < 0.2:
                self._say(number, told)

        return act

    def _bring_home(self, slot, trial):
        """Copy a checkpoint to where it outlasts its slot."""
        if slot.saved:
            self._commits.put(trial, slot.saved)

    def _end(self, number, told, trial, status, reason):
        slot = self._slots[number]
        _, started = slot.running
        slot.running = None
        self._bring_home(slot, trial)
        slot.ends.append((trial, status, started, self._clock.now - started, reason))
        batch, left = slot.batches[0]
        left.popleft()
        if not left or batch.eager or self._rng.random() < 0.5:
            self._say(number, told)
        self._begin(number)

    def _say(self, number, told):
        """Send what was not said; it may take its time, and it may come twice, the second time long after."""
        slot, rng = self._slots[number], self._rng
        reports, ends = slot.unsaid, slot.ends
        slot.unsaid, slot.ends = [], []
        slot.said += 1
        names = list({name: None for _, _, metrics in reports for name in metrics})
        gaps = {name: np.array([name not in metrics for _, _, metrics in reports], np.bool_) for name in names}
        message = Results(
            number,
            slot.batches[0][0].id,
            slot.said,
            Reports(
                np.array([trial for trial, _, _ in reports], np.int64),
                np.array([epoch for _, epoch, _ in reports], np.int64),
                {name: np.array([metrics.get(name, math.nan) for _, _, metrics in reports]) for name in names},
                {name: gap for name, gap in gaps.items() if gap.any()},
            ),
            Ends(
                np.array([end[0] for end in ends], np.int64),
                np.array([end[1] for end in ends], np.int64),
                np.array([end[2] for end in ends], np.float64),
                np.array([end[3] for end in ends], np.float64),
                {end[0]: end[4] for end in ends if end[4] is not None},
                {end[0]: "Traceback" for end in ends if end[1] == Status.FAILED},
            ),
        )
        slot.speaks_at = max(slot.speaks_at, self._clock.now + rng.choice([0.0, 0.0, 0.0, 0.3]))
        self._tell(slot.speaks_at, message)
        if rng.random() < self._trouble:
            self._tell(slot.speaks_at + rng.choice([0.0, 1.0, 10.0]), message)

    def _tell(self, when, event):
        """Deliver an event, whatever becomes of its slot."""

        def act(told):
            if isinstance(event, Lost):
                self._open.discard(event.slot)
            elif isinstance(event, Ready):
                self._open.add(event.slot)
            told.append(event)

        heapq.heappush(self._agenda, (when, next(self._order), 0, None, act))

    def _die(self, number, told, status, trial, reason="killed", *, blameless=False):
        """A slot dies with what it had; its last words are heard before, those of an eager batch all of them."""
        slot, rng = self._slots[number], self._rng
        if slot.batches and (slot.batches[0][0].eager or rng.random() < 0.3):
            self._say(number, told)
        if slot.running is not None:
            self._bring_home(slot, slot.running[0])
        started = math.nan if slot.running is None else slot.running[1]
        when = max(slot.speaks_at, self._clock.now)
        self._slots[number] = Slot(slot.life + 1)
        self._tell(when, Lost(number, status, trial, started, 1.0, reason, None, blameless))
        self._rise(number, when + rng.choice([0.0, 0.5, 4.0]))  # what it was told of its death comes first

    def _vanish(self, number, told, reason):
        """A machine goes, by its own fault or nobody's, and nobody can tell what its slots were about."""
        self._slots[number].saved = 0  # its disk goes with it
        culprit = self._rng.choice([None, None, -1])
        self._die(number, told, Status.LOST, culprit, reason, blameless=self._rng.random() < 0.5)
