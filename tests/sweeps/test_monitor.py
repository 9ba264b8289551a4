"""What a person watching is told: counts, the best so far, the newest trouble, and now and then a hint."""

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.monitor import Monitor
from sweeps.objective import Objective
from sweeps.regions import Region
from sweeps.snapshot import Best, Snapshot
from sweeps.space import Range, Space
from workers.messages import Ends, Reports, Status

EARLIER = Best(0.5, "coarse", 3, {"lr": 0.1}, (0.4, 0.5))
BASE = Snapshot(
    run="demo",
    metric="acc",
    mode="max",
    stage="fine",
    number=2,
    stages=2,
    epochs=5,
    total=100,
    counts={},
    running=0,
    slots=0,
    rate=0.0,
    elapsed_s=30.0,
    eta_s=None,
    best=None,
    newest=None,
    hint=None,
)
LR = Range(1e-6, 1e-3, log=True, limits=(0.0, math.inf))
VALUES = st.sampled_from([math.nan, math.inf, -math.inf, -2.0, 0.0, 0.25, 1.0, 3.0])


def watch(base=BASE, *, done=None, lr=None):
    """A monitor of a stage of 100 trials with these learning rates."""
    columns = {"lr": [0.01] * 100 if lr is None else lr, "beta": [None] * 99 + [0.9]}
    region = Region(Space({"lr": LR}))
    return Monitor(base, Objective(base.metric, base.mode), region, columns, done or {})


def reports(trial, values, metric="acc"):
    values = np.array(values, np.float64)
    count = len(values)
    return Reports(np.full(count, trial, np.int64), np.arange(1, count + 1), {metric: values}, {})


def ends(trials, status=Status.COMPLETED, reasons=None):
    count = len(trials)
    status = np.broadcast_to(np.array(status, np.int64), count)
    return Ends(np.array(trials, np.int64), status, np.zeros(count), np.ones(count), reasons or {}, {})


def end(watched, trials, status=Status.COMPLETED, *, at_s=31.0, reasons=None, final=True):
    watched.end(ends(trials, status, reasons), np.full(len(trials), final), at_s)


def seen(watched, now_s=31.0):
    return watched.snapshot(now_s, running=4, slots=2)


@given(st.lists(st.tuples(st.sampled_from(Status), st.booleans()), max_size=100))
def test_trials_are_counted_by_how_they_ended_on_top_of_those_that_were_stored(trials):
    watched = watch(done={"completed": 7, "lost": 1})
    status, final = [each for each, _ in trials], np.array([is_final for _, is_final in trials], np.bool_)
    watched.end(ends(range(len(trials)), status), final, 31.0)
    expected = Counter(completed=7, lost=1) + Counter(each.word for each, is_final in trials if is_final)
    assert seen(watched).counts == expected


def test_what_does_not_change_is_passed_on():
    now = seen(watch(replace(BASE, best=EARLIER)), 42.0)
    assert now == replace(BASE, best=EARLIER, running=4, slots=2, elapsed_s=42.0)


def test_a_snapshot_stays_as_it_was():
    watched = watch()
    before = seen(watched)
    end(watched, [0])
    assert before.counts == {}


@pytest.mark.parametrize("mode", ["max", "min"])
@given(batches=st.lists(st.lists(VALUES, min_size=1, max_size=5), max_size=20))
def test_the_best_is_the_first_of_the_best_finite_values_in_the_direction_of_the_objective(mode, batches):
    watched = watch(replace(BASE, mode=mode))
    for trial, values in enumerate(batches):
        watched.report(reports(trial, values))
    turn = -1 if mode == "max" else 1
    finite = [(value, trial) for trial, values in enumerate(batches) for value in values if math.isfinite(value)]
    found = watched.best and (watched.best.value, watched.best.trial)
    assert found == min(finite, key=lambda pair: turn * pair[0], default=None)


