"""Configs as points of the unit cube."""

import numpy as np

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
