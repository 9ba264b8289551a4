"""Which parameters matter: the share of each in what sets the best tenth of the trials apart from all of them.

PED-ANOVA compares, one parameter at a time, the density of the best trials with that of all trials, both smoothed by
kernels on a grid. The variance of their ratio is the variance of the chance to be among the best that the parameter
alone explains. No model is fitted, so it takes a fraction of a second; that parameters act together it cannot see.

Source: Watanabe, Bansal and Hutter, "PED-ANOVA: Efficiently quantifying hyperparameter importance in arbitrary
subspaces", IJCAI 2023; grid, bandwidth and prior as in Optuna 5, with which a test compares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sweeps.space import Choice, Fixed, Flags, Floats, Parameter, Range
from workers.messages import Ints

if TYPE_CHECKING:
    import pandas as pd

    from analysis.frames import Frames
    from sweeps.settings import Settings

LEAST = 50  #: trials; of fewer, the best tenth is no sample
TOP = 0.1  #: share of the trials that count as best
_STEPS = 50
_PRIOR = 1.0  # weight of the kernel that covers the whole range, in trials
_SHUFFLES = 39  # so that one chance finding in 40 is let through
_TINY = 1e-12
_erf = np.frompyfunc(math.erf, 1, 1)


def importance(frames: Frames, settings: Settings) -> pd.Series[float]:
    """Share of each searched parameter, the largest first; empty where too few trials, or chance, would say as much.

    The first stage is looked at, since it alone covers the whole space with one budget.
    """
    import pandas as pd

    from analysis.outcomes import outcomes

    empty = pd.Series(dtype=np.float64, name="importance")
    found = outcomes(frames, settings)
    if not found or np.sum(found[0].finite) < LEAST:
        return empty
    first = found[0]
    space, scores = settings.space, first.scores[first.finite]
    cells = {
        name: (cells_of(parameter, first.observed.columns[name])[first.finite], parameter)
        for name in space.searched
        for parameter in [space.parameters[name]]
    }
    top = best_share(scores)
    raw = {name: divergence(where, top, parameter) for name, (where, parameter) in cells.items()}
    rng = np.random.default_rng(0)
    by_chance = 0.0
    for _ in range(_SHUFFLES):
        shuffled = rng.permutation(top)
        by_chance = max(by_chance, *(divergence(where, shuffled, p) for where, p in cells.values()))
    total = sum(raw.values())
    if not total > 0 or max(raw.values()) <= by_chance:
        return empty
    return pd.Series({name: value / total for name, value in raw.items()}, name="importance").sort_values(
        ascending=False, kind="stable"
    )


def best_share(scores: Floats) -> Flags:
    """(n,) true for the best tenth, ties included; lower scores are better."""
    last = math.ceil(TOP * len(scores)) - 1
    return np.asarray(scores <= np.partition(scores, last)[last], np.bool_)


def cells_of(parameter: Parameter, values: Sequence[object]) -> Ints:
    """(n,) cell of the grid in which each value lies; -1 where the parameter is not active."""
    if isinstance(parameter, Choice):
        places = {repr(value): parameter.index(value) for value in values}
        return np.array([places[repr(value)] for value in values], np.int64)
    if isinstance(parameter, Fixed):
        return np.zeros(len(values), np.int64)
    numbers = np.array([math.nan if value is None else value for value in values], np.float64)
    low, high = parameter.low, parameter.high
    if parameter.log:
        numbers, low, high = np.log(numbers), math.log(low), math.log(high)
    place = np.ceil((numbers - low) / (high - low) * (grid_of(parameter) - 1) - 0.5)
    return np.where(np.isnan(place), -1, np.clip(place, 0, grid_of(parameter) - 1)).astype(np.int64)


def grid_of(parameter: Parameter) -> int:
    """Number of cells of a parameter's grid."""
    if isinstance(parameter, Range):
        if not parameter.integer:
            return _STEPS
        values = int(parameter.high - parameter.low) + 1
        # A logarithmic grid finer than the whole numbers would have holes at its lower end.
        return min(math.ceil(math.log2(values)) + 1 if parameter.log else values, _STEPS)
    return len(parameter.values) if isinstance(parameter, Choice) else 1


def divergence(cells: Ints, top: Flags, parameter: Parameter) -> float:
    """Pearson divergence of the best trials from all, where the parameter is active; 0 where they are alike.

    Args:
        cells: (n,) from `cells_of`.
        top: (n,) true for the best trials.
        parameter: The parameter.
    """
    active = cells >= 0
    if not (active & top).any() or grid_of(parameter) < 2:
        return 0.0
    everywhere = _density(cells[active], parameter)
    best = _density(cells[active & top], parameter)
    # A conditional parameter can only explain the share of the trials in which it is there.
    weight = np.mean(active[top]) ** 2 / np.mean(active)
    return float(weight * np.sum(everywhere * (best / everywhere - 1.0) ** 2))


def _density(cells: Ints, parameter: Parameter) -> Floats:
    """(grid,) smoothed share of the trials in each cell."""
    counts = np.bincount(cells, minlength=grid_of(parameter)).astype(np.float64)
    kernels = _choice_kernels(counts) if isinstance(parameter, Choice) else _range_kernels(counts)
    weights = np.append(counts[counts > 0], _PRIOR)
    return np.asarray(weights / weights.sum() @ kernels + _TINY, np.float64)


def _choice_kernels(counts: Floats) -> Floats:
    """(kernels, grid) one row per choice that occurs and the prior: mostly itself, a little of every other."""
    there = np.flatnonzero(counts)
    kernels = np.full((len(there) + 1, len(counts)), _PRIOR / (len(there) + 1))
    kernels[np.arange(len(there)), there] += 1.0
    return np.asarray(kernels / kernels.sum(axis=1, keepdims=True), np.float64)


def _range_kernels(counts: Floats) -> Floats:
    """(kernels, grid) one normal per cell that occurs, of Scott's bandwidth, and a wide one for the whole range."""
    places = np.flatnonzero(counts).astype(np.float64)
    weights = counts[counts > 0]
    total, running, last = weights.sum(), np.cumsum(weights), len(counts) - 1
    mean = places @ weights / total
    deviation = math.sqrt((places - mean) ** 2 @ weights / max(1.0, total - 1))
    lower = np.searchsorted(running, total // 4, side="left")
    upper = min(np.searchsorted(running, total * 3 // 4, side="right"), len(places) - 1)
    width = 1.059 * min((places[upper] - places[lower]) / 1.34, deviation) * total**-0.2
    centres = np.append(places, last / 2)[:, None]
    widths = np.append(np.full(len(places), max(width, 0.5 / 1.64)), last + 1)[:, None]

    def below(edge: Floats) -> Floats:
        return np.asarray(0.5 * (1 + _erf((edge - centres) / widths / math.sqrt(2.0)).astype(np.float64)))

    edges = below(np.arange(len(counts) + 1, dtype=np.float64)[None, :] - 0.5)
    return np.asarray(np.diff(edges, axis=1) / (edges[:, -1:] - edges[:, :1]), np.float64)
