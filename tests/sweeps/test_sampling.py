"""Config i of stage s is a pure function of (space, seed, s, i)."""

import math
import sys

import numpy as np
import pytest
from declarations import spaces
from hypothesis import assume, given
from hypothesis import strategies as st

from sweeps import sampling
from sweeps.declaration import space_from
from sweeps.errors import UsageError
from sweeps.sampling import METHODS, grid_size
from sweeps.space import Range

WRITTEN = {
    "lr": {"log": [1e-6, 1e-3]},
    "hidden": {"int": [16, 256], "log": True},
    "update": ["sgd", "momentum", "adam"],
    "beta": {"uniform": [0.8, 0.99], "when": {"update": ["momentum", "adam"]}},
    "nesterov": {"choice": [True, False], "when": {"update": "momentum"}},
    "decay": 0.9,
}
SPACE = space_from(WRITTEN)
UNIT = space_from({"x": {"uniform": [0, 1]}})


def draw(*arguments):
    """The columns as lists, and the seeds."""
    columns, seeds = sampling.draw(*arguments)
    return {name: list(column) for name, column in columns.items()}, seeds


def configs(space, method="random", seed=0, stage=0, count=40, include=()):
    columns, _ = draw(space, method, seed, stage, count, include)
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


@given(spaces().map(space_from), st.sampled_from(METHODS), st.integers(0, 2**63), st.integers(0, 9), st.integers(1, 30))
def test_a_draw_fills_every_parameter_and_can_be_repeated(space, method, seed, stage, count):
    assume(method != "grid" or count >= math.prod(len(getattr(p, "values", [0])) for p in space.parameters.values()))
    columns, seeds = draw(space, method, seed, stage, count)
    again, seeds_again = draw(space, method, seed, stage, count)
    assert columns == again
    assert seeds.tolist() == seeds_again.tolist()
    assert {name: len(column) for name, column in columns.items()} == dict.fromkeys(space.names, count)
    assert space.conditioned(columns) == columns


@given(spaces().map(space_from), st.sampled_from(["random", "sobol"]), st.integers(0, 9), st.integers(1, 40), st.data())
def test_the_first_configs_do_not_depend_on_how_many_follow(space, method, seed, count, data):
    fewer = data.draw(st.integers(1, count))
    columns, seeds = draw(space, method, seed, 1, count)
    first, first_seeds = draw(space, method, seed, 1, fewer)
    assert {name: column[:fewer] for name, column in columns.items()} == first
    assert seeds[:fewer].tolist() == first_seeds.tolist()


@pytest.mark.parametrize("method", ["random", "lhs"])
@pytest.mark.parametrize("left_out", ["lr", "hidden", "beta", "nesterov", "decay"])
def test_a_parameter_more_does_not_move_the_others(method, left_out):
    fewer = {name: declared for name, declared in reversed(WRITTEN.items()) if name != left_out}
    columns, seeds = draw(SPACE, method, 3, 1, 40)
    without, seeds_without = draw(space_from(fewer), method, 3, 1, 40)
    assert without == {name: column for name, column in columns.items() if name != left_out}
    assert seeds.tolist() == seeds_without.tolist()


def test_a_narrower_range_keeps_the_places_of_its_draws():
    narrow = UNIT.narrowed({"x": Range(0.25, 0.75)})
    values, narrow_values = (np.array(draw(space, "random", 0, 0, 40)[0]["x"]) for space in (UNIT, narrow))
    np.testing.assert_allclose(narrow_values, 0.25 + values / 2, rtol=1e-12)


@pytest.mark.parametrize("method", ["random", "sobol", "lhs"])
def test_seeds_stages_and_names_have_streams_of_their_own(method):
    two = space_from({"x": {"uniform": [0, 1]}, "y": {"uniform": [0, 1]}})
    drawn = [(draw(two, method, seed, stage, 64)) for seed in (0, 1) for stage in (0, 1)]
    streams = [column for columns, _ in drawn for column in columns.values()]
    assert len({tuple(stream) for stream in streams}) == 8
    assert len({tuple(seeds) for _, seeds in drawn}) == 4


@given(st.integers(0, 2**63), st.integers(0, 50), st.integers(1, 300))
def test_the_seeds_of_trials_are_whole_numbers_below_two_to_the_31(seed, stage, count):
    _, seeds = draw(UNIT, "random", seed, stage, count)
    assert seeds.dtype == np.int64
    assert len(set(seeds.tolist())) == count
    assert seeds.min() >= 0
    assert seeds.max() < 2**31


