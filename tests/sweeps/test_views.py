"""What a surface is told of scores, and which of the two views of them is believed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps import cube, surface, views
from sweeps.belief import Belief
from sweeps.space import Range, Space

SPACE = Space({"x": Range(0.0, 1.0), "y": Range(0.0, 1.0)})
VIEWS = {"ranks": views.ranks, "values": lambda scores: views.values(scores, float(np.median(scores)))}

finite = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40).map(sorted).map(np.array)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@given(finite)
def test_a_better_score_is_never_seen_as_worse_and_all_are_finite(view, scores):
    seen = view(scores)
    assert np.isfinite(seen).all()
    assert (np.diff(seen) >= 0).all()


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=40, unique=True), st.integers(-8, 8))
def test_the_unit_of_scores_does_not_matter(view, scores, power):
    scores = np.sort(np.array(scores, float))
    np.testing.assert_allclose(view(scores * 2.0**power), view(scores), rtol=1e-12)
    np.testing.assert_allclose(view(scores + 4096.0), view(scores), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("view", [views.ranks, lambda scores: views.values(scores, 2.0)])
def test_the_dead_are_worst_of_all_and_alike(view):
    seen = view(np.array([0.0, 1.0, 2.0, 3.0, np.inf, np.inf]))
    assert seen[4] == seen[5] >= seen[3] > seen[0]


def test_values_hold_together_what_is_as_good_where_ranks_tell_it_apart():
    scores = np.r_[np.linspace(0.0, 0.001, 20), np.linspace(0.5, 2.0, 20)]
    near, far = views.values(scores, 1.0)[[19, 20]] - views.values(scores, 1.0)[0]
    assert near < 0.01 * far
    near, far = views.ranks(scores)[[19, 20]] - views.ranks(scores)[0]
    assert near > 0.9 * far


def test_what_is_left_out_is_seen_from_the_others_alone():
    rng = np.random.default_rng(0)
    x = rng.random((12, 2))
    y = np.sin(4 * x[:, 0]) + x[:, 1]
    model = surface.fit(x, y, np.array([0, 1]), np.arange(len(x)))
    covariance = np.linalg.inv(model.whitening.T @ model.whitening)
    for i, seen in enumerate(model.left_out(y)):
        others = np.arange(12) != i
        weights = np.linalg.solve(covariance[np.ix_(others, others)], (y[others] - model.mean) / model.scale)
        assert seen == pytest.approx(model.mean + model.scale * covariance[i, others] @ weights, abs=1e-6)


def believed(score, count=60):
    """The view that is believed of scores of configs spread evenly."""
    at = cube.even(SPACE, count, np.random.default_rng(0))
    scores = score(at)
    model, best_first = Belief(SPACE, at, scores[:, None], (9,)).model, np.sort(scores)
    typical = float(np.median(scores[:10]))
    means = {"ranks": views.ranks(best_first).mean(), "values": views.values(best_first, typical).mean()}
    return next(name for name, mean in means.items() if mean == pytest.approx(model.mean))


def test_smooth_scores_are_seen_by_value():
    assert believed(lambda at: np.sum((at - 0.3) ** 2, axis=1)) == "values"


def test_scores_on_a_plateau_that_a_few_are_off_are_seen_by_rank():
    lucky = np.where(np.arange(60) % 20 == 7, 1.0, 0.0)
    assert believed(lambda at: 1.0 + 1e-4 * np.sum((at - 0.3) ** 2, axis=1) - lucky) == "ranks"


def test_what_is_believed_like_before_of_the_same_results_is_the_same_and_new_results_move_it():
    at = cube.even(SPACE, 40, np.random.default_rng(0))
    values = np.c_[np.sum((at - 0.3) ** 2, axis=1), np.full(40, np.nan)]
    belief = Belief(SPACE, at, values, (3, 9))
    again = Belief(SPACE, at, values, (3, 9), belief)
    assert np.array_equal(again.expected(at), belief.expected(at))
    values[int(np.argmax(values[:, 0])), 1] = 0.0  # the worst after 3 epochs is the best after 9
    later = Belief(SPACE, at, values, (3, 9), belief)
    assert np.argmin(later.expected(at)) == np.argmax(values[:, 0])
    assert np.array_equal(later.model.lengths, belief.model.lengths)
