"""Real drivers, killed at random moments; `make kills` does the same for as long as one likes."""

import random

import pytest
from kills import KILLS_A_RUN, survive

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(5))
def test_whenever_its_drivers_are_killed_a_run_ends_with_the_bytes_of_a_calm_one(tmp_path, seed):
    assert survive(tmp_path, KILLS_A_RUN, random.Random(seed)) == KILLS_A_RUN
