"""A smooth surface through noisy results: a small Gaussian process (Rasmussen and Williams 2006).

Matern 5/2 kernel with a length per coordinate, or for several together. Values come in groups: those of one lie off the
function together (a random effect), and each by noise of its own. Lengths and variances are the most likely ones under
a mild prior.
Numbers only: it knows nothing of parameters, trials and epochs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from threadpoolctl import ThreadpoolController

from sweeps.space import Floats
from workers.messages import Ints

_MAX_FITTED = 96  #: values that lengths are fitted on
_STEPS = 20
_LEAST_NOISE = 1e-6
_LENGTH, _LENGTH_SPREAD = 0.35, 1.0  #: prior of lengths, log-normal; it grows with the root of their number
_EFFECT, _EFFECT_SPREAD = 0.02, 1.5  #: priors of variances, log-normal
_NOISE, _NOISE_SPREAD = 0.01, 1.5
_REACH = 4.0  #: spreads that a fitted number may be away from its prior
_BLAS = ThreadpoolController()  #: numpy's, which is loaded by now


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Matrix products take one thread in here.

    The last bits of what several of them add up depend on how many there are, and so would every decision; and they
    would wait for cores on which trials train.
    """
    with _BLAS.limit(limits=1):
        yield


@dataclass(frozen=True, slots=True)
class Surface:
    """What is believed of a function of which some values were seen.

    Attributes:
        x: (n, p) where it was seen.
        lengths: (p,) how far to go until it may be different.
        height: Variance of the function, in units of `scale` squared.
        effect: Variance of how far a group lies off the function, in the same units.
        noise: Variance of what is seen round both, in the same units.
        groups: (n,) the group of each.
        whitening: (n, n) inverse of the lower Cholesky factor of the covariance of what was seen.
        weights: (n,) that covariance solved for the values.
        mean: Of the values.
        scale: Of the values.
    """

    x: Floats
    lengths: Floats
    height: float
    effect: float
    noise: float
    groups: Ints
    whitening: Floats
    weights: Floats
    mean: float
    scale: float

    @_one_thread()
    def mean_at(self, x: Floats) -> Floats:
        """(m,) the mean of the function at points x (m, p)."""
        return self.mean + self.scale * (self.height * _kernel(x, self.x, self.lengths) @ self.weights)

    @_one_thread()
    def mean_of(self, groups: Ints, x: Floats) -> Floats:
        """(m,) the mean of what is seen of groups (m,) at points x (m, p): the function and their effects."""
        effects: Floats = self.effect * (groups[:, None] == self.groups) @ self.weights
        return self.mean_at(x) + self.scale * effects

    @_one_thread()
    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """(m,) the mean at points x (m, p), and its variance."""
        across = self.height * _kernel(self.x, x, self.lengths)
        variance = self.height - np.sum((self.whitening @ across) ** 2, axis=0)
        return self.mean + self.scale * (across.T @ self.weights), self.scale**2 * np.maximum(variance, 1e-12)

    def left_out(self, y: Floats) -> Floats:
        """(n,) what each of the values y that it goes through is, as seen from all others (ibid., equation 5.12)."""
        seen: Floats = y - self.scale * self.weights / np.sum(self.whitening**2, axis=0)
        return seen

    @_one_thread()
    def joint(self, x: Floats) -> tuple[Floats, Floats]:
        """(m,) the mean at points x (m, p), and their (m, m) covariance."""
        across = self.height * _kernel(self.x, x, self.lengths)
        half = self.whitening @ across
        covariance = self.height * _kernel(x, x, self.lengths) - half.T @ half
        return self.mean + self.scale * (across.T @ self.weights), self.scale**2 * covariance


@_one_thread()
def fit(x: Floats, y: Floats, owners: Ints, groups: Ints) -> Surface:
    """The surface through values at points.

    Args:
        x: (n, p) points, each coordinate about [0, 1].
        y: (n,) values, finite.
        owners: (p,) number of the length that each coordinate has; several may share one.
        groups: (n,) the group of each value.
    """
    z = (y - np.mean(y)) / (np.std(y) or 1.0)
    part = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MAX_FITTED)).astype(np.int64))
    theta = _most_likely(x[part], z[part], owners, groups[part])
    height, effect, noise = np.exp(theta[-3:]).tolist()
    return through(x, y, groups, np.exp(theta[:-3])[owners], height, effect, noise)