@pytest.mark.parametrize(
    ("seed", "stage", "lr", "hidden", "update", "beta", "seeds"),
    [
        (0, 0, [3.2226856e-4, 1.3234744e-5], [41, 55], ["sgd", "adam"], [None, 0.83010686], [1982514741, 279076934]),
        (7, 2, [6.1141093e-6, 4.1670440e-4], [17, 34], ["adam"] * 2, [0.85463770, 0.83134171], [48474624, 1301027369]),
    ],
)
def test_random_draws_are_the_same_in_every_release(seed, stage, lr, hidden, update, beta, seeds):
    columns, drawn_seeds = draw(SPACE, "random", seed, stage, 2)
    assert columns["lr"] == pytest.approx(lr)
    assert columns["beta"] == [value if value is None else pytest.approx(value) for value in beta]
    assert (columns["hidden"], columns["update"], drawn_seeds.tolist()) == (hidden, update, seeds)


@pytest.mark.parametrize("method", ["random", "sobol", "lhs"])
@pytest.mark.parametrize("seed", range(5))
def test_draws_are_uniform_and_parameters_independent(method, seed):
    count = 4096
    space = space_from({"x": {"uniform": [0, 1]}, "y": {"uniform": [0, 1]}})
    columns, seeds = draw(space, method, seed, 0, count)
    ranks = np.arange(count) / count
    for values in (*columns.values(), seeds / 2**31):
        assert np.abs(np.sort(values) - ranks).max() < 1.95 / math.sqrt(count)  # Kolmogorov-Smirnov, p = 0.001
    cells = [np.floor(np.array(column) * 8).astype(int) for column in columns.values()]
    counts = np.bincount(cells[0] * 8 + cells[1], minlength=64)
    assert np.sum((counts - count / 64) ** 2 / (count / 64)) < 103.4  # chi-square of 63 degrees, p = 0.001


def test_sobol_points_fill_the_square_more_evenly_than_chance():
    space = space_from({"x": {"uniform": [0, 1]}, "y": {"uniform": [0, 1]}})
    columns, _ = draw(space, "sobol", 0, 0, 64)
    cells = [np.floor(np.array(column) * 8).astype(int) for column in columns.values()]
    assert np.bincount(cells[0] * 8 + cells[1], minlength=64).tolist() == [1] * 64


def test_sobol_without_scipy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(UsageError, match=r'needs scipy: pip install "coarsefine\[sobol\]"'):
        draw(SPACE, "sobol", 0, 0, 4)


@given(st.integers(1, 100), st.integers(0, 9))
def test_a_latin_hypercube_has_one_point_in_each_slice_of_every_parameter(count, seed):
    space = space_from({"x": {"uniform": [0, 1]}, "y": {"uniform": [0, 1]}, "z": list(range(count))})
    columns, _ = draw(space, "lhs", seed, 0, count)
    for name in ("x", "y"):
        assert sorted(math.floor(value * count) for value in columns[name]) == list(range(count))
    assert sorted(columns["z"]) == list(range(count))
    assert count < 10 or columns["x"] != sorted(columns["x"])


@pytest.mark.parametrize(
    ("written", "trials", "levels"),
    [
        ({"a": {"uniform": [0, 1]}}, 10, [10]),
        ({"a": {"uniform": [0, 1]}, "b": {"log": [1, 10]}}, 10, [3, 3]),
        ({"a": {"uniform": [0, 1]}, "b": {"log": [1, 10]}}, 8, [4, 2]),
        ({"a": {"int": [1, 3]}, "b": {"log": [1, 10]}}, 20, [3, 6]),
        ({"a": [1, 2, 3], "b": {"log": [1, 10]}}, 10, [3, 3]),
        ({"a": [1, 2, 3], "b": {"int": [1, 2]}}, 10, [3, 2]),
        ({"a": {"uniform": [0, 1]}, "b": {"log": [1, 10]}}, 1, [1, 1]),
        ({"a": {"uniform": [0, 1]}}, 100_000_000, [100_000_000]),
        ({f"p{i}": {"uniform": [0, 1]} for i in range(100)}, 8, [2, 2, 2] + [1] * 97),
        ({"a": 1, "b": [2]}, 5, [1, 1]),
    ],
)
def test_a_grid_is_the_largest_that_the_trials_hold(written, trials, levels):
    space = space_from(written)
    size = grid_size(space, trials)
    assert size == math.prod(levels) <= trials
    if size < 1000:
        columns, _ = draw(space, "grid", 0, 0, size)
        assert [len(set(column)) for column in columns.values()] == levels
        assert len(set(zip(*columns.values(), strict=True))) == size


