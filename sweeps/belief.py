"""What is believed of configs after the results so far: a surface over them and over lengths of training."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sweeps import cube, surface, views
from sweeps.space import Floats, Space
from sweeps.surface import Surface
from workers.messages import Ints

MAX_SEEN = 256  #: results that the surface goes through
_SPREAD = 5  #: trials per parameter, the first ones, whose median is a typical score: they cover the space
_DOUBT = 0.8  #: of what a surface through ranks leaves open, at most, must one through values leave to be taken
_INSIDE = 0.15  #: of a range: how far from its end it is compared with its end


class Belief:
    """A surface over configs and lengths of training, through what was seen.

    Attributes:
        at: (n, d) positions of the trials that it has learned from.
        model: The surface, through ranks or values of scores (`views`), whichever foretell each other better.
        best: Lowest value expected of a trial that was seen, after a full training.
    """

    def __init__(
        self, space: Space, at: Floats, values: Floats, rungs: Sequence[int], like: Belief | None = None
    ) -> None:
        """Learn from results.

        Args:
            space: What is searched.
            at: (n, d) positions of the trials, in the order of their ids.
            values: (n, r) score after each rung, as of `Results`; some are finite.
            rungs: Epochs at which trials were looked at, ascending.
            like: What was believed of fewer results of the same space: its view and its lengths are kept, and only
                the values are new. That takes a fifth of the time.
        """
        rows, ks = np.nonzero(~np.isnan(values))
        scores = values[rows, ks]
        first = np.isfinite(scores) | (ks == np.argmax(np.isinf(values), axis=1)[rows])  # a death counts once
        rows, ks, scores = rows[first], ks[first], scores[first]
        best_first = np.lexsort((ks, rows, scores))
        rows, ks, scores = rows[best_first], ks[best_first], scores[best_first]
        kept = _kept(len(scores))
        trials = rows[kept]
        depth = np.log(np.array(rungs, float)) / max(math.log(rungs[-1]), 1.0)
        self.at = at
        self._space, self._top = space, float(depth[ks.max()])
        x = np.c_[cube.features(space, at[trials]), depth[ks[kept]]]
        owners = cube.owners(space)
        owners = np.r_[owners, owners.max() + 1]
        spread = values[: _SPREAD * at.shape[1], 0]
        sound = spread[np.isfinite(spread)]
        typical = float(np.median(sound if len(sound) else scores[np.isfinite(scores)]))
        by_rank, by_value = views.ranks(scores)[kept], views.values(scores, typical)[kept]
        if like is None:
            self.model: Surface = surface.fit(x, by_rank, owners, trials)
            other = surface.fit(x, by_value, owners, trials)
            self._by_value = _unseen(other, by_value) < _DOUBT * _unseen(self.model, by_rank)
            if self._by_value:
                self.model = other
        else:
            self._by_value, model = like._by_value, like.model
            seen = by_value if self._by_value else by_rank
            self.model = surface.through(x, seen, trials, model.lengths, model.height, model.effect, model.noise)
        self.best = float(np.min(self.expected(at[np.unique(trials)])))

    def points(self, at: Floats) -> Floats:
        """(n, p) points of configs after the longest training that was seen."""
        return np.column_stack([cube.features(self._space, at), np.full(len(at), self._top)])

    def expected(self, at: Floats) -> Floats:
        """(n,) what configs come to, whatever trial has them."""
        return self.model.mean_at(self.points(at))

    def outlook(self, trials: Ints) -> Floats:
        """(n,) what trials come to, by what was seen of their configs and of themselves.

        Two trials of nearly one config differ by their seeds, and by all that the parameters do not tell.
        """
        return self.model.mean_of(trials, self.points(self.at[trials]))

    def target(self, best: float, ambition: float) -> float:
        """The value to improve on: better than a best one by so many spreads of all results."""
        return best - ambition * self.model.scale

    def gain(self, at: Floats, ambition: float) -> Floats:
        """(n,) improvement on a target that is expected of configs."""
        return improvement(*self.model.predict(self.points(at)), self.target(self.best, ambition))

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


def _unseen(model: Surface, y: Floats) -> float:
    """What a surface cannot tell of the order of values y, each seen from the others: 0 all is told, 1 nothing is."""
    told, order = np.argsort(np.argsort(model.left_out(y), kind="stable")), np.argsort(np.argsort(y, kind="stable"))
    return 1.0 - float(np.corrcoef(told, order)[0, 1])


def _kept(count: int) -> Ints:
    """Which results the surface goes through, sorted from the best: half are the best, half spread over the rest."""
    if count <= MAX_SEEN:
        return np.arange(count)
    half = MAX_SEEN // 2
    return np.concatenate([np.arange(half), np.linspace(half, count - 1, MAX_SEEN - half).astype(np.int64)])


def improvement(mean: Floats, variance: Floats, best: float) -> Floats:
    """(n,) expected improvement on the best, lower being better (Jones, Schonlau and Welch 1998)."""
    sigma = np.sqrt(variance)
    z = (best - mean) / sigma
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    # The normal distribution within 1e-7, without scipy (Abramowitz and Stegun 1964, 26.2.17).
    t = 1 / (1 + 0.2316419 * np.abs(z))
    series = (0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429)
    tail = density * sum(c * t ** (i + 1) for i, c in enumerate(series))
    return np.maximum(sigma * (z * np.where(z > 0, 1 - tail, tail) + density), 0.0)
