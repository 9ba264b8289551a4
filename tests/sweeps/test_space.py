"""A parameter maps [0, 1) to its values and back; a space does so for all of them."""

import math

import numpy as np
import pytest
from declarations import choices, ranges, spaces
from hypothesis import given
from hypothesis import strategies as st

from sweeps.declaration import space_from
from sweeps.space import MAX_WHOLE, Choice, Fixed, Range, Space, config_at

POSITIONS = st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20)
CELLS = (np.arange(10_000) + 0.5) / 10_000


def parameter(declared):
    return space_from({"x": declared}).parameters["x"]


def grid(count):
    """The middles of `count` equal cells of [0, 1)."""
    return (np.arange(count) + 0.5) / count


@given(ranges().map(parameter), POSITIONS)
def test_values_are_plain_numbers_in_the_range_that_rise_with_the_position(range_, positions):
    values = range_.decode(np.sort(positions))
    assert all(range_.low <= value <= range_.high for value in values)
    assert {type(value) for value in values} == {int if range_.integer else float}
    assert values == sorted(values)


@given(ranges(("uniform", "log")).map(parameter), POSITIONS)
def test_a_real_value_leads_back_to_its_position(range_, positions):
    np.testing.assert_allclose(range_.encode(range_.decode(np.array(positions))), positions, atol=1e-6)


@given(ranges(("int", "log int")).map(parameter), st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_the_position_of_a_whole_number_leads_back_to_it(range_, shares):
    values = [range_.low + round(share * (range_.high - range_.low)) for share in shares]
    assert range_.decode(range_.encode(values)) == values


@given(choices().map(parameter))
def test_the_position_of_a_choice_leads_back_to_it_and_not_to_an_equal_of_another_type(choice):
    found = choice.decode(choice.encode(choice.values))
    assert [(type(value), value) for value in found] == [(type(value), value) for value in choice.values]
    assert [choice.index(value) for value in choice.values] == list(range(len(choice.values)))


@pytest.mark.parametrize(
    ("range_", "quarters"),
    [
        (Range(0, 4), [0, 1, 2, 3, 4]),
        (Range(-1, 1), [-1, -0.5, 0, 0.5, 1]),
        (Range(1e-6, 1e-2, log=True), [1e-6, 1e-5, 1e-4, 1e-3, 1e-2]),
        (Range(3, 3 * 81, log=True), [3, 9, 27, 81, 243]),
    ],
)
def test_equal_steps_are_equal_differences_or_equal_ratios(range_, quarters):
    np.testing.assert_allclose(range_.decode(np.linspace(0, 1, 5)), quarters)
    np.testing.assert_allclose(range_.encode(quarters), np.linspace(0, 1, 5), atol=1e-12)


@given(st.integers(-(10**6), 10**6), st.integers(2, 60), st.integers(1, 9))
def test_whole_numbers_have_equal_shares_both_ends_included(low, count, times):
    values = Range(low, low + count - 1, integer=True).decode(grid(count * times))
    assert np.bincount(np.array(values) - low).tolist() == [times] * count


@given(st.integers(1, 30), st.integers(1, 60))
def test_a_whole_number_in_log_space_has_the_share_of_what_is_rounded_to_it(low, width):
    values = np.arange(low, low + width + 1)
    found = np.bincount(Range(low, low + width, log=True, integer=True).decode(CELLS))[low:]
    shares = np.log((values + 0.5) / (values - 0.5)) / np.log((low + width + 0.5) / (low - 0.5))
    np.testing.assert_allclose(found / len(CELLS), shares, atol=2 / len(CELLS))


def test_the_largest_whole_numbers_are_drawn_exactly():
    assert Range(-MAX_WHOLE, MAX_WHOLE, integer=True).decode(np.array([0, 0.5, 1])) == [-MAX_WHOLE, 0, MAX_WHOLE]


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=8))
def test_choices_come_by_their_weights_in_any_unit(weights):
    choice = Choice(tuple(range(len(weights))), tuple(weights))
    found = np.bincount(choice.decode(CELLS), minlength=len(weights))
    np.testing.assert_allclose(found / len(CELLS), np.array(weights) / sum(weights), atol=2 / len(CELLS))


def test_the_share_of_a_choice_begins_with_its_first_position():
    assert Choice(("a", "b"), (3.0, 1.0)).decode(np.array([0, 0.75 - 1e-9, 0.75, 1 - 1e-9])) == ["a", "a", "b", "b"]


def test_one_and_true_and_their_texts_are_different_choices():
    choice = Choice((1, True, "1", "true", [1]), (0.2,) * 5)
    assert [choice.index(value) for value in (True, "true", 1, [1], "1")] == [1, 3, 0, 4, 2]
    assert [choice.index(value) for value in (None, 2, False, [True])] == [-1] * 4


@pytest.mark.parametrize(
    "parameter", [Range(0, 1), Range(1, 10, log=True), Range(1, 9, integer=True), Choice((1, 2), (0.5, 0.5))]
)
def test_what_is_not_active_has_no_position(parameter):
    assert np.isnan(parameter.encode([None, parameter.decode(np.array([0.5]))[0]])).tolist() == [True, False]


def test_what_is_no_choice_has_no_position():
    assert np.isnan(Choice((1, 2), (0.5, 0.5)).encode([3, "1"])).all()


def test_values_outside_of_a_range_have_positions_outside_of_it():
    assert Range(0, 10).encode([-5, 15]).tolist() == [-0.5, 1.5]
    np.testing.assert_allclose(Range(1e-3, 1e-1, log=True).encode([1e-4, 1.0]), [-0.5, 1.5])
    assert Range(1e-3, 1e-1, log=True).encode([0.0]).tolist() == [-math.inf]


