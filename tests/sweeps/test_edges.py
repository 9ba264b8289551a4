"""Crowds and cliffs at the sides of a range, and how often chance alone is taken for one."""

from fractions import Fraction
from math import comb, isfinite

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.edges import ALPHA, Cliff, Crowd, cliff, crowd, hypergeometric_tail

SIDES = ("low", "high")
EVEN = np.linspace(0.0, 1.0, 101)
SIXTY_FOURTHS = st.lists(st.integers(0, 64), min_size=1, max_size=60).map(lambda places: np.array(places) / 64)


def turned(positions, side):
    """Positions seen from a side: 1 is the end of the range there."""
    return positions if side == "high" else 1.0 - positions


def exact_tail(least, total, marked, drawn):
    ways = sum(comb(marked, hits) * comb(total - marked, drawn - hits) for hits in range(least, drawn + 1))
    return float(Fraction(ways, comb(total, drawn)))


@given(st.data(), st.integers(0, 200))
def test_the_tail_is_exact_for_small_numbers(data, total):
    marked, drawn = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    least = data.draw(st.integers(0, drawn + 2))
    expected = exact_tail(least, total, marked, drawn)
    assert hypergeometric_tail(least, total, marked, drawn) == pytest.approx(expected, rel=1e-9, abs=0.0)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("least", [1, 1_800, 2_000, 2_100, 2_500, 10_000])
def test_the_tail_of_100_000_trials_is_a_probability_and_complements_the_other_tail(least):
    tail = hypergeometric_tail(least, 100_000, 20_000, 10_000)
    rest = hypergeometric_tail(10_000 - least + 1, 100_000, 80_000, 10_000)
    assert isfinite(tail)
    assert tail + rest == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("least", [1, 40, 60, 100])
def test_the_tail_of_100_000_trials_is_exact(least):
    expected = exact_tail(least, 100_000, 20_000, 200)
    assert hypergeometric_tail(least, 100_000, 20_000, 200) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("trials", "best"), [(20, 5), (60, 6), (200, 20)])
def test_best_trials_that_lie_anywhere_are_seldom_taken_for_a_crowd(trials, best):
    parameters, stages = 3, 700
    rng = np.random.default_rng(0)
    is_best = np.arange(trials) < best
    called = 0
    for _ in range(stages):
        looks = [(rng.random(trials), side) for _ in range(parameters) for side in SIDES]
        called += any(crowd(positions, is_best, side, 2 * parameters) is not None for positions, side in looks)
    assert called <= ALPHA * stages


@pytest.mark.parametrize("side", SIDES)
def test_the_best_at_a_side_are_a_crowd_there_and_nowhere_else(side):
    best = turned(EVEN, side) > 0.945
    other = SIDES[side == "low"]
    expected = Crowd(side, 0.05, 6, 6, pytest.approx(1 / comb(101, 6)))
    assert crowd(EVEN, best, side, tests=2) == expected
    assert crowd(EVEN, best, other, tests=2) is None


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("centre", "band"), [(1.0, 0.05), (0.97, 0.1), (0.92, 0.2), (0.88, None), (0.5, None)])
def test_the_best_on_both_sides_of_a_point_are_a_crowd_of_a_band_if_the_point_is_in_its_outer_half(side, centre, band):
    best = abs(turned(EVEN, side) - centre) < 0.025
    found = crowd(EVEN, best, side, tests=2)
    assert (found and found.band) == band


@pytest.mark.parametrize(
    ("tests", "found"), [(2, Crowd("high", 0.05, 4, 10, pytest.approx(2.5e-4, rel=0.02))), (20, None)]
)
def test_the_more_is_looked_at_the_more_it_takes_to_be_a_crowd(tests, found):
    positions = (np.arange(100) + 0.5) / 100
    best = (positions > 0.96) | (positions < 0.06)
    assert crowd(positions, best, "high", tests) == found


@given(SIXTY_FOURTHS, st.integers(0, 64), st.integers(1, 12))
def test_a_crowd_at_one_side_is_the_mirror_image_of_one_at_the_other(positions, optimum, count):
    best = np.zeros(len(positions), np.bool_)
    best[np.argsort(abs(positions - optimum / 64), kind="stable")[:count]] = True
    high, low = crowd(positions, best, "high", tests=2), crowd(1.0 - positions, best, "low", tests=2)
    assert (high is None) == (low is None)
    assert high is None or low == Crowd("low", high.band, high.inside, high.best, high.p)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("start", "diverged"), [(0.705, 30), (0.975, 3)])
def test_a_cliff_lies_where_everything_past_it_diverges(side, start, diverged):
    found = cliff(EVEN, turned(EVEN, side) > start, side)
    assert found == Cliff(side, pytest.approx(turned(start, side)), diverged, diverged)


def test_a_cliff_stands_a_few_trials_on_the_wrong_side():
    diverged = EVEN > 0.705
    diverged[[10, 40, 80, 90]] ^= True
    assert cliff(EVEN, diverged, "high") == Cliff("high", pytest.approx(0.705), 28, 30)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    "diverged",
    [
        pytest.param(EVEN < 0, id="none"),
        pytest.param(EVEN >= 0, id="all"),
        pytest.param(abs(EVEN - 0.5) > 0.485, id="two at each side"),
        pytest.param(np.arange(101) % 3 == 0, id="every third"),
        pytest.param(np.arange(101) % 2 == 0, id="every second"),
        pytest.param(abs(EVEN - 0.5) < 0.1, id="in the middle"),
    ],
)
def test_there_is_no_cliff_where_divergence_is_no_matter_of_the_side(diverged, side):
    assert cliff(EVEN, diverged, side) is None


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7])
def test_trials_that_diverge_anywhere_are_seldom_taken_for_a_cliff(share):
    rng = np.random.default_rng(0)
    called = [cliff(rng.random(60), rng.random(60) < share, side) is not None for _ in range(1000) for side in SIDES]
    assert np.mean(called) <= 1.5 * ALPHA


@settings(max_examples=200)
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 30))
def test_no_other_point_parts_the_diverged_from_the_good_better_than_a_cliff(scattered, past):
    diverged = np.array(scattered + [True] * past)
    positions = (np.arange(len(diverged)) + 0.5) / len(diverged)
    found = cliff(positions, diverged, "high")
    if found is not None:
        beyond = positions > found.at
        wrong = [np.sum(diverged[:cut]) + np.sum(~diverged[cut:]) for cut in range(len(diverged) + 1)]
        assert np.sum(diverged != beyond) == min(wrong)
        assert (found.diverged, found.total) == (np.sum(diverged & beyond), np.sum(beyond))
        assert found.diverged >= max(3, 0.8 * found.total)


@given(SIXTY_FOURTHS, st.integers(0, 64), st.sets(st.integers(0, 59), max_size=4))
def test_a_cliff_at_one_side_is_the_mirror_image_of_one_at_the_other(positions, place, odd):
    diverged = positions > place / 64
    diverged[[i for i in odd if i < len(positions)]] ^= True
    high, low = cliff(positions, diverged, "high"), cliff(1.0 - positions, diverged, "low")
    assert (high is None) == (low is None)
    assert high is None or low == Cliff("low", 1.0 - high.at, high.diverged, high.total)