@_one_thread()
def through(x: Floats, y: Floats, groups: Ints, lengths: Floats, height: float, effect: float, noise: float) -> Surface:
    """The surface of given lengths and variances through values y (n,) of groups (n,) at points x (n, p)."""
    mean, scale = float(np.mean(y)), float(np.std(y)) or 1.0
    covariance = height * _kernel(x, x, lengths) + effect * (groups[:, None] == groups)
    covariance[np.diag_indices(len(x))] += noise + _LEAST_NOISE
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    weights = whitening.T @ (whitening @ ((y - mean) / scale))
    return Surface(x, lengths, height, effect, noise, groups, whitening, weights, mean, scale)


def _most_likely(x: Floats, z: Floats, owners: Ints, groups: Ints) -> Floats:
    """(parameters + 3,) logarithms of lengths, then of height, effect and noise.

    By Rprop (Riedmiller and Braun 1993), which follows the signs of slopes, so that no step size needs tuning.
    """
    count = int(owners.max()) + 1
    length = np.log(_LENGTH * np.sqrt(count))
    prior = np.r_[np.full(count, length), 0.0, np.log(_EFFECT), np.log(_NOISE)]
    spread = np.r_[np.full(count, _LENGTH_SPREAD), 1.0, _EFFECT_SPREAD, _NOISE_SPREAD]
    best, theta = np.inf, prior
    found: Floats = prior
    step, last = np.full(len(theta), 0.3), np.zeros(len(theta))
    for _ in range(_STEPS):
        loss, slope = _unlikeliness(x, z, owners, groups, theta)
        away = (theta - prior) / spread
        loss, slope = loss + 0.5 * float(np.sum(away**2)), slope + away / spread
        if loss < best:
            best, found = loss, theta
        turned = slope * last
        step = np.clip(np.where(turned > 0, step * 1.3, np.where(turned < 0, step * 0.5, step)), 1e-3, 0.8)
        last = np.where(turned < 0, 0.0, slope)
        theta = np.clip(theta - np.sign(last) * step, prior - _REACH * spread, prior + _REACH * spread)
    return found


def _unlikeliness(x: Floats, z: Floats, owners: Ints, groups: Ints, theta: Floats) -> tuple[float, Floats]:
    """The negative log likelihood of values z, and its slope by each of theta."""
    lengths, (height, effect, noise) = np.exp(theta[:-3])[owners], np.exp(theta[-3:])
    same = groups[:, None] == groups
    root = np.sqrt(5.0 * _squares(x, x, lengths))
    decay = np.exp(-root)
    kernel = height * (1 + root + root**2 / 3) * decay
    covariance = kernel + effect * same
    covariance[np.diag_indices(len(x))] += noise + _LEAST_NOISE
    factor = np.linalg.cholesky(covariance)
    inverse = np.linalg.inv(covariance)
    alpha = inverse @ z
    loss = 0.5 * z @ alpha + np.sum(np.log(np.diag(factor)))
    pull = inverse - np.outer(alpha, alpha)
    # The kernel's slope by log length_j is height 5/3 (1 + r) exp(-r) (x_j - x'_j)^2 / length_j^2.
    common = pull * (height * 5.0 / 3.0 * (1 + root) * decay)
    by_column = (common.sum(axis=1) @ x**2 - np.sum((common @ x) * x, axis=0)) / lengths**2
    by_length = np.bincount(owners, by_column, len(theta) - 3)
    by_variance = np.sum(pull * kernel), effect * np.sum(pull[same]), noise * np.trace(pull)
    return float(loss), np.r_[by_length, 0.5 * np.array(by_variance)]


def _kernel(x: Floats, y: Floats, lengths: Floats) -> Floats:
    """(n, m) Matern 5/2 kernel of height one."""
    root = np.sqrt(5.0 * _squares(x, y, lengths))
    kernel: Floats = (1 + root + root**2 / 3) * np.exp(-root)
    return kernel


def _squares(x: Floats, y: Floats, lengths: Floats) -> Floats:
    """(n, m) squared distances between points x (n, p) and y (m, p), in lengths."""
    x, y = x / lengths, y / lengths
    squared: Floats = np.sum(x**2, axis=1)[:, None] + np.sum(y**2, axis=1)[None] - 2 * x @ y.T
    return np.maximum(squared, 0.0)