@given(st.lists(st.integers(2, 9) | st.none(), min_size=1, max_size=4), st.integers(1, 200))
def test_a_grid_gives_one_more_level_to_each_range_in_turn_while_it_fits(sizes, trials):
    written = {f"p{i}": {"int": [1, n]} if n else {"uniform": [0, 1]} for i, n in enumerate(sizes)}
    levels, before = [1] * len(sizes), None
    while levels != before:
        before = list(levels)
        for i, distinct in enumerate(sizes):
            more = [*levels[:i], levels[i] + 1, *levels[i + 1 :]]
            if math.prod(more) <= trials and levels[i] < (distinct or math.inf):
                levels = more
    columns, _ = draw(space_from(written), "grid", 0, 0, math.prod(levels))
    assert grid_size(space_from(written), trials) == math.prod(levels)
    assert [len(set(column)) for column in columns.values()] == levels


@given(st.integers(1, 100), st.integers(1, 300), st.booleans(), st.integers(2, 60))
def test_a_grid_holds_both_ends_of_a_range_and_no_whole_number_twice(low, width, log, trials):
    written = {"int": [low, low + width], "log": log}
    column = draw(space_from({"n": written}), "grid", 0, 0, min(trials, width + 1))[0]["n"]
    assert column == sorted(set(column))
    assert (column[0], column[-1]) == (low, low + width)


@pytest.mark.parametrize(
    ("declared", "values"),
    [
        ({"uniform": [0, 1]}, [0, 0.25, 0.5, 0.75, 1]),
        ({"log": [1e-4, 1]}, [1e-4, 1e-3, 1e-2, 1e-1, 1]),
        ({"int": [1, 9]}, [1, 3, 5, 7, 9]),
        ({"int": [1, 10_000], "log": True}, [1, 10, 100, 1000, 10_000]),
        ({"int": [1, 5], "log": True}, [1, 2, 3, 4, 5]),
    ],
)
def test_a_grid_is_evenly_spaced_on_the_scale_of_its_range(declared, values):
    columns, _ = draw(space_from({"x": declared}), "grid", 0, 0, 5)
    assert columns["x"] == pytest.approx(values, rel=1e-12)


def test_a_grid_that_is_smaller_than_its_stage_is_gone_through_again_with_new_seeds():
    columns, seeds = draw(space_from({"n": {"int": [1, 3]}, "a": ["x", "y"]}), "grid", 0, 0, 8)
    assert columns == {"n": [1, 1, 2, 2, 3, 3, 1, 1], "a": ["x", "y"] * 4}
    assert len(set(seeds.tolist())) == 8


def test_a_grid_over_more_choices_than_trials_is_refused():
    with pytest.raises(UsageError, match="a grid over these choices has 6 points; trials = 5 is less"):
        grid_size(space_from({"a": [1, 2, 3], "b": [1, 2]}), 5)


def test_included_configs_come_first_and_the_rest_is_drawn_as_without_them():
    included = [{"lr": 1e-4, "hidden": 64, "update": "sgd", "decay": 0.9}, {"lr": 2e-4}]
    plain, found = configs(SPACE), configs(SPACE, include=included)
    assert found[0] == {"lr": 1e-4, "hidden": 64, "update": "sgd", "beta": None, "nesterov": None, "decay": 0.9}
    assert found[1] == plain[1] | {"lr": 2e-4}
    assert found[2:] == plain[2:]


@pytest.mark.parametrize("method", ["random", "sobol", "lhs"])
def test_an_included_value_switches_others_on_and_off(method):
    every = [{"update": name} for name in WRITTEN["update"] for _ in range(20)]
    found = configs(SPACE, method, count=60, include=every)
    sgd, momentum, adam = found[:20], found[20:40], found[40:]
    assert all(config["beta"] is None and config["nesterov"] is None for config in sgd)
    assert all(0.8 <= config["beta"] <= 0.99 and config["nesterov"] in (True, False) for config in momentum)
    assert all(0.8 <= config["beta"] <= 0.99 and config["nesterov"] is None for config in adam)
    assert len({config["beta"] for config in momentum + adam}) == 40
    assert len({config["nesterov"] for config in momentum}) == 2


def test_numbers_are_kept_as_eight_bytes_each_and_come_out_as_pythons_own():
    columns, _ = sampling.draw(SPACE, "random", 0, 0, 1000)
    assert {memoryview(columns[name]).nbytes for name in ("lr", "hidden")} == {8000}
    assert {name: type(columns[name][0]) for name in ("lr", "hidden")} == {"lr": float, "hidden": int}


def test_including_a_config_leaves_the_seeds_alone():
    _, seeds = draw(SPACE, "random", 0, 0, 9)
    _, with_included = draw(SPACE, "random", 0, 0, 9, [{"lr": 1e-4}])
    assert seeds.tolist() == with_included.tolist()
