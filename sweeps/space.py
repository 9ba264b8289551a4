"""Search space: named ranges, and their mapping to and from the unit cube.

A parameter turns a number u in [0, 1) into a value, so that every sampling method works on every kind of parameter,
and turns values back, so that regions are fitted where parameters are equally spaced: in log space for a logarithmic
one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Value = Any  # float, int, bool, str, or a list or dict of them for a choice
Columns = Mapping[str, Sequence[Value]]  # one column per parameter; None where it is not active
Config = dict[str, Value]

MAX_WHOLE = 2**53  #: above it floats are not whole numbers one apart
MAX_REAL = 1e250  #: no range reaches farther, and no log range below its inverse, so that nothing overflows


@dataclass(frozen=True, slots=True)
class Range:
    """An interval of numbers.

    Attributes:
        low: Lowest value.
        high: Highest value.
        log: Equal ratios are equally likely, instead of equal differences.
        integer: Whole numbers only, both ends included.
        limits: (lowest, highest) that a later stage may extend the range to.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False
    limits: tuple[float, float] = (-math.inf, math.inf)

    def decode(self, u: Floats) -> list[Value]:
        """The value at each u: (n,) positions in [0, 1)."""
        start, end = self._span
        position = start + u * (end - start)
        values = np.exp(position) if self.log else position
        if self.integer:
            return np.clip(np.rint(values), self.low, self.high).astype(np.int64).tolist()  # type: ignore[no-any-return]
        return np.clip(values, self.low, self.high).tolist()  # type: ignore[no-any-return]

    def encode(self, values: Sequence[Value]) -> Floats:
        """The position of each value; outside of [0, 1] for values outside of the range, NaN for None."""
        start, end = self._span
        numbers = np.array([math.nan if value is None else value for value in values], np.float64)
        if end == start:
            return np.where(np.isnan(numbers), numbers, 0.5)
        with np.errstate(divide="ignore", invalid="ignore"):
            position = np.log(numbers) if self.log else numbers
        return (position - start) / (end - start)

    def part(self, start: float, end: float) -> Range:
        """The range between two positions, which may lie outside of [0, 1]; within the limits, and of several values.

        Bounds are rounded to a thousandth of the new width, so that what is printed is what is used.
        """
        first, last = self._span
        low, high = (first + position * (last - first) for position in (start, end))
        if self.log:
            low, high = (min(max(exponent, -math.log(MAX_REAL)), math.log(MAX_REAL)) for exponent in (low, high))
        width = high - low
        if self.log:
            low, high = math.exp(low), math.exp(high)
        low, high = (_rounded(b, width * (b if self.log else 1.0), self.integer) for b in (low, high))
        # Inside of the range its own ends hold, not the half step that a whole number has beyond them.
        low = max(low, self.low) if start >= 0 else low
        high = min(high, self.high) if end <= 1 else high
        lowest, highest = self._reach
        low, high = (min(max(bound, lowest), highest) for bound in (low, high))
        if self.integer and low >= high:  # one value is no range any more: its neighbours stay
            low, high = max(low - 1, min(self.low, low)), min(high + 1, max(self.high, high))
        return replace(self, low=low, high=high) if low < high else self

    @property
    def _reach(self) -> tuple[float, float]:
        """What no part goes beyond: the limits, and what can be computed with."""
        most = MAX_WHOLE if self.integer else MAX_REAL
        least = -most if not self.log else 1 if self.integer else 1 / most
        return max(self.limits[0], least), min(self.limits[1], most)

    @property
    def _span(self) -> tuple[float, float]:
        """Where the range starts and ends on its scale; a whole number owns half a step on either side."""
        half = 0.5 if self.integer else 0.0
        low, high = self.low - half, self.high + half
        return (math.log(low), math.log(high)) if self.log else (low, high)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values.

    Attributes:
        values: What there is to choose from.
        weights: How likely each is, in any unit.
    """

    values: tuple[Value, ...]
    weights: tuple[float, ...]

    def decode(self, u: Floats) -> list[Value]:
        """The value at each u: (n,) positions in [0, 1)."""
        edges = np.cumsum(self.weights)
        places = np.searchsorted(edges / edges[-1], u, side="right").clip(0, len(self.values) - 1)
        return [self.values[place] for place in places.tolist()]

    def encode(self, values: Sequence[Value]) -> Floats:
        """The middle of each value's share of [0, 1]; NaN for None and for what is no choice."""
        edges = np.cumsum(self.weights) / sum(self.weights)
        middles = edges - np.asarray(self.weights) / sum(self.weights) / 2
        where = {_key(value): float(middle) for value, middle in zip(self.values, middles, strict=True)}
        return np.array([math.nan if value is None else where.get(_key(value), math.nan) for value in values])

    def index(self, value: Value) -> int:
        """The place of a value among the choices, -1 for None and for what is none."""
        keys = [_key(choice) for choice in self.values]
        return keys.index(_key(value)) if value is not None and _key(value) in keys else -1


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value that is not searched."""

    value: Value

    def decode(self, u: Floats) -> list[Value]:
        """The value, once for each u."""
        return [self.value] * len(u)

    def encode(self, values: Sequence[Value]) -> Floats:
        """The middle of [0, 1], once for each value."""
        return np.full(len(values), 0.5)


Parameter = Range | Choice | Fixed


@dataclass(frozen=True, slots=True)
class Space:
    """Named parameters in the order in which they were written.

    Attributes:
        parameters: The parameter behind each name.
        when: For conditional parameters: the values of other parameters with which they are active.
    """

    parameters: Mapping[str, Parameter]
    when: Mapping[str, Mapping[str, tuple[Value, ...]]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters."""
        return tuple(self.parameters)

    @property
    def searched(self) -> tuple[str, ...]:
        """Names of the parameters that have more than one value."""
        return tuple(name for name, parameter in self.parameters.items() if not isinstance(parameter, Fixed))

    def decode(self, positions: Mapping[str, Floats], count: int) -> Columns:
        """Configs at positions of the unit cube.

        Args:
            positions: (n,) numbers in [0, 1) for each searched parameter.
            count: n, the number of configs.
        """
        middle = np.full(count, 0.5)
        return self.conditioned({n: p.decode(positions.get(n, middle)) for n, p in self.parameters.items()})

    def encode(self, columns: Columns) -> dict[str, Floats]:
        """Positions of configs in the unit cube; NaN where a parameter is not active."""
        return {name: parameter.encode(columns[name]) for name, parameter in self.parameters.items()}

    def conditioned(self, columns: Columns) -> Columns:
        """The same configs with None for every parameter that is not active in them."""
        active: dict[str, list[bool]] = {}

        def is_active(name: str) -> list[bool]:
            if name not in active:
                flags = [True] * len(columns[name])
                for parent, allowed in self.when.get(name, {}).items():
                    keys, above = {_key(value) for value in allowed}, is_active(parent)
                    values = columns[parent]
                    flags = [f and a and _key(v) in keys for f, a, v in zip(flags, above, values, strict=True)]
                active[name] = flags
            return active[name]

        conditional = {name: is_active(name) for name in self.when}
        return {
            name: [value if flag else None for value, flag in zip(column, conditional[name], strict=True)]
            if name in conditional
            else column
            for name, column in columns.items()
        }

    def narrowed(self, parameters: Mapping[str, Parameter]) -> Space:
        """The same space with some parameters replaced."""
        return replace(self, parameters={**self.parameters, **parameters})


def config_at(columns: Columns, row: int) -> Config:
    """The config in one row of columns, without the parameters that are not active in it."""
    return {name: column[row] for name, column in columns.items() if column[row] is not None}


def _key(value: Value) -> str:
    """What tells values apart: 1 and True and "1" are three choices."""
    return json.dumps(value, sort_keys=True)


def _rounded(bound: float, width: float, integer: bool) -> float:
    """A bound as it is printed: a whole number, or as many digits as a thousandth of the width has."""
    if integer or not width > 0:
        return round(bound) if integer else bound
    return round(bound, 3 - math.floor(math.log10(width)))
