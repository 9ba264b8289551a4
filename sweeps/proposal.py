"""What to try next: a pure function from what was seen so far to a batch of configs and the region they come from.

The first batch covers the space evenly. Every later one is what a surface through all results (`surface`), of short
trainings as of long ones, expects most of at the end of a full training; but for a share from the whole space, as an
insurance against a surface that is wrong, and a control. Where the best crowd an edge, the space is moved (`frontier`)
and half of the batch tries what is new.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweeps import cube, frontier, surface
from sweeps.regions import Region
from sweeps.space import Columns, Flags, Floats, Space
from sweeps.surface import Surface
from workers.messages import Ints

WHOLE_SHARE = 0.15  #: of each batch from the whole space
MAX_SEEN = 256  #: results that the surface goes through
_MAX_JUDGED = 1000  #: trials, the best ones, of which is said what they may come to
_LEAST_SEEN = 4  #: trials that a surface takes
_ELITES = (6, 14)  #: how many trials proposals start from: a tenth, within these bounds
_WIDTH = 1.5  #: of a step from an elite, in spreads of the elites
_LEAST_WIDTH = 0.03
_ANYWHERE, _NEAR, _TOPS, _EACH, _ROUNDS, _LEFT = 256, 512, 24, 8, 3, 400  #: candidates
_INSIDE = 0.15  #: of a range: how far from its end it is compared with its end
_MARGIN = 0.02  #: of a region round its trials
_STREAM = 0x70726F70  #: tells this stream of random numbers from others of the same seed


@dataclass(frozen=True, slots=True)
class Results:
    """What was seen so far, one row per trial, in the order of their ids.

    Attributes:
        columns: Their configs.
        values: (n, r) score after each rung, lower is better; NaN where not looked at yet, infinite from where it died.
    """

    columns: Columns
    values: Floats


@dataclass(frozen=True, slots=True)
class Proposal:
    """A batch.

    Attributes:
        columns: The configs.
        region: Where most of them come from, and why.
        domain: The whole space, moved where the best crowded an edge.
        expected: (n,) the rank, as a logarithm, that each trial seen so far is expected to have after a full training;
            NaN where nothing is.
    """

    columns: Columns
    region: Region
    domain: Region
    expected: Floats


def propose(domain: Region, results: Results, rungs: Sequence[int], seed: int, stage: int, count: int) -> Proposal:
    """The configs of a stage.

    Args:
        domain: The whole space as it is by now.
        results: What was seen so far.
        rungs: Epochs at which trials were looked at, ascending.
        seed: Seed of the sweep.
        stage: Number of the stage.
        count: How many configs.
    """
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(stage, _STREAM))))
    order = ranking(results.values)
    dead: Flags = np.any(np.isinf(results.values), axis=1)
    nothing = np.full(len(dead), math.nan)
    if not domain.space.searched or np.sum(~dead[order]) < _LEAST_SEEN:
        columns = cube.configs(domain.space, _even(domain.space, seed, len(dead), count))
        why = "the whole space, evenly" if not len(order) else f"the whole space: {len(order)} trials say too little"
        return Proposal(columns, Region(domain.space, (why,), domain.moves), domain, nothing)
    elites = order[: int(np.clip(len(order) // 10, *_ELITES))]
    elites = elites[~dead[elites]]
    at = cube.positions(domain.space, results.columns)
    belief = _Belief(domain.space, at, results.values, rungs)
    found = frontier.look(domain, results.columns, order, dead, belief.falls(at[elites]))
    space = found.domain.space
    if found.bands:
        at = cube.positions(space, results.columns)
        belief = _Belief(space, at, results.values, rungs)
    expected = nothing.copy()
    expected[order[:_MAX_JUDGED]] = belief.expected(at[order[:_MAX_JUDGED]])
    whole = math.floor(WHOLE_SHARE * count + rng.random())
    chosen = _choose(space, belief, at, elites, at[np.setdiff1d(np.arange(len(at)), order)], found, rng, count - whole)
    insurance = cube.snapped(space, _even(space, seed, len(dead), whole))
    reach = np.concatenate([at[elites], chosen])
    ends = {
        n: (float(reach[:, j].min()) - _MARGIN, float(reach[:, j].max()) + _MARGIN)
        for j, n in enumerate(space.searched)
    }
    region = frontier.box(found.domain, ends, len(elites), found.domain.evidence)
    return Proposal(cube.configs(space, np.concatenate([chosen, insurance])), region, found.domain, expected)


def ranking(values: Floats) -> Ints:
    """Trials that were looked at, best first: by the highest rung reached, then the score there, then the id.

    Dead ones come last.

    Args:
        values: (n, r) as of `Results`.
    """
    seen = np.flatnonzero(~np.isnan(values[:, 0]))
    dead = np.isinf(values[seen]).any(axis=1)
    highest = np.sum(np.isfinite(values[seen]), axis=1)
    last = np.where(highest > 0, values[seen, np.maximum(highest - 1, 0)], np.inf)
    return seen[np.lexsort((seen, last, -highest, dead))]


class _Belief:
    """A surface over configs and lengths of training, through what was seen.

    Attributes:
        model: The surface; its values are logarithms of ranks, so that it is finest where scores are best.
        best: Lowest value expected of a trial that was seen, after a full training.
    """

    def __init__(self, space: Space, at: Floats, values: Floats, rungs: Sequence[int]) -> None:
        rows, ks = np.nonzero(~np.isnan(values))
        scores = values[rows, ks]
        first = np.isfinite(scores) | (ks == np.argmax(np.isinf(values), axis=1)[rows])  # a death counts once
        rows, ks, scores = rows[first], ks[first], scores[first]
        best_first = np.lexsort((ks, rows, scores))
        rows, ks, scores = rows[best_first], ks[best_first], scores[best_first]
        ranks = np.where(np.isfinite(scores), np.arange(1, len(scores) + 1), len(scores))
        kept = _kept(len(scores))
        depth = np.log(np.array(rungs, float)) / max(math.log(rungs[-1]), 1.0)
        self._space, self._top = space, float(depth[ks.max()])
        x = np.c_[cube.features(space, at[rows[kept]]), depth[ks[kept]]]
        owners = cube.owners(space)
        self.model: Surface = surface.fit(x, np.log(ranks[kept] / len(scores)), np.r_[owners, owners.max() + 1])
        self.best = float(np.min(self.expected(at[np.unique(rows[kept])])))

    def points(self, at: Floats) -> Floats:
        """(n, p) points of configs after the longest training that was seen."""
        return np.column_stack([cube.features(self._space, at), np.full(len(at), self._top)])

    def expected(self, at: Floats) -> Floats:
        """(n,) what configs come to."""
        return self.model.mean_at(self.points(at))

    def gain(self, at: Floats) -> Floats:
        """(n,) improvement that is expected of configs."""
        return _improvement(*self.model.predict(self.points(at)), self.best)

    def falls(self, at: Floats) -> dict[str, tuple[float, float]]:
        """For each range how surely configs would be better at its low and its high end, in standard deviations."""
        found = {}
        for j, name in enumerate(self._space.searched):
            ends = []
            for edge, inside in ((0.0, _INSIDE), (1.0, 1.0 - _INSIDE)):
                both = np.concatenate([at, at])
                both[:, j] = np.repeat([inside, edge], len(at))
                mean, covariance = self.model.joint(self.points(both))
                weights = np.repeat([1.0, -1.0], len(at)) / len(at)
                variance = max(float(weights @ covariance @ weights), 1e-12)
                ends.append(float(weights @ mean) / math.sqrt(variance))
            found[name] = (ends[0], ends[1])
        return found


def _kept(count: int) -> Ints:
    """Which results the surface goes through, sorted from the best: half are the best, half spread over the rest."""
    if count <= MAX_SEEN:
        return np.arange(count)
    half = MAX_SEEN // 2
    return np.concatenate([np.arange(half), np.linspace(half, count - 1, MAX_SEEN - half).astype(np.int64)])


def _choose(
    space: Space,
    belief: _Belief,
    at: Floats,
    elites: Ints,
    waiting: Floats,
    found: frontier.Frontier,
    rng: np.random.Generator,
    count: int,
) -> Floats:
    """(count, d) the positions of which most is expected, one after the other."""
    weights = np.log(len(elites) + 0.5) - np.log(np.arange(1, len(elites) + 1))
    weights /= weights.sum()
    spread = np.sqrt(weights @ (at[elites] - weights @ at[elites]) ** 2)
    width = np.maximum(_WIDTH * spread * len(elites) ** (-1 / (at.shape[1] + 4)), _LEAST_WIDTH)
    near = cube.shaken(space, at[rng.choice(elites, _NEAR, p=weights)], width, rng)
    pool = [np.concatenate([rng.random((_ANYWHERE, at.shape[1])), near])]
    gains = []
    for turn in range(_ROUNDS):
        pool[-1] = cube.snapped(space, pool[-1])
        gains.append(belief.gain(pool[-1]))
        tops = np.concatenate(pool)[np.argsort(-np.concatenate(gains), kind="stable")[:_TOPS]]
        pool.append(cube.shaken(space, np.repeat(tops, _EACH, axis=0), 0.1 / 2**turn, rng))
    pool[-1] = cube.snapped(space, pool[-1])
    gains.append(belief.gain(pool[-1]))
    candidates = np.concatenate(pool)[np.argsort(-np.concatenate(gains), kind="stable")[:_LEFT]]
    new = np.full(len(candidates), False)
    for name, (start, end) in found.bands.items():  # as many again in what is new
        moved = cube.snapped(space, _into(candidates[~new], space.searched.index(name), start, end, rng))
        candidates, new = np.concatenate([candidates, moved]), np.r_[new, np.full(len(moved), True)]
    first = math.ceil(count / 2) if found.bands else 0
    return _one_by_one(belief, candidates, new, [first, count - first], waiting)


def _into(at: Floats, j: int, start: float, end: float, rng: np.random.Generator) -> Floats:
    """The positions with their j-th coordinate anywhere between start and end."""
    moved = at.copy()
    moved[:, j] = start + (end - start) * rng.random(len(at))
    return moved


def _one_by_one(belief: _Belief, candidates: Floats, new: Flags, counts: Sequence[int], waiting: Floats) -> Floats:
    """(sum of counts, d) of the candidates: the first so many among the new ones, the others among all.

    After each choice the surface is drawn as if it had come out as expected, so that the next one lies elsewhere; the
    same for trials that wait for their first result.
    """
    mean, covariance = belief.model.joint(belief.points(np.concatenate([waiting, candidates])))
    free = np.arange(len(mean)) >= len(waiting)
    preferred = np.r_[np.full(len(waiting), False), new]
    chosen: list[int] = []
    for turn in range(len(waiting) + sum(counts)):
        place = turn
        if turn >= len(waiting):
            among = free & preferred if len(chosen) < counts[0] and (free & preferred).any() else free
            variance = np.maximum(np.diag(covariance), 1e-12)
            place = int(np.argmax(np.where(among, _improvement(mean, variance, belief.best), -np.inf)))
            chosen.append(place - len(waiting))
            free[place] = False
        row = covariance[place] / math.sqrt(max(covariance[place, place], 0.0) + 1e-6)
        covariance = covariance - np.outer(row, row)
    return candidates[chosen]


def _even(space: Space, seed: int, first: int, count: int) -> Floats:
    """(count, d) positions of one even cover of the space, from a number on."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(_STREAM,))))
    return cube.even(space, first + count, rng)[first:]


def _improvement(mean: Floats, variance: Floats, best: float) -> Floats:
    """(n,) expected improvement on the best, lower being better (Jones, Schonlau and Welch 1998)."""
    sigma = np.sqrt(variance)
    z = (best - mean) / sigma
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    # The normal distribution within 1e-7, without scipy (Abramowitz and Stegun 1964, 26.2.17).
    t = 1 / (1 + 0.2316419 * np.abs(z))
    series = (0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429)
    tail = density * sum(c * t ** (i + 1) for i, c in enumerate(series))
    return np.maximum(sigma * (z * np.where(z > 0, 1 - tail, tail) + density), 0.0)
