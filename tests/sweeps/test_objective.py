"""What "better" means: NaN never wins, and ties go to the earliest epoch."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.objective import Objective, best_rows

MODES = st.sampled_from(["min", "max"])
NUMBERS = st.floats() | st.sampled_from([0.0, 1.0, 2.0])  # with ties
TRIALS = st.dictionaries(st.integers(0, 50), st.lists(NUMBERS, min_size=1, max_size=6), max_size=8)


def plainly_best(mode, values):
    """The place of the best value, found by looking at one after the other."""
    best = None
    for i, value in enumerate(values):
        finite = math.isfinite(value)
        if finite and (best is None or (value < values[best] if mode == "min" else value > values[best])):
            best = i
    return best


@given(MODES, TRIALS)
def test_the_best_epoch_of_each_trial_is_what_a_plain_loop_finds(mode, trials):
    rows = [(trial, value) for trial in sorted(trials) for value in trials[trial]]
    keys, values = np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.float64)
    found = best_rows(keys, Objective("acc", mode).scores(values))
    starts = {trial: keys.tolist().index(trial) for trial in trials}
    expected = {trial: plainly_best(mode, trials[trial]) for trial in sorted(trials)}
    assert found.dtype == np.int64
    assert found.tolist() == [starts[trial] + best for trial, best in expected.items() if best is not None]


@given(MODES, st.lists(NUMBERS, min_size=1))
def test_the_lowest_score_is_that_of_the_best_value(mode, values):
    scores = Objective("acc", mode).scores(np.array(values))
    best = plainly_best(mode, values)
    assert not np.isnan(scores).any()
    assert np.isfinite(scores).tolist() == [math.isfinite(value) for value in values]
    assert best is None or int(np.argmin(scores)) == best


@given(MODES, NUMBERS, NUMBERS)
def test_one_value_beats_another_when_its_score_is_lower(mode, value, other):
    objective = Objective("acc", mode)
    scores = objective.scores(np.array([value, other]))
    assert objective.better(value, None) == math.isfinite(value)
    if math.isfinite(other):
        assert objective.better(value, other) == (scores[0] < scores[1])
        assert not objective.better(other, other)


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_never_wins(mode, value):
    objective = Objective("acc", mode)
    assert objective.scores(np.array([value])).tolist() == [math.inf]
    assert not objective.better(value, None)
    assert not objective.better(value, 0.0)
    assert best_rows(np.array([0, 0]), objective.scores(np.array([value, value]))).tolist() == []
    assert best_rows(np.array([0, 0]), objective.scores(np.array([value, -5.0]))).tolist() == [1]


def test_ties_go_to_the_earliest_epoch():
    keys = np.array([3, 3, 3, 7, 7])
    assert best_rows(keys, np.array([2.0, 1.0, 1.0, 5.0, 5.0])).tolist() == [1, 3]
