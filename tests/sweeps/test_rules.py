"""A rule looks at a trial's own reports and says why it should stop, or nothing."""

import copy
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.rules import BlowUp, NonFinite

VALUES = st.none() | st.floats() | st.floats(0.1, 10)
REPORTS = st.lists(st.dictionaries(st.sampled_from(["loss", "acc", "lr"]), VALUES), min_size=1, max_size=8)


def losses(*values):
    return [{"loss": value, "acc": 0.5} for value in values]


@pytest.mark.parametrize(
    ("reports", "reason"),
    [
        (losses(1.0, 2.0), None),
        (losses(math.nan), "loss is nan at epoch 1"),
        (losses(1.0, 2.0, math.inf), "loss is inf at epoch 3"),
        (losses(1.0, -math.inf), "loss is -inf at epoch 2"),
        ([{"loss": 1.0, "acc": math.nan}], "acc is nan at epoch 1"),
        ([{"loss": None}, {"loss": None, "acc": 1.0}], None),
        ([{}], None),
    ],
)
def test_any_metric_that_is_not_finite_stops_a_trial(reports, reason):
    assert NonFinite().judge(reports) == reason


@pytest.mark.parametrize(
    ("reports", "reason"),
    [
        (losses(2.3), None),
        (losses(2.3, 6.8), None),
        (losses(2.0, 6.0), None),
        (losses(2.3, 7.21), "loss 7.21 is more than 3 times the first, 2.3, at epoch 2"),
        (losses(2.0, 1.0, 6.0), None),
        (losses(1.0, 2.5, 5.0), "loss 5 is more than 3 times the first, 1, at epoch 3"),
        (losses(1.0, math.inf), "loss inf is more than 3 times the first, 1, at epoch 2"),
        (losses(1.0, math.nan), None),
        (losses(0.0, 9.0), None),
        (losses(-1.0, 9.0), None),
        ([{"acc": 1.0}, {"acc": 9.0}], None),
        ([{"acc": 1.0}, {"loss": None}, {"loss": 2.0}, {"loss": 5.0}], None),
        (
            [{"acc": 1.0}, {"loss": None}, {"loss": 2.0}, {"loss": 7.0}],
            "loss 7 is more than 3 times the first, 2, at epoch 4",
        ),
        ([{"loss": 1.0}, {"loss": 9.0}, {"acc": 1.0}], None),
    ],
)
def test_a_loss_of_more_than_three_times_the_first_reported_stops_a_trial(reports, reason):
    assert BlowUp("loss", 3.0).judge(reports) == reason


def test_the_factor_and_the_metric_are_the_users():
    reports = [{"cost": 1.0, "loss": 1.0}, {"cost": 8.0, "loss": 100.0}]
    assert BlowUp("cost", 10.0).judge(reports) is None
    assert BlowUp("cost", 7.5).judge(reports) == "cost 8 is more than 7.5 times the first, 1, at epoch 2"


@given(st.sampled_from([NonFinite(), BlowUp("loss", 3.0)]), REPORTS)
def test_a_rule_is_a_pure_function_that_travels_to_a_worker_and_says_one_line(rule, reports):
    before = copy.deepcopy(reports)
    reason = rule.judge(reports)
    assert repr(reports) == repr(before)
    assert pickle.loads(pickle.dumps(rule)).judge(tuple(reports)) == reason
    assert reason is None or len(reason.splitlines()) == 1


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=8), st.integers(-9, 9))
def test_the_unit_of_a_loss_does_not_matter(values, power):
    units = (values, [value * 2.0**power for value in values])
    plain, scaled = (BlowUp("loss", 2.0).judge(losses(*each)) for each in units)
    assert (plain is None) == (scaled is None) == (values[-1] <= 2.0 * values[0])


@given(REPORTS)
def test_a_trial_is_stopped_for_not_being_finite_by_its_newest_report_alone(reports):
    newest = [value for value in reports[-1].values() if value is not None]
    assert (NonFinite().judge(reports) is None) == all(math.isfinite(value) for value in newest)
