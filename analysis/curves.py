"""Learning curves of many trials as arrays, so that a rule looks at ten thousand of them at once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.frames import Frames
from sweeps.space import Floats
from workers.messages import Ints

_CELLS = 4_000_000  # of an array: 32 MB, whatever the number of trials and epochs


@dataclass(frozen=True, eq=False)
class Curve:
    """One metric of n trials.

    Attributes:
        values: (n, width) finite values in the order of epochs, NaN after the last one.
        epochs: (n, width) the epoch of each value.
    """

    values: Floats
    epochs: Ints

    @cached_property
    def count(self) -> Ints:
        """(n,) number of values."""
        return np.asarray(np.sum(np.isfinite(self.values), axis=1), np.int64)

    @cached_property
    def first(self) -> Floats:
        """(n,) the first value."""
        return self.values[:, 0]

    @cached_property
    def end(self) -> Floats:
        """(n,) mean of the last three values: one value is a matter of luck."""
        return self.mean(np.maximum(self.count - 3, 0), self.count)

    @cached_property
    def change(self) -> Floats:
        """(n,) trend of the last half, extrapolated over its length: by how much it rose, less noise."""
        return self._trend[0]

    @cached_property
    def change_error(self) -> Floats:
        """(n,) standard error of `change`."""
        return self._trend[1]

    @cached_property
    def noise(self) -> Floats:
        """(n,) how much a value strays from the last half of the curve: 0 for one that only falls or only rises.

        The mean step against the trend, divided by what it is for independent normal noise round a level.
        """
        steps = np.diff(self.values, axis=1)
        steps = np.where(np.arange(1, self.values.shape[1]) > self.count[:, None] // 2, steps, np.nan)
        ups, downs = (_quiet(np.nanmean, np.maximum(turned, 0.0)) for turned in (steps, -steps))
        return np.asarray(np.minimum(ups, downs) * np.sqrt(np.pi), np.float64)

    @cached_property
    def smooth(self) -> Floats:
        """(n, width - 2) running means of three values; column j is round value j + 1."""
        return np.asarray((self.values[:, :-2] + self.values[:, 1:-1] + self.values[:, 2:]) / 3, np.float64)

    def part(self, start: float, stop: float) -> Floats:
        """(n,) mean of the values from a share of the curve to another, of one value at least."""
        low = np.minimum(np.floor(start * self.count).astype(np.int64), self.count - 1)
        return self.mean(low, np.maximum(np.ceil(stop * self.count).astype(np.int64), low + 1))

    def mean(self, low: Ints, high: Ints) -> Floats:
        """(n,) mean of the values from `low` up to but not including `high`, each (n,)."""
        places = np.arange(self.values.shape[1])
        inside = (places >= low[:, None]) & (places < high[:, None])
        return _quiet(np.nanmean, np.where(inside, self.values, np.nan))

    @cached_property
    def _trend(self) -> tuple[Floats, Floats]:
        """Least squares over the last half of each curve: the change over it, and its standard error."""
        n = self.count[:, None]
        places = np.arange(self.values.shape[1])[None, :]
        inside = (places >= n // 2) & (places < n)
        m = inside.sum(axis=1)
        x = np.where(inside, places - (n // 2 + n - 1) / 2, 0.0)
        y = np.where(inside, self.values, 0.0)
        with np.errstate(all="ignore"):
            y = np.where(inside, y - y.sum(axis=1, keepdims=True) / m[:, None], 0.0)
            sxx = np.sum(x * x, axis=1)
            slope = np.sum(x * y, axis=1) / sxx
            rest = np.sum((y - slope[:, None] * x) ** 2, axis=1) / (m - 2)
            return slope * (m - 1), np.sqrt(rest / sxx) * (m - 1)


@dataclass(frozen=True, eq=False)
class Batch:
    """Trials that are looked at together.

    Attributes:
        trials: Their n rows of the `trials` table.
        reports: Their rows of the `reports` table.
        rows: For each of these, the place of its trial among the n.
    """

    trials: pd.DataFrame
    reports: pd.DataFrame
    rows: Ints

    def curve(self, name: str | None) -> Curve | None:
        """The curves of a metric; None where it was never reported."""
        if name is None or name not in self.reports.columns:
            return None
        values = self.reports[name].to_numpy(np.float64)
        epochs = self.reports["epoch"].to_numpy(np.int64)
        there = np.isfinite(values)
        if not there.any():
            return None
        rows, values, epochs = self.rows[there], values[there], epochs[there]
        order = np.lexsort((epochs, rows))
        rows, values, epochs = rows[order], values[order], epochs[order]
        starts = np.searchsorted(rows, np.arange(len(self.trials)))
        places = np.arange(len(rows)) - starts[rows]
        shape = (len(self.trials), max(int(places.max()) + 1, 3))
        grid, when = np.full(shape, np.nan), np.zeros(shape, np.int64)
        grid[rows, places], when[rows, places] = values, epochs
        return Curve(grid, when)


def batches(frames: Frames) -> Iterator[Batch]:
    """The trials in batches that fit in little memory; those of a stage, which are about equally long, together."""
    reports = dict(tuple(frames.reports.groupby("stage", sort=False)))
    for stage, trials in frames.trials.groupby("stage", sort=False):
        found = reports.get(stage, frames.reports.iloc[:0])
        numbers = found["trial"].to_numpy(np.int64)
        longest = int(found["epoch"].max()) if len(found) else 1
        step = max(_CELLS // longest, 1)
        trials = trials.sort_values("trial")
        for start in range(0, len(trials), step):
            some = trials.iloc[start : start + step]
            keys = some["trial"].to_numpy(np.int64)
            rows = np.searchsorted(keys, numbers).clip(0, len(keys) - 1)
            mine = keys[rows] == numbers
            yield Batch(some.reset_index(drop=True), found[mine], rows[mine].astype(np.int64))


def _quiet(function: Any, values: Floats) -> npt.NDArray[np.float64]:
    """A NaN-skipping statistic of each row; NaN for a row without values, and no warning about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(function(values, axis=1), np.float64)
