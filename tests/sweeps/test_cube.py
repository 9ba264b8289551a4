"""Configs as points of the unit cube."""

import numpy as np
import pytest

from sweeps import cube
from sweeps.space import Choice, Range, Space

SPACE = Space({"lr": Range(1e-5, 1e-1, log=True), "update": Choice(("sgd", "adam"), (1.0, 3.0)), "reg": Range(0, 1)})


def test_every_second_position_has_a_third_of_its_ranges_at_an_end_of_theirs():
    at = cube.anywhere(SPACE, 4000, np.random.default_rng(0))
    ends = (at == 0) | (at > 1 - 1e-9)
    assert not ends[::2].any()
    share = ends[1::2].mean(axis=0)
    assert np.allclose(share[[0, 2]], 1 / 3, atol=0.03)
    assert share[1] == 0, "a choice has no ends"
    assert np.all((at >= 0) & (at < 1))


def test_small_steps_count_for_more_close_to_an_end_of_a_range():
    def apart(a, b):
        at = cube.features(SPACE, np.array([[a, 0.5, 0.5], [b, 0.5, 0.5]]))
        return np.linalg.norm(at[0] - at[1])

    assert apart(0.0, 0.01) > 3 * apart(0.5, 0.51)
    assert apart(1.0, 0.99) == pytest.approx(apart(0.0, 0.01))
    assert apart(0.2, 0.9) > 0.7
    assert cube.features(SPACE, np.full((1, 3), 0.5)).shape[1] == len(cube.owners(SPACE))


def test_some_steps_that_stop_at_ends_creep_along_them():
    at = np.full((4000, 3), 0.01)
    steps = cube.shaken(SPACE, at, 0.3, np.random.default_rng(0), stops=True)[:, 0]
    away = np.abs(np.log(steps[(steps > 0) & (steps < 0.1)] / 0.01))
    assert 0.2 < np.mean(away < 1) * len(away) / len(steps) < 0.4  # as many by the normal steps alone: 0.03
    assert np.all((steps >= 0) & (steps < 1))
