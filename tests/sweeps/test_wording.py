"""What is put into words reads well and can be printed anywhere."""

from __future__ import annotations

import math
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.wording import (
    BLOCKS,
    clean,
    encodable,
    show_clock,
    show_config,
    show_duration,
    show_rate,
    show_value,
    sparkline,
)

CURVES = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0214, "0.0214"),
        (3.14159e-05, "3.142e-05"),
        (200.0, "200"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (123456, "123456"),
        (np.int64(7), "7"),
        (np.float32(0.5), "0.5"),
        (True, "true"),
        (None, "null"),
        ("adam", "adam"),
        ([64, 32], "[64, 32]"),
        ({"a": "é"}, '{"a": "é"}'),
    ],
)
def test_a_value_is_short_and_tells_its_kind(value: object, words: str) -> None:
    assert show_value(value) == words


def test_a_config_leaves_out_what_is_not_active() -> None:
    assert show_config({"lr": 0.01, "beta": None, "layers": [8]}) == "lr 0.01  layers [8]"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (7.4, "7 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (93_600, "1 d 02 h"),
        (-3, "0 s"),
        (math.nan, "?"),
        (math.inf, "?"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, words: str) -> None:
    assert show_duration(seconds) == words


@given(st.floats(0, 1e9))
def test_a_duration_can_be_read_back_to_within_its_smaller_unit(seconds: float) -> None:
    units = {"s": 1, "min": 60, "h": 3600, "d": 86400}
    words = show_duration(seconds).replace(",", "").split()
    read = sum(int(number) * units[unit] for number, unit in zip(words[::2], words[1::2], strict=True))
    assert -0.5 <= seconds - read < units[words[-1]]


@pytest.mark.parametrize(("seconds", "words"), [(7.9, "00:07"), (3599, "59:59"), (3723, "1:02:03")])
def test_a_clock_counts_whole_seconds(seconds: float, words: str) -> None:
    assert show_clock(seconds) == words


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (20_000, "20,000 trials/s"),
        (6.13, "6.1 trials/s"),
        (0.2, "12 trials/min"),
        (0.001, "3.6 trials/h"),
        (1e-5, "0.9 trials/day"),
        (0, "? trials/s"),
        (math.nan, "? trials/s"),
    ],
)
def test_a_rate_is_told_in_the_unit_that_fits(rate: float, words: str) -> None:
    assert show_rate(rate, "trial") == words


def test_a_sparkline_rises_with_its_curve() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == BLOCKS
    assert sparkline([0, math.nan, 7, math.inf], 8) == "▁█"


@given(CURVES, st.integers(-1, 40))
def test_a_sparkline_fits_its_width_and_draws_every_finite_value_it_has_room_for(
    curve: list[float], width: int
) -> None:
    finite = [value for value in curve if math.isfinite(value)]
    drawn = sparkline(curve, width)
    assert len(drawn) == max(min(len(finite), width), 0)
    assert set(drawn) <= set(BLOCKS)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 50), st.integers(1, 20))
def test_a_flat_sparkline_is_flat(value: float, count: int, width: int) -> None:
    assert len(set(sparkline([value] * count, width))) == 1


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60), st.integers(2, 20))
def test_a_sparkline_keeps_the_ends_and_the_order_of_a_curve_that_only_rises(curve: list[float], width: int) -> None:
    levels = [BLOCKS.index(block) for block in sparkline(sorted(curve), width)]
    assert levels == sorted(levels)
    if max(curve) > min(curve):
        assert (levels[0], levels[-1]) == (0, len(BLOCKS) - 1)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("loss is nan at epoch 2", "loss is nan at epoch 2"),
        ("\x1b[31mValueError\x1b[0m: no", "ValueError: no"),
        ("\x1b[2J\x1b[1;1Hhome", "home"),
        ("\x1b]0;title\x07body", "body"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mC1", "C1"),
        ("\x1b\x1b[0m[31mnested", " [31mnested"),
        ("two\r\nlines\tand a tab", "two lines and a tab"),
        ("back\b\bspace\x00", "back space "),
        ("line\u2028separator", "line separator"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("half \ud800 pair", "half  pair"),
        ("größe ☃ 学习率", "größe ☃ 学习率"),
    ],
)
def test_cleaning_keeps_the_words_and_nothing_that_acts(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


HOSTILE = st.text(st.one_of(st.sampled_from("\x1b\x9b\x9d\x07[]0;m\\\n\u202e"), st.characters(exclude_categories=[])))


@given(HOSTILE)
def test_clean_text_is_one_line_without_control_characters(text: str) -> None:
    cleaned = clean(text)
    assert not {unicodedata.category(letter) for letter in cleaned} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(cleaned.splitlines()) <= 1
    assert clean(cleaned) == cleaned


@given(st.text(st.characters(exclude_categories=["C"])))
def test_cleaning_leaves_ordinary_text_alone(text: str) -> None:
    assert clean(text).replace(" ", "") == text.translate({0x2028: None, 0x2029: None}).replace(" ", "")


def test_a_stream_without_blocks_gets_ascii_and_one_that_has_them_keeps_them() -> None:
    assert encodable("██░ ▁▄█ a · b…", "ascii") == "##. _:# a - b~"
    assert encodable("██░ ▁▄█ a · b…", "utf-8") == "██░ ▁▄█ a · b…"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["ascii", "latin-1", "cp437", "utf-8"]))
def test_encodable_text_has_as_many_characters_and_can_be_written(text: str, encoding: str) -> None:
    written = encodable(text, encoding)
    assert len(written) == len(text)
    written.encode(encoding)
