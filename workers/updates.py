"""Parameter updates: sgd, momentum, nesterov, rmsprop and adam, as CS231n gives them.

They know no network: they move one vector. Anyone may import this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]

Step = Callable[[Array, float], None]
"""One update in place: takes the gradient, which it may overwrite, and the learning rate."""

EPSILON = 1e-8  # keeps rmsprop and adam from dividing by zero


def create(
    name: str,
    w: Array,
    *,
    momentum: float = 0.9,
    rms_decay: float = 0.99,
    beta1: float = 0.9,
    beta2: float = 0.999,
) -> Step:
    """The update of that name for the vector `w`, which every step changes in place.

    Args:
        name: sgd, momentum, nesterov, rmsprop or adam.
        w: (p,) what is to be optimised.
        momentum: Share of the velocity that a step keeps (momentum, nesterov).
        rms_decay: Share of the mean square that a step keeps (rmsprop).
        beta1: Share of the first moment that a step keeps (adam).
        beta2: Share of the second moment that a step keeps (adam).

    Raises:
        ValueError: No update has that name.

    Source: CS231n, lecture 6, "Parameter updates".
    """
    updates: dict[str, Callable[[], Step]] = {
        "sgd": lambda: _sgd(w),
        "momentum": lambda: _momentum(w, momentum),
        "nesterov": lambda: _nesterov(w, momentum),
        "rmsprop": lambda: _rmsprop(w, rms_decay),
        "adam": lambda: _adam(w, beta1, beta2),
    }
    if name not in updates:
        raise ValueError(f"unknown update {name!r}: known are {', '.join(updates)}")
    # Divergence is for the loss to show, not for warnings.
    return np.errstate(over="ignore", invalid="ignore")(updates[name]())


def _sgd(w: Array) -> Step:
    def step(dw: Array, lr: float) -> None:
        np.multiply(dw, lr, out=dw)
        np.subtract(w, dw, out=w)

    return step


def _momentum(w: Array, mu: float) -> Step:
    v = np.zeros_like(w)

    def step(dw: Array, lr: float) -> None:
        np.multiply(dw, lr, out=dw)
        np.multiply(v, mu, out=v)
        np.subtract(v, dw, out=v)
        np.add(w, v, out=w)

    return step


def _nesterov(w: Array, mu: float) -> Step:
    v = np.zeros_like(w)

    def step(dw: Array, lr: float) -> None:
        # w += -mu * v_before + (1 + mu) * v is w += mu * v - lr * dw: the velocity before need not be kept.
        np.multiply(dw, lr, out=dw)
        np.multiply(v, mu, out=v)
        np.subtract(v, dw, out=v)
        np.subtract(w, dw, out=w)
        np.multiply(v, mu, out=dw)
        np.add(w, dw, out=w)

    return step


def _rmsprop(w: Array, decay: float) -> Step:
    cache = np.zeros_like(w)
    root = np.empty_like(w)

    def step(dw: Array, lr: float) -> None:
        np.multiply(cache, decay, out=cache)
        _add_square(cache, dw, 1.0 - decay, root)
        np.sqrt(cache, out=root)
        np.add(root, EPSILON, out=root)
        np.multiply(dw, lr, out=dw)
        np.divide(dw, root, out=dw)
        np.subtract(w, dw, out=w)

    return step


def _adam(w: Array, beta1: float, beta2: float) -> Step:
    m = np.zeros_like(w)
    v = np.zeros_like(w)
    root = np.empty_like(w)
    t = 0

    def step(dw: Array, lr: float) -> None:
        nonlocal t
        t += 1
        np.multiply(v, beta2, out=v)
        _add_square(v, dw, 1.0 - beta2, root)
        np.multiply(m, beta1, out=m)
        np.multiply(dw, 1.0 - beta1, out=dw)
        np.add(m, dw, out=m)
        np.multiply(v, 1.0 / (1.0 - beta2**t), out=root)
        np.sqrt(root, out=root)
        np.add(root, EPSILON, out=root)
        np.multiply(m, lr / (1.0 - beta1**t), out=dw)
        np.divide(dw, root, out=dw)
        np.subtract(w, dw, out=w)

    return step


def _add_square(total: Array, dw: Array, factor: float, scratch: Array) -> None:
    """Adds `factor * dw ** 2` to `total`."""
    np.multiply(dw, dw, out=scratch)
    np.multiply(scratch, factor, out=scratch)
    np.add(total, scratch, out=total)