def test_the_best_has_its_stage_and_the_parameters_that_are_active_in_it():
    watched = watch()
    watched.report(reports(7, [0.3, 0.6]))
    assert watched.best == Best(0.6, "fine", 7, {"lr": 0.01}, ())
    watched.report(reports(99, [0.7]))
    assert watched.best == Best(0.7, "fine", 99, {"lr": 0.01, "beta": 0.9}, ())
    watched.extend_curve((0.6, 0.7))
    assert seen(watched).best == Best(0.7, "fine", 99, {"lr": 0.01, "beta": 0.9}, (0.6, 0.7))


@pytest.mark.parametrize("values", [[0.5], [0.4, math.nan], [math.inf], [-math.inf], []])
def test_the_best_of_the_stages_before_stays_until_it_is_beaten(values):
    watched = watch(replace(BASE, best=EARLIER))
    watched.report(reports(0, values))
    watched.report(reports(1, [0.9], metric="loss"))
    assert seen(watched).best == EARLIER
    watched.report(reports(2, [0.51]))
    assert seen(watched).best == Best(0.51, "fine", 2, {"lr": 0.01}, ())


def test_the_rate_is_that_of_the_last_ten_seconds_and_the_rest_of_the_stage_takes_so_long():
    watched = watch(done={"completed": 20})
    for second in range(31, 61):
        end(watched, [second], at_s=float(second))
    assert seen(watched, 60.0).rate == pytest.approx(1.1)
    assert seen(watched, 60.0).eta_s == pytest.approx((100 - 20 - 30) / 1.1)
    assert seen(watched, 65.5).rate == pytest.approx(0.5)
    assert seen(watched, 100.0).rate == 0.0
    assert seen(watched, 100.0).eta_s is None


def test_the_rate_of_a_young_stage_is_that_of_its_life():
    watched = watch()
    assert seen(watched, 30.0).eta_s is None
    end(watched, [0, 1, 2, 3], at_s=32.0)
    end(watched, [4], Status.TIMEOUT, at_s=32.0, final=False)
    assert seen(watched, 32.0).rate == pytest.approx(2.0)
    assert seen(watched, 32.0).eta_s == pytest.approx(48.0)


def test_the_newest_trouble_is_told_in_words():
    watched = watch()
    end(watched, [1])
    assert seen(watched).newest is None
    end(watched, [4, 5], [Status.STOPPED, Status.FAILED], reasons={4: "loss is nan at epoch 2", 5: "ValueError: no"})
    assert seen(watched).newest == "fine 5 failed: ValueError: no"
    end(watched, [6])
    assert seen(watched).newest == "fine 5 failed: ValueError: no"
    end(watched, [2], Status.TIMEOUT, reasons={2: "ran longer than 1 s"}, final=False)
    assert seen(watched).newest == "fine 2 timeout: ran longer than 1 s"


def run(watched, trials, values, status=Status.COMPLETED):
    """Trials report these values and end."""
    for trial, value in zip(trials, values, strict=True):
        watched.report(reports(trial, [value]))
    end(watched, trials, status)
    watched.look_for_hints()


def test_edges_are_looked_at_after_twenty_trials_and_again_after_each_fifth_more():
    watched = watch(lr=[*np.geomspace(1e-6, 1e-3, 20), *[3e-5] * 80])
    run(watched, range(1, 20), range(19))
    assert seen(watched).hint is None
    run(watched, [0], [-1])
    edge = "best lr of 4 of the 5 best trials lie in the top 20 % of [1e-06, 0.001]"
    assert seen(watched).hint == edge
    run(watched, range(20, 24), [99] * 4)
    assert seen(watched).hint == edge
    run(watched, [24], [99])
    assert seen(watched).hint is None


def test_a_hint_tells_where_trials_diverge():
    watched = watch(lr=np.geomspace(1e-6, 1e-3, 100).tolist())
    run(watched, range(81, 100, 2), [math.nan] * 10, Status.STOPPED)
    run(watched, range(1, 80, 2), range(40))
    expected = "best lr of 4 of the 5 best trials lie beside 0.000266, above which 10 of 10 trials diverge"
    assert seen(watched).hint == expected


def test_there_is_no_hint_while_nothing_is_finite():
    watched = watch()
    end(watched, range(100), Status.STOPPED)
    watched.look_for_hints()
    assert seen(watched).hint is None
