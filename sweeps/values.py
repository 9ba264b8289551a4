"""Values as a user writes them: which are numbers, what a table can hold, which one of several is meant."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sweeps.errors import UsageError
from sweeps.space import Value

SCALARS = (bool, int, float, str)
_DEEPEST = 20  # lists in lists in a choice


def native(written: Any) -> Any:
    """The same with Python's own numbers and texts in the place of NumPy's."""
    if isinstance(written, np.generic):
        return written.item()
    if isinstance(written, Mapping):
        return {key: native(value) for key, value in written.items()}
    if isinstance(written, list | tuple):
        values = [native(value) for value in written]
        return values if isinstance(written, list) else tuple(values)
    return written


def is_number(value: Any) -> bool:
    """Whether a value is a number, finite also as a float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def plain(name: str, value: Any, depth: int = 0) -> Value:
    """A value of a parameter that a table can hold: a scalar, or a list or table of them.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"[space] {name}: {value} is not a finite number")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise UsageError(f"[space] {name}: {value} does not fit into a whole number of 64 bits")
    if isinstance(value, SCALARS):
        return value
    if depth > _DEEPEST:
        raise UsageError(f"[space] {name}: a value is nested more than {_DEEPEST} levels deep")
    if isinstance(value, list | tuple):
        return [plain(name, item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(name, item, depth + 1) for key, item in value.items()}
    raise UsageError(f"[space] {name}: {value!r} is no number, text, true or false, or a list of them")


def meant(value: Any, known: Sequence[Value]) -> Value | None:
    """The one of some values that is meant: 1 is also 1.0, but neither true nor "1"; None where there is none."""
    equal = [other for other in known if other == value and isinstance(other, bool) == isinstance(value, bool)]
    return next((other for other in equal if type(other) is type(value)), equal[0] if equal else None)
