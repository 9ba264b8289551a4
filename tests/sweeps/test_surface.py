"""The surface: a function, and how far each group of values lies off it."""

import numpy as np
import pytest
import threadpoolctl

from sweeps import surface

OWNERS = np.array([0, 1])


def wave(x):
    return np.sin(4 * x[:, 0]) + x[:, 1]


@pytest.fixture
def grouped():
    """(points, values, groups, effects): three values of each of 30 groups, all off the wave by the group's effect."""
    rng = np.random.default_rng(0)
    groups, effects = np.repeat(np.arange(30), 3), rng.normal(size=30)
    x = rng.random((90, 2))
    return x, wave(x) + effects[groups] + 0.01 * rng.normal(size=90), groups, effects


def test_a_group_is_expected_where_its_own_values_lie_and_a_new_one_on_the_function(grouped):
    x, y, groups, effects = grouped
    model = surface.fit(x, y, OWNERS, groups)
    at = np.full((30, 2), 0.5)
    own = model.mean_of(np.arange(30), at) - model.mean_at(at)
    assert np.corrcoef(own, effects)[0, 1] > 0.95
    assert np.abs(own - effects).mean() < 0.3
    assert np.ptp(model.mean_at(at)) == pytest.approx(0.0, abs=1e-9)


def test_what_groups_share_is_not_taken_for_noise(grouped):
    x, y, groups, _ = grouped
    model = surface.fit(x, y, OWNERS, groups)
    assert model.effect > 10 * model.noise
    assert surface.fit(x, wave(x), OWNERS, groups).effect < model.effect / 10


def test_a_group_that_was_not_seen_is_expected_on_the_function(grouped):
    x, y, groups, _ = grouped
    model = surface.fit(x, y, OWNERS, groups)
    assert model.mean_of(np.full(90, 30), x) == pytest.approx(model.mean_at(x))


def test_slopes_of_the_likelihood_are_its_slopes(grouped):
    x, y, groups, _ = grouped
    theta = np.array([-1.0, 0.3, 0.1, -1.0, -2.0])
    _, slopes = surface._unlikeliness(x, y, OWNERS, groups, theta)
    for i, slope in enumerate(slopes):
        step = 1e-5 * np.eye(5)[i]
        up, down = (surface._unlikeliness(x, y, OWNERS, groups, theta + sign * step)[0] for sign in (1, -1))
        assert slope == pytest.approx((up - down) / 2e-5, rel=1e-4)


@pytest.mark.parametrize("threads", [1, 3])
def test_no_bit_depends_on_the_number_of_threads(threads):
    rng = np.random.default_rng(0)
    x, at = rng.random((256, 8)), rng.random((1500, 8))
    groups = np.repeat(np.arange(64), 4)
    y, owners = wave(x) + rng.normal(size=256), np.arange(8)

    def numbers(threads):
        with threadpoolctl.threadpool_limits(threads):
            model = surface.fit(x, y, owners, groups)
            found = [model.lengths, model.weights, *model.predict(at), *model.joint(at), model.mean_at(at)]
            found.append(model.mean_of(np.repeat(groups, 6)[: len(at)], at))
            return b"".join(each.tobytes() for each in found)

    assert numbers(threads) == numbers(2)
