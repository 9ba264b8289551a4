"""Which trial goes where next: every trial ends exactly once, whatever becomes of the slots."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sweeps.schedule import BATCH_S, MAX_BATCH, Loss, Schedule
from workers.messages import Ends, Lost, Status


def plan(count, retries=1):
    return Schedule(np.arange(count, dtype=np.int64), retries)


def ends(trials, seconds=1.0, status=Status.COMPLETED):
    count = len(trials)
    return Ends(
        np.array(trials, np.int64),
        np.broadcast_to(np.array(status, np.int64), count),
        np.zeros(count),
        np.full(count, seconds),
        {},
        {},
    )


def lost(slot, trial, *, blameless=False):
    return Lost(slot, Status.LOST, trial, math.nan, math.nan, "killed", blameless=blameless)


def feed(schedule, slots):
    """What every slot gets when all that they may have is handed out: (slot, order) pairs."""
    orders = []
    for slot in range(slots):
        while (order := schedule.order(slot, slots)) is not None:
            orders.append((slot, order))
    return orders


def sizes(seconds, count, slots=2):
    """Sizes of the batches, in order, of a stage whose trials last so long."""
    schedule = plan(count)
    orders = feed(schedule, slots)
    for slot, order in orders:
        schedule.ended(order.batch, ends(order.trials, seconds(order.trials) if callable(seconds) else seconds))
        orders += [(slot, more) for _, more in feed(schedule, slots)]
    assert schedule.done
    assert [int(t) for _, order in orders for t in order.trials] == list(range(count))
    return [len(order.trials) for _, order in orders]


class Stages(RuleBasedStateMachine):
    """A stage on slots that come up, run what they have in order, and are lost."""

    @initialize(trials=st.integers(0, 40), retries=st.integers(0, 2), seconds=st.sampled_from([0.001, 0.05, 0.2, 1.0]))
    def begin(self, trials, retries, seconds):
        self.trials, self.retries, self.seconds = trials, retries, seconds
        self.schedule = plan(trials, retries)
        self.up = {}  # batches of each slot that is up: (number, trials that have not ended)
        self.dead = []  # batches that were lost
        self.numbers = set()
        self.over = Counter()  # how often each trial ended for good
        self.spent = Counter()  # tries of each trial that ended badly, by its own fault
        self.made = Counter()  # attempts at each trial that came to nothing, for whatever reason
        self.eager = set()  # batches that are retries

    @rule(slot=st.integers(0, 3))
    def come_up(self, slot):
        self.up.setdefault(slot, [])

    @rule()
    def hand_out(self):
        flying = [trial for batches in self.up.values() for _, left in batches for trial in left]
        for slot, batches in sorted(self.up.items()):
            while (order := self.schedule.order(slot, len(self.up))) is not None:
                trials = order.trials.tolist()
                assert trials
                assert len(trials) <= (1 if order.eager else MAX_BATCH)
                assert order.batch not in self.numbers
                assert not any(trial in flying or self.over[trial] for trial in trials)
                assert all(self.schedule.attempt(trial) == 1 + self.made[trial] for trial in trials)
                assert all(self.spent[trial] <= self.retries for trial in trials)
                flying += trials
                self.numbers.add(order.batch)
                self.eager |= {order.batch} if order.eager else set()
                batches.append((order.batch, trials))
            assert len(batches) <= 2
            assert len(batches) == 1 or not any(number in self.eager for number, _ in batches)
        if self.up and self.schedule.waiting:
            assert all(self.up.values()), "a slot has nothing to do while trials wait"

    @precondition(lambda self: any(self.up.values()))
    @rule(data=st.data(), is_late=st.sampled_from([False, False, True]))
    def some_end(self, data, is_late):
        slot = data.draw(st.sampled_from([slot for slot, batches in self.up.items() if batches]))
        number, left = self.up[slot][0]
        gone = left[: data.draw(st.integers(0, len(left)))]
        status = [Status.COMPLETED] * len(gone)
        if is_late and gone:
            status[-1] = Status.TIMEOUT
        final = self.schedule.ended(number, ends(gone, self.seconds, status))
        self.up[slot] = [(n, [t for t in trials if t not in gone]) for n, trials in self.up[slot]]
        self.up[slot] = [batch for batch in self.up[slot] if batch[1]]
        for trial, how, is_final in zip(gone, status, final.tolist(), strict=True):
            self.spent[trial] += how == Status.TIMEOUT
            self.made[trial] += how == Status.TIMEOUT
            assert is_final == (how != Status.TIMEOUT or self.spent[trial] > self.retries)
            self.over[trial] += is_final

    @precondition(lambda self: self.up)
    @rule(data=st.data(), who=st.sampled_from(["first", "between", "unknown", "ended"]), blameless=st.booleans())
    def lose(self, data, who, blameless):
        slot = data.draw(st.sampled_from(sorted(self.up)))
        batches = self.up.pop(slot)
        left = [trial for _, trials in batches for trial in trials]
        self.dead += [number for number, _ in batches]
        ended = next((trial for trial, times in self.over.items() if times), -1)
        running = {"first": left[0] if left else -1, "between": -1, "unknown": None, "ended": ended}[who]
        loss = self.schedule.lost(lost(slot, running, blameless=blameless))
        is_retry = any(number in self.eager for number, _ in batches)
        is_clear = who == "first" or (len(left) == 1 and (who == "unknown" or is_retry))
        known = left[0] if left and is_clear else None
        assert loss.blamed == ((known,) if known is not None else tuple(left) if who == "unknown" else ())
        self.made.update(loss.blamed)
        if known is not None and not blameless:
            self.spent[known] += 1
        assert loss.given_up == ((known,) if known is not None and self.spent[known] > self.retries else ())
        assert sorted(loss.again + loss.given_up) == sorted(left)
        self.over.update(loss.given_up)

    @precondition(lambda self: self.dead)
    @rule(data=st.data())
    def the_dead_speak(self, data):
        number = data.draw(st.sampled_from(self.dead))
        assert self.schedule.ended(number, ends([0])) is None

    @invariant()
    def nothing_is_lost(self):
        running = sum(len(trials) for batches in self.up.values() for _, trials in batches)
        assert self.schedule.running == running
        assert self.schedule.waiting + running + self.over.total() == self.trials
        assert self.schedule.done == (self.over.total() == self.trials)
        assert self.schedule.next_batch == len(self.numbers)

    def teardown(self):
        if hasattr(self, "schedule"):
            self.come_up(0)
            for _ in range(self.trials + 1):
                self.hand_out()
                for slot, batches in self.up.items():
                    for number, left in batches:
                        assert self.schedule.ended(number, ends(left, self.seconds)).all()
                        self.over.update(left)
                    self.up[slot] = []
            assert self.over == Counter(range(self.trials))


TestEveryTrialEndsExactlyOnce = Stages.TestCase
TestEveryTrialEndsExactlyOnce.settings = settings(max_examples=150, stateful_step_count=30)


@pytest.mark.parametrize("seconds", [BATCH_S / 1.9, 1.0, 3600.0])
def test_long_trials_go_out_one_at_a_time_to_a_slot_that_has_none(seconds):
    assert set(sizes(seconds, 40)) == {1}
    schedule = plan(40)
    ((_, first),) = feed(schedule, 1)
    schedule.ended(first.batch, ends(first.trials, seconds))
    assert len(feed(schedule, 1)) == 1


def test_short_trials_go_out_in_batches_worth_a_quarter_of_a_second_with_one_waiting():
    schedule = plan(10_000)
    for _ in range(6):
        for _, order in feed(schedule, 1):
            schedule.ended(order.batch, ends(order.trials, 0.001))
    running, waiting = feed(schedule, 1)
    assert len(running[1].trials) == len(waiting[1].trials) == BATCH_S / 0.001


def test_batches_grow_step_by_step_from_one_trial_and_never_past_the_largest():
    found = sizes(0.0, 100_000)
    assert found[:2] == [1, 1]
    assert all(after <= 8 * before for before, after in itertools.pairwise(found))
    assert max(found) == MAX_BATCH


def test_batches_shrink_when_trials_become_longer():
    found = sizes(lambda trials: 0.001 if trials[0] < 5_000 else 0.5, 6_000)
    assert max(found) == 250
    assert found[-100:] == [1] * 100


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_the_last_short_trials_are_shared_out_over_the_slots(slots):
    schedule = plan(1000)
    while schedule.waiting > 200:
        for _, order in feed(schedule, slots):
            schedule.ended(order.batch, ends(order.trials, 0.0001))
    left = schedule.waiting
    shares = Counter()
    for slot, order in feed(schedule, slots):
        shares[slot] += len(order.trials)
    assert max(shares.values()) <= math.ceil(left / slots)
    assert min(shares.values()) > 0


def test_a_batch_that_nobody_sent_or_that_is_over_tells_nothing():
    schedule = plan(3)
    ((_, order),) = feed(schedule, 1)
    assert schedule.ended(order.batch + 1, ends([1])) is None
    assert schedule.ended(order.batch, ends([])).tolist() == []
    assert schedule.ended(order.batch, ends([0])).tolist() == [True]
    assert schedule.ended(order.batch, ends([0])) is None
    assert (schedule.waiting, schedule.running) == (2, 0)


def test_numbers_of_batches_go_on_from_the_stage_before():
    schedule = Schedule(np.arange(3, dtype=np.int64), retries=0, first_batch=7)
    assert [order.batch for _, order in feed(schedule, 2)] == [7, 8]
    assert schedule.next_batch == 9


def with_batches():
    """A schedule whose slot 0 has two batches of a dozen trials, and these trials; more of them wait."""
    schedule = plan(1000)
    for _ in range(3):
        for _, order in feed(schedule, 1):
            schedule.ended(order.batch, ends(order.trials, 0.02))
    return schedule, [trial for _, order in feed(schedule, 1) for trial in order.trials.tolist()]


def test_the_trial_that_was_running_is_to_blame_and_goes_alone_and_the_rest_go_on_first():
    schedule, left = with_batches()
    assert schedule.lost(lost(0, left[0])) == Loss(tuple(left), (), (left[0],))
    alone, rest = schedule.order(0, 2), schedule.order(1, 2)
    assert alone.eager
    assert alone.trials.tolist() == [left[0]]
    assert schedule.attempt(left[0]) == 2
    assert not rest.eager
    assert rest.trials.tolist() == left[1:13]
    assert schedule.attempt(left[1]) == 1


def test_when_nobody_can_tell_who_was_running_all_go_again_alone_and_none_has_spent_a_try():
    schedule, left = with_batches()
    assert schedule.lost(lost(0, None)) == Loss(tuple(left), (), tuple(left))
    orders = [schedule.order(slot, 3) for slot in range(len(left))]
    assert all(order.eager for order in orders)
    assert [order.trials.tolist() for order in orders] == [[trial] for trial in left]
    assert {schedule.attempt(trial) for trial in left} == {2}


def test_a_slot_lost_between_two_trials_blames_none_and_the_one_about_to_begin_goes_alone():
    schedule, left = with_batches()
    assert schedule.lost(lost(0, -1)) == Loss(tuple(left), (), ())
    alone, rest = schedule.order(1, 2), schedule.order(2, 2)
    assert alone.eager
    assert alone.trials.tolist() == left[:1]
    assert not rest.eager
    assert rest.trials.tolist() == left[1:13]
    assert schedule.attempt(left[0]) == 1
    assert schedule.lost(lost(1, -1)).blamed == (left[0],), "a slot that keeps dying has a culprit"


def test_a_machine_that_went_away_costs_no_try():
    schedule = plan(1, retries=0)
    for _ in range(5):
        assert [order.trials.tolist() for _, order in feed(schedule, 1)] == [[0]]
        assert schedule.lost(lost(0, 0, blameless=True)) == Loss((0,), (), (0,))
    feed(schedule, 1)
    assert schedule.lost(lost(0, 0)) == Loss((), (0,), (0,))
    assert schedule.done


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_trial_is_tried_so_many_times_again_and_then_given_up(retries):
    schedule = plan(1, retries)
    for attempt in range(1, retries + 2):
        ((_, order),) = feed(schedule, 1)
        assert order.eager == (attempt > 1)
        assert schedule.attempt(0) == attempt
        is_last = attempt == retries + 1
        if attempt % 2:
            assert schedule.ended(order.batch, ends([0], status=Status.TIMEOUT)).tolist() == [is_last]
        else:
            assert schedule.lost(lost(0, 0)).given_up == ((0,) if is_last else ())
    assert schedule.done


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.STOPPED, Status.FAILED])
def test_only_a_time_out_or_a_loss_is_tried_again(status):
    schedule = plan(1, retries=3)
    ((_, order),) = feed(schedule, 1)
    assert schedule.ended(order.batch, ends([0], status=status)).tolist() == [True]
    assert schedule.done


def test_a_message_counts_once_and_only_while_its_batch_is_on_its_way():
    schedule = plan(2)
    ((_, order),) = feed(schedule, 1)
    assert not schedule.hears(order.batch + 1, 0)
    assert [schedule.hears(order.batch, part) for part in (0, 0, 1, 0, 1, 2)] == [True, False, True, False, False, True]
    schedule.ended(order.batch, ends([0]))
    assert not schedule.hears(order.batch, 3)


def test_attempts_are_counted_on_from_those_under_an_earlier_driver_and_all_retries_are_there_again():
    schedule = Schedule(np.arange(2, dtype=np.int64), retries=1, attempts={0: 2})
    assert (schedule.attempt(0), schedule.attempt(1)) == (3, 1)
    ((_, order),) = feed(schedule, 1)
    assert order.trials.tolist() == [0]
    assert schedule.lost(lost(0, 0)).again == (0,)
    assert schedule.attempt(0) == 4