@pytest.mark.parametrize(
    ("range_", "start", "end", "low", "high"),
    [
        (Range(0, 1), 1 / 3, 2 / 3, 0.3333, 0.6667),
        (Range(0, 1), 0, 1, 0, 1),
        (Range(0, 3000), 1 / 3 + 1e-5, 2, 1000, 6000),
        (Range(0, 1), 0.5, 1.5, 0.5, 1.5),
        (Range(0, 1, limits=(0, 1)), 0.5, 1.5, 0.5, 1),
        (Range(0, 1, limits=(-0.25, 1)), -0.5, 0.5, -0.25, 0.5),
        (Range(1e-6, 1e-2, log=True), 0.25, 0.75, 1e-5, 1e-3),
        (Range(1e-6, 1e-2, log=True), -0.5, 0.5, 1e-8, 1e-4),
        (Range(1e-6, 1e-2, log=True), 0.3, 0.31, 1.5849e-5, 1.7378e-5),
        (Range(0, 99, integer=True), 0.105, 0.205, 10, 20),
        (Range(16, 256, log=True, integer=True), 0.5, 1.5, 63, 1043),
        (Range(2, 8, log=True, integer=True), -9, 0.5, 1, 4),
        (Range(0, 4, integer=True), 0.45, 0.55, 1, 3),
        (Range(0, 4, integer=True), 0.0, 0.05, 0, 1),
        (Range(0, 4, integer=True, limits=(0, 4)), 0.95, 1.5, 3, 4),
        (Range(0, 1, limits=(0, 1)), 1, 1.5, 0, 1),
    ],
)
def test_a_part_of_a_range(range_, start, end, low, high):
    part = range_.part(start, end)
    assert (part.low, part.high) == pytest.approx((low, high), rel=1e-12)
    assert (part.log, part.integer, part.limits) == (range_.log, range_.integer, range_.limits)


@given(ranges().map(parameter), st.floats(-9, 9), st.floats(1e-3, 9))
def test_any_part_is_a_range_of_several_values_within_the_limits(range_, start, width):
    part = range_.part(start, start + width)
    assert range_.limits[0] <= part.low < part.high <= range_.limits[1]
    assert part.low > 0 or not range_.log
    assert math.isfinite(part.high - part.low)
    if range_.integer:
        assert (type(part.low), type(part.high)) == (int, int)
        assert abs(part.low) <= MAX_WHOLE
        assert abs(part.high) <= MAX_WHOLE


@given(ranges().map(parameter), st.floats(0, 0.99), st.floats(0.01, 1))
def test_a_part_inside_stays_inside_and_is_rounded_to_a_thousandth_of_its_width(range_, start, width):
    end = min(start + width, 1.0)
    part = range_.part(start, end)
    assert range_.low <= part.low < part.high <= range_.high
    if not range_.integer:
        np.testing.assert_allclose(range_.encode([part.low, part.high]), [start, end], atol=1e-3 * (end - start) + 1e-6)
    elif part.high - part.low > 2:  # fewer are neighbours that stay
        exact = range_.encode([part.low - 0.501, part.low + 0.501, part.high - 0.501, part.high + 0.501])
        assert exact[0] <= max(start, 0.0) <= exact[1]
        assert exact[2] <= end <= exact[3]


def alone(when, name, config):
    """Whether one parameter is active in one config, said plainly."""
    return all(
        alone(when, parent, config) and any(type(v) is type(config[parent]) and v == config[parent] for v in allowed)
        for parent, allowed in when.get(name, {}).items()
    )


@given(spaces().map(space_from), POSITIONS)
def test_a_parameter_is_there_when_its_parents_are_and_have_one_of_the_values(space, positions):
    count = len(positions)
    given_ = {name: np.roll(positions, i) for i, name in enumerate(space.searched)}
    everything = {n: p.decode(given_.get(n, np.zeros(count))) for n, p in space.parameters.items()}
    columns = space.decode(given_, count)
    for i in range(count):
        config = {name: column[i] for name, column in everything.items()}
        expected = {name: value if alone(space.when, name, config) else None for name, value in config.items()}
        assert {name: column[i] for name, column in columns.items()} == expected
    assert space.conditioned(columns) == columns


def test_a_chain_of_conditions_ends_where_the_first_of_them_fails():
    space = Space(
        {"beta": Fixed(0.9), "nesterov": Choice((True, False), (0.5, 0.5)), "update": Choice(("sgd", "m"), (0.5, 0.5))},
        {"beta": {"nesterov": (True,)}, "nesterov": {"update": ("m",)}},
    )
    columns = space.conditioned({"beta": [0.9] * 3, "nesterov": [True, True, False], "update": ["sgd", "m", "m"]})
    assert columns == {"beta": [None, 0.9, None], "nesterov": [None, True, False], "update": ["sgd", "m", "m"]}


def test_a_space_knows_what_is_searched_and_keeps_its_order_and_conditions_when_narrowed():
    space = space_from({"b": {"log": [1, 10]}, "a": 5, "c": {"choice": [1, 2], "when": {"a": 5}}})
    assert (space.names, space.searched) == (("b", "a", "c"), ("b", "c"))
    narrowed = space.narrowed({"b": Range(2, 3, log=True)})
    assert narrowed.names == space.names
    assert narrowed.when == space.when
    assert narrowed.parameters == {**space.parameters, "b": Range(2, 3, log=True)}


def test_a_config_has_the_values_of_its_row_but_for_what_is_not_active_in_it():
    columns = {"lr": [0.1, 0.2], "beta": [None, 0.9], "flag": [False, None]}
    assert [config_at(columns, i) for i in range(2)] == [{"lr": 0.1, "flag": False}, {"lr": 0.2, "beta": 0.9}]
