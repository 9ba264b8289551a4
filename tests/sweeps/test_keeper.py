"""Which checkpoints lie on the disk: so many of the best, and those that may still go on."""

import math
import pathlib
import tempfile

from hypothesis import given
from hypothesis import strategies as st

from sweeps.keeper import Keeper
from workers.checkpoint import Checkpoint

SCORES = st.sampled_from([0.1, 0.2, 0.3, math.inf])
TOLD = st.lists(st.dictionaries(st.integers(0, 9), SCORES, max_size=5), max_size=5)


def trained(root, trials):
    """Leave a checkpoint of each trial, as a worker does."""
    for trial in trials:
        each = Checkpoint(root, trial)
        each.restore()
        (each.work / "state").write_text("1")
        each.commit(1, [{"loss": 1.0}])


@given(TOLD, st.integers(1, 4), st.sets(st.integers(0, 9)))
def test_kept_are_the_best_and_the_open_ones_whatever_the_order_in_which_they_ended(told, count, open):
    with tempfile.TemporaryDirectory() as place:
        root, last = pathlib.Path(place) / "checkpoints", {}
        keeper = Keeper(root)
        for scores in told:
            trained(root, scores)
            keeper.ended(scores.items(), open=range(10))
            last |= scores  # a trial that went on ends again
        keeper.narrow(count, open)
        sound = sorted((score, trial) for trial, score in last.items() if math.isfinite(score))
        best = {trial for _, trial in sound[:count]}
        assert set(keeper.there()) == best | {trial for _, trial in sound if trial in open}


def test_what_has_not_ended_is_neither_counted_nor_touched(tmp_path):
    keeper = Keeper(tmp_path)
    trained(tmp_path, range(5))
    keeper.narrow(1)
    keeper.ended([(0, 0.5), (1, 0.4)])
    assert sorted(keeper.there()) == [1, 2, 3, 4]


def test_what_is_released_counts_again_when_it_ends(tmp_path):
    keeper = Keeper(tmp_path)
    trained(tmp_path, range(3))
    keeper.ended([(0, 0.3), (1, 0.1), (2, 0.2)])
    keeper.release([0, 1])
    keeper.narrow(1)
    assert sorted(keeper.there()) == [0, 1, 2]
    keeper.ended([(0, 0.3)])
    assert sorted(keeper.there()) == [1, 2]


def test_a_best_trial_that_goes_on_and_fails_makes_room_for_the_next_best(tmp_path):
    keeper = Keeper(tmp_path)
    trained(tmp_path, range(3))
    keeper.ended([(0, 0.1), (1, 0.2), (2, 0.3)])
    keeper.ended([(0, math.inf)])
    keeper.narrow(1)
    assert keeper.there() == [1]


def test_what_is_no_longer_open_goes_with_the_next_trial_that_ends(tmp_path):
    keeper = Keeper(tmp_path)
    trained(tmp_path, range(4))
    keeper.narrow(1)
    keeper.ended([(0, 0.1), (1, 0.2), (2, 0.3)], open={1, 2})
    assert sorted(keeper.there()) == [0, 1, 2, 3]
    keeper.ended([(3, 0.4)], open={2})
    assert sorted(keeper.there()) == [0, 2]
