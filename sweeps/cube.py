"""Configs as points: positions in the unit cube, how to move there, and the coordinates that distances are taken in."""

from __future__ import annotations

import math

import numpy as np

from sweeps.space import Choice, Columns, Floats, Space
from workers.messages import Ints

_STRETCH = 1.5  #: so large is the cube that points come from which are brought back to the ends
_CREEP = 0.3  #: probability that a step is one in the distance from the nearer end, on a log scale
_LEAST_AWAY = 1e-3  #: distance from an end that such a step begins at, at least
_BEND = 0.02  #: distance from an end below which differences count little
_FAINT = 0.5  #: of such coordinates: they count for less until the results say otherwise
_SWITCH = 0.15  #: probability that a step takes another choice
_END = 1 - 1e-12  #: positions lie below 1


def positions(space: Space, columns: Columns) -> Floats:
    """(n, d) position of each searched parameter; the middle where it is not active.

    Positions outside of [0, 1], of configs from before a range was cut, stay what they are.
    """
    encoded = space.encode(columns)
    found = np.stack([encoded[name] for name in space.searched], axis=1)
    return np.where(np.isnan(found), 0.5, found)


def configs(space: Space, at: Floats) -> Columns:
    """The configs at positions (n, d)."""
    return space.decode({name: at[:, j] for j, name in enumerate(space.searched)}, len(at))


def snapped(space: Space, at: Floats) -> Floats:
    """(n, d) the positions that the configs at positions really have: of whole numbers, of choices, of what is off."""
    return positions(space, configs(space, at))


def even(space: Space, count: int, rng: np.random.Generator) -> Floats:
    """(count, d) positions that cover the cube evenly: a lattice along powers of a golden ratio, shifted at random.

    https://extremelearning.com.au/unreasonable-effectiveness-of-quasirandom-sequences (Roberts 2018); the shift is
    Cranley and Patterson's (1976).
    """
    d = len(space.searched)
    root = 2.0
    for _ in range(40):  # the root of x^(d + 1) = x + 1
        root = (1 + root) ** (1 / (d + 1))
    steps = np.arange(1, count + 1)[:, None] * root ** -np.arange(1.0, d + 1)
    return np.minimum((rng.random(d) + steps) % 1.0, _END)


def anywhere(space: Space, count: int, rng: np.random.Generator) -> Floats:
    """(count, d) positions at random; of every second one a third of the ranges are at one of their ends."""
    at = rng.random((count, len(space.searched)))
    ranges = [not isinstance(space.parameters[name], Choice) for name in space.searched]
    at[1::2] = np.where(ranges, np.clip(0.5 + _STRETCH * (at[1::2] - 0.5), 0, _END), at[1::2])
    return at


def shaken(space: Space, at: Floats, width: Floats | float, rng: np.random.Generator, *, stops: bool) -> Floats:
    """(n, d) positions a normal step of a width away from those given.

    Args:
        space: What is searched.
        at: (n, d) positions.
        width: Of a step, the same in all coordinates or one for each.
        rng: Source of randomness.
        stops: Whether a step past an end of the cube stops there, where what is best often is (no dropout at all), or
            turns back. Some of these steps are much smaller close to an end.
    """
    moved = at + rng.normal(size=at.shape) * width
    if stops:
        low = at < 0.5
        away = np.maximum(np.where(low, at, 1 - at), _LEAST_AWAY) * np.exp(rng.normal(size=at.shape))
        moved = np.where(rng.random(at.shape) < _CREEP, np.where(low, away, 1 - away), moved)
    moved = np.clip(moved if stops else 1 - np.abs(1 - np.abs(moved)), 0, _END)
    for j, name in enumerate(space.searched):
        if isinstance(space.parameters[name], Choice):
            moved[:, j] = np.where(rng.random(len(at)) < _SWITCH, rng.random(len(at)), at[:, j])
    return moved


def features(space: Space, at: Floats) -> Floats:
    """(n, p) coordinates in which distance means difference.

    One per value of a choice; three for a range: its position, and how near that is to either end on a log scale, since
    what is best at an end (a decay of nearly nothing, a momentum of nearly one) often changes quickly beside it. Which
    of these matter, the results say.
    """
    parts = []
    for j, name in enumerate(space.searched):
        parameter = space.parameters[name]
        if isinstance(parameter, Choice):
            edges = np.cumsum(parameter.weights) / sum(parameter.weights)
            place = np.searchsorted(edges, at[:, j], side="right").clip(0, len(edges) - 1)
            parts.append(np.eye(len(edges))[place] / 2)
        else:
            parts += [at[:, [j]], _bent(at[:, [j]]), _bent(1 - at[:, [j]])]
    return np.concatenate(parts, axis=1)


def _bent(away: Floats) -> Floats:
    """Distances from an end on a log scale, about [0, 1]."""
    bent: Floats = _FAINT * (1 - np.log(np.maximum(away, 0.0) + _BEND) / math.log(_BEND))
    return bent


def owners(space: Space) -> Ints:
    """(p,) the number of the length that each coordinate has: the values of a choice share one."""
    sizes: list[int] = []
    for name in space.searched:
        parameter = space.parameters[name]
        sizes += [len(parameter.values)] if isinstance(parameter, Choice) else [1, 1, 1]
    return np.repeat(np.arange(len(sizes)), sizes)
