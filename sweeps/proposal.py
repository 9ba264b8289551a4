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

from sweeps import cube, frontier
from sweeps.belief import Belief, improvement
from sweeps.regions import Region
from sweeps.space import Columns, Flags, Floats, Space
from workers.messages import Ints

WHOLE_SHARE = 0.15  #: of each batch from the whole space
_LEAST_SEEN = 4  #: trials that a surface takes
_ELITES = (6, 14)  #: how many trials proposals start from: a tenth, within these bounds
_WIDTH = 1.5  #: of a step from an elite, in spreads of the elites
_LEAST_WIDTH = 0.03
_ANYWHERE, _NEAR, _TOPS, _EACH, _ROUNDS, _LEFT = 1024, 512, 24, 8, 3, 200  #: candidates
_AMBITIONS = (0.0, 1.0)  #: by how many spreads of all results a proposal is to be better than the best, in turn
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
        belief: What is believed of configs after all results; None where these say too little.
    """

    columns: Columns
    region: Region
    domain: Region
    belief: Belief | None


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
    if not domain.space.searched or np.sum(~dead[order]) < _LEAST_SEEN:
        columns = cube.configs(domain.space, _even(domain.space, seed, len(dead), count))
        why = "the whole space, evenly" if not len(order) else f"the whole space: {len(order)} trials say too little"
        return Proposal(columns, Region(domain.space, (why,), domain.moves), domain, None)
    elites = order[: int(np.clip(len(order) // 10, *_ELITES))]
    elites = elites[~dead[elites]]
    at = cube.positions(domain.space, results.columns)
    belief = Belief(domain.space, at, results.values, rungs)
    found = frontier.look(domain, results.columns, order, dead, belief.falls(at[elites]))
    space = found.domain.space
    if found.bands:
        at = cube.positions(space, results.columns)
        belief = Belief(space, at, results.values, rungs)
    whole = math.floor(WHOLE_SHARE * count + rng.random())
    chosen = _choose(space, belief, at, elites, at[np.setdiff1d(np.arange(len(at)), order)], found, rng, count - whole)
    insurance = cube.snapped(space, _even(space, seed, len(dead), whole))
    reach = np.concatenate([at[elites], chosen])
    ends = {
        n: (float(reach[:, j].min()) - _MARGIN, float(reach[:, j].max()) + _MARGIN)
        for j, n in enumerate(space.searched)
    }
    region = frontier.box(found.domain, ends, len(elites), found.domain.evidence)
    return Proposal(cube.configs(space, np.concatenate([chosen, insurance])), region, found.domain, belief)


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


def _choose(
    space: Space,
    belief: Belief,
    at: Floats,
    elites: Ints,
    waiting: Floats,
    found: frontier.Frontier,
    rng: np.random.Generator,
    count: int,
) -> Floats:
    """(count, d) the positions of which most is expected, one after the other.

    Every second one is to improve on the best by a good deal: it looks where less is known, so that a search that has
    come to the best of its neighbourhood goes on to another.
    """
    weights = np.log(len(elites) + 0.5) - np.log(np.arange(1, len(elites) + 1))
    weights /= weights.sum()
    spread = np.sqrt(weights @ (at[elites] - weights @ at[elites]) ** 2)
    width = np.maximum(_WIDTH * spread * len(elites) ** (-1 / (at.shape[1] + 4)), _LEAST_WIDTH)
    near = cube.shaken(space, at[rng.choice(elites, _NEAR, p=weights)], width, rng, stops=False)
    pool = cube.snapped(space, np.concatenate([cube.anywhere(space, _ANYWHERE, rng), near]))
    promising = np.concatenate([_promising(space, belief, pool, ambition, rng) for ambition in _AMBITIONS])
    candidates = _untried(promising, at, count)
    new = np.full(len(candidates), False)
    for name, (start, end) in found.bands.items():  # as many again in what is new
        moved = cube.snapped(space, _into(candidates[~new], space.searched.index(name), start, end, rng))
        candidates, new = np.concatenate([candidates, moved]), np.r_[new, np.full(len(moved), True)]
    first = math.ceil(count / 2) if found.bands else 0
    return _one_by_one(belief, candidates, new, [first, count - first], waiting)


def _promising(space: Space, belief: Belief, pool: Floats, ambition: float, rng: np.random.Generator) -> Floats:
    """(n, d) the positions of which most is expected, in a pool and a few steps, each smaller, from the best of it."""
    gains = belief.gain(pool, ambition)
    for turn in range(_ROUNDS):
        tops = pool[np.argsort(-gains, kind="stable")[:_TOPS]]
        steps = cube.shaken(space, np.repeat(tops, _EACH, axis=0), 0.1 / 2**turn, rng, stops=True)
        steps = cube.snapped(space, steps)
        pool, gains = np.concatenate([pool, steps]), np.r_[gains, belief.gain(steps, ambition)]
    return pool[np.argsort(-gains, kind="stable")[:_LEFT]]


def _untried(candidates: Floats, at: Floats, count: int) -> Floats:
    """(m, d) the candidates, each once, without what is tried already; with that where less than a batch is left.

    Where the best lies in a corner of the space, the corner itself is a candidate many times.
    """
    tried = {row.tobytes() for row in at}
    unique = np.unique(candidates, axis=0)
    new = unique[[row.tobytes() not in tried for row in unique]]
    return new if len(new) >= count else unique


def _into(at: Floats, j: int, start: float, end: float, rng: np.random.Generator) -> Floats:
    """The positions with their j-th coordinate anywhere between start and end."""
    moved = at.copy()
    moved[:, j] = start + (end - start) * rng.random(len(at))
    return moved


def _one_by_one(belief: Belief, candidates: Floats, new: Flags, counts: Sequence[int], waiting: Floats) -> Floats:
    """(sum of counts, d) of the candidates: the first so many among the new ones, the others among all.

    After each choice the surface is drawn as if it had come out as expected, so that the next one lies elsewhere; the
    same for trials that wait for their first result.
    """
    mean, covariance = belief.model.joint(belief.points(np.concatenate([waiting, candidates])))
    free = np.arange(len(mean)) >= len(waiting)
    preferred = np.r_[np.full(len(waiting), False), new]
    chosen: list[int] = []
    best = belief.best
    for turn in range(len(waiting) + sum(counts)):
        place = turn
        if turn >= len(waiting):
            among = free & preferred if len(chosen) < counts[0] and (free & preferred).any() else free
            variance = np.maximum(np.diag(covariance), 1e-12)
            target = belief.target(best, _AMBITIONS[len(chosen) % len(_AMBITIONS)])
            place = int(np.argmax(np.where(among, improvement(mean, variance, target), -np.inf)))
            chosen.append(place - len(waiting))
            free[place] = False
        best = min(best, float(mean[place]))
        row = covariance[place] / math.sqrt(max(covariance[place, place], 0.0) + 1e-6)
        covariance = covariance - np.outer(row, row)
    return candidates[chosen]


def _even(space: Space, seed: int, first: int, count: int) -> Floats:
    """(count, d) positions of one even cover of the space, from a number on."""
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(_STREAM,))))
    return cube.even(space, first + count, rng)[first:]
