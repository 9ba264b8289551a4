"""Columns made by hand are the columns that Arrow itself would make."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.arrow import chosen, column, numbers, repeated

WHOLE = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
KINDS = st.sampled_from(
    [
        (pa.int64(), WHOLE),
        (pa.float64(), st.floats(allow_nan=False) | st.integers(-5, 5)),
        (pa.timestamp("us", "UTC"), st.integers(0, 2**50)),
        (pa.bool_(), st.booleans()),
        (pa.string(), TEXT),
        (pa.list_(pa.string()), st.lists(TEXT, max_size=3)),
    ]
)


@settings(deadline=None)
@given(st.data())
def test_a_column_is_what_arrow_makes_of_the_values(data):
    kind, value = data.draw(KINDS)
    values = data.draw(st.lists(st.none() | value, max_size=20))
    made = column(values, kind)
    made.validate(full=True)
    assert made.equals(pa.array(values, kind))


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(), st.booleans()), max_size=20))
def test_nan_is_a_number_and_what_is_missing_is_null(pairs):
    values, missing = np.array([v for v, _ in pairs], np.float64), np.array([m for _, m in pairs], np.bool_)
    made = column(values, pa.float64(), missing)
    assert made.is_null().to_pylist() == missing.tolist()
    assert np.array_equal(made.to_numpy(zero_copy_only=False)[~missing], values[~missing], equal_nan=True)


@settings(deadline=None)
@given(st.lists(st.lists(st.none() | st.floats(), max_size=9), max_size=4), st.integers(0, 3))
def test_numbers_come_back_as_numpy_has_them_wherever_a_chunk_begins(chunks, skip):
    stored = pa.chunked_array([pa.array(chunk, pa.float64()).slice(skip) for chunk in chunks], pa.float64())
    assert np.array_equal(numbers(stored), stored.to_numpy(), equal_nan=True)


def test_whole_numbers_stay_whole():
    assert numbers(pa.chunked_array([[2**62 + 1], [3]])).tolist() == [2**62 + 1, 3]


def test_what_is_no_text_is_json_in_a_text_column_and_half_a_surrogate_a_question_mark():
    values = [{"b": 1, "a": [2]}, None, 0.5, "plain", "odd \udcff name", True]
    assert column(values, pa.string()).to_pylist() == ['{"a": [2], "b": 1}', None, "0.5", "plain", "odd ? name", "true"]


@pytest.mark.parametrize("text", ["", "coarse", "é", "\udcff"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_text_can_be_repeated(text, count):
    made = repeated(text, count)
    made.validate(full=True)
    assert made.equals(column([text] * count, pa.string()))


def test_rows_are_chosen_by_what_they_have_in_a_column():
    table = pa.table({"stage": ["a", "b", None, "a"], "trial": [0, 1, 2, 3]})
    assert chosen(table, "stage", ["a"])["trial"].to_pylist() == [0, 3]
    assert chosen(table, "trial", [1, 7])["stage"].to_pylist() == ["b"]
    assert chosen(table.slice(0, 0), "trial", [1]).num_rows == 0
