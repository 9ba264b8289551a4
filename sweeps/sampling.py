"""Which configs a stage tries: config i of stage s is a pure function of (space, seed, s, i).

Every parameter has a stream of its own, keyed by its name: adding one does not move the others, and any number of
slots draws the same configs. `Philox.random_raw` is used because NumPy promises its bits from release to release.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Mapping, Sequence

import numpy as np

from sweeps.errors import UsageError
from sweeps.space import Choice, Columns, Config, Floats, Parameter, Range, Space, Value
from workers.messages import Ints

METHODS = ("random", "sobol", "lhs", "grid")


def draw(
    space: Space, method: str, seed: int, stage: int, count: int, include: Sequence[Config] = ()
) -> tuple[Columns, Ints]:
    """Configs and seeds of a whole stage.

    Args:
        space: Where to draw: the region of the stage.
        method: One of `METHODS`.
        seed: Seed of the sweep.
        stage: Number of the stage.
        count: Number of trials; where a grid has fewer points, it is gone through again, with new seeds.
        include: Configs of the first trials; what they leave open is drawn.

    Returns:
        One column per parameter, and (count,) seeds in [0, 2^31).
    """
    positions = _POSITIONS[method](space, seed, stage, count)
    drawn = {name: p.decode(positions.get(name, np.full(count, 0.5))) for name, p in space.parameters.items()}
    for i, config in enumerate(include[:count]):
        for name, value in config.items():
            drawn[name][i] = value
    columns = space.conditioned(drawn)  # what a given value switches on was drawn, and what it switches off goes
    packed = {name: _packed(space.parameters[name], column) for name, column in columns.items()}
    return packed, seeds(seed, stage, count)


def _packed(parameter: Parameter, column: Sequence[Value]) -> Sequence[Value]:
    """The same column as machine numbers, if it can be: a quarter of the memory, and what is taken out is native."""
    if not isinstance(parameter, Range) or None in column:
        return column
    return array("q" if parameter.integer else "d", column)


def seeds(seed: int, stage: int, count: int) -> Ints:
    """(count,) seeds in [0, 2^31) of the trials of a stage."""
    return (_raw(seed, stage, "", "seed", count) >> np.uint64(33)).astype(np.int64)


def grid_size(space: Space, count: int) -> int:
    """The number of points of the largest grid that `count` trials can hold."""
    return math.prod(_levels(space, count).values())


def _random(space: Space, seed: int, stage: int, count: int) -> Mapping[str, Floats]:
    """Independent and uniform."""
    return {name: _uniform(seed, stage, name, "value", count) for name in space.searched}


def _latin_hypercube(space: Space, seed: int, stage: int, count: int) -> Mapping[str, Floats]:
    """One point in each of `count` equal slices of every parameter (McKay, Beckman and Conover 1979)."""
    positions = {}
    for name in space.searched:
        slices = np.argsort(_raw(seed, stage, name, "slice", count), kind="stable")
        positions[name] = (slices + _uniform(seed, stage, name, "value", count)) / count
    return positions


def _sobol(space: Space, seed: int, stage: int, count: int) -> Mapping[str, Floats]:
    """Scrambled Sobol points: the first `count` of one fixed sequence."""
    try:
        from scipy.stats import qmc
    except ImportError as error:
        raise UsageError('method = "sobol" needs scipy: pip install "coarsefine[sobol]"') from error
    names = space.searched
    if not names:
        return {}
    sequence = qmc.Sobol(len(names), scramble=True, rng=np.random.default_rng(_sequence(seed, stage, "", "sobol")))
    points = sequence.random_base2(max(0, math.ceil(math.log2(count))))[:count]
    return {name: np.ascontiguousarray(points[:, i]) for i, name in enumerate(names)}


def _grid(space: Space, seed: int, stage: int, count: int) -> Mapping[str, Floats]:
    """Every combination of evenly spaced positions, ends included, and of all choices."""
    levels = {name: level for name, level in _levels(space, count).items() if level > 1}
    mesh = np.meshgrid(*(_axis(space.parameters[name], level) for name, level in levels.items()), indexing="ij")
    return {name: np.resize(axis, count) for name, axis in zip(levels, mesh, strict=True)}


def _axis(parameter: Parameter, level: int) -> Floats:
    """(level,) positions that decode to different values; at least two."""
    if isinstance(parameter, Choice):
        return parameter.encode(parameter.values)
    if not (isinstance(parameter, Range) and parameter.integer and parameter.log):
        return np.linspace(0.0, 1.0, level)
    values = [parameter.low]  # equal ratios, but at least one apart: small whole numbers lie far apart in log space
    for left in range(level - 1, 0, -1):
        ratio = (parameter.high / values[-1]) ** (1 / left)
        values.append(max(values[-1] + 1, round(values[-1] * ratio)))
    return parameter.encode(values)


def _levels(space: Space, count: int) -> dict[str, int]:
    """How many values a grid of at most `count` points has of each parameter: ranges share what choices leave."""
    levels = {name: 1 for name in space.searched}
    for name in space.searched:
        parameter = space.parameters[name]
        if isinstance(parameter, Choice):
            levels[name] = len(parameter.values)
    if math.prod(levels.values()) > count:
        raise UsageError(f"a grid over these choices has {math.prod(levels.values())} points; trials = {count} is less")
    ranges = {n: _distinct(p) for n, p in space.parameters.items() if n in levels and isinstance(p, Range)}
    least, most = 1, count  # levels that every range can have: at least, at most
    while least < most:
        middle = (least + most + 1) // 2
        tried = levels | {name: int(min(middle, distinct)) for name, distinct in ranges.items()}
        least, most = (middle, most) if math.prod(tried.values()) <= count else (least, middle - 1)
    levels |= {name: int(min(least, distinct)) for name, distinct in ranges.items()}
    grown = True
    while grown:  # one more level for each range in turn, as long as the grid still fits
        grown = False
        for name, distinct in ranges.items():
            room = math.prod(levels.values()) // levels[name] * (levels[name] + 1) <= count
            if room and levels[name] < distinct:
                levels[name] += 1
                grown = True
    return levels


def _distinct(parameter: Range) -> float:
    """How many values a range has."""
    return parameter.high - parameter.low + 1 if parameter.integer else math.inf


def _uniform(seed: int, stage: int, name: str, purpose: str, count: int) -> Floats:
    """(count,) numbers in [0, 1); the i-th does not depend on the count."""
    return np.ldexp((_raw(seed, stage, name, purpose, count) >> np.uint64(11)).astype(np.float64), -53)


def _raw(seed: int, stage: int, name: str, purpose: str, count: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """(count,) random words of one parameter's stream."""
    return np.random.Philox(_sequence(seed, stage, name, purpose)).random_raw(count)


def _sequence(seed: int, stage: int, name: str, purpose: str) -> np.random.SeedSequence:
    """The root of a stream: what it is for, of which parameter, in which stage."""
    digest = hashlib.blake2b(f"{purpose}:{name}".encode(), digest_size=8).digest()
    return np.random.SeedSequence(seed, spawn_key=(stage, int.from_bytes(digest, "little")))


_POSITIONS = {"random": _random, "sobol": _sobol, "lhs": _latin_hypercube, "grid": _grid}
