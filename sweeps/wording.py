"""How numbers, names and foreign text are put into words for a person: one line each, safe to print anywhere."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from numbers import Integral, Real

BLOCKS = "▁▂▃▄▅▆▇█"

_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor moves
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS: titles, links
    r"|\x1b[ -/]*[0-~]"  # every other escape
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_INVISIBLE = {"Cf", "Cs"}  # bidi overrides, zero-width characters; halves of surrogate pairs, which no stream takes
_PLAIN_MARKS = str.maketrans("·…░" + BLOCKS, "-~." + "_.-:=+*#")


def show_value(value: object) -> str:
    """A parameter's value: a number in at most four digits unless whole, a text as it is, all else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, Real) and not isinstance(value, bool):
        return str(int(value)) if isinstance(value, Integral) else f"{float(value):.4g}"
    return json.dumps(value, ensure_ascii=False, default=str)


def show_config(config: Mapping[str, object]) -> str:
    """`lr 0.0214  hidden 200`: the parameters that are active."""
    return "  ".join(f"{name} {show_value(value)}" for name, value in config.items() if value is not None)


def show_count(number: int, noun: str) -> str:
    """`1 slot`, `1,000 slots`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def show_duration(seconds: float) -> str:
    """`7 s`, `3 min 20 s`, `2 h 05 min`, `1 d 02 h`; `?` when it is not known."""
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days:,} d {hours:02d} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def show_clock(seconds: float) -> str:
    """`00:07`, `1:02:03`: time since the start."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


def show_rate(per_second: float, noun: str) -> str:
    """`6.1 trials/s`, `12 trials/min`: in the smallest unit that sees one at least; `? trials/s` when not known."""
    if not (math.isfinite(per_second) and per_second > 0):
        return f"? {noun}s/s"
    units = (("s", 1), ("min", 60), ("h", 3600), ("day", 86400))
    unit, seconds = next((u for u in units if per_second * u[1] >= 1), units[-1])
    rate = per_second * seconds
    return f"{rate:,.0f} {noun}s/{unit}" if rate >= 10 else f"{rate:.1f} {noun}s/{unit}"


def sparkline(values: Sequence[float], width: int) -> str:
    """A curve as at most `width` blocks, from its first to its last finite value; shorter when there are fewer."""
    finite = [float(value) for value in values if math.isfinite(value)]
    count = min(len(finite), width)
    if count <= 0:
        return ""
    # Samples rather than means: the ends of the curve are what is looked at, and they stay what they are.
    picked = [finite[-1 - (count - 1 - i) * (len(finite) - 1) // max(count - 1, 1)] for i in range(count)]
    low, high = min(picked), max(picked)
    span = high / 2 - low / 2  # halves, since the whole may overflow
    if not span > 0:
        return BLOCKS[3] * count
    return "".join(BLOCKS[round((value / 2 - low / 2) / span * (len(BLOCKS) - 1))] for value in picked)


def clean(text: str) -> str:
    """The text on one line, unable to do anything but be read.

    Escape sequences and invisible characters are dropped; line breaks and other control characters become a space.
    """
    if text.isprintable():
        return text
    text = _CONTROL.sub(" ", _ESCAPE.sub("", text))
    return "".join(letter for letter in text if unicodedata.category(letter) not in _INVISIBLE)


def encodable(text: str, encoding: str) -> str:
    """The text with as many characters, all of which a stream can write: ASCII bars, `?` for what has no likeness."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN_MARKS).encode(encoding, "replace").decode(encoding)
    return text
