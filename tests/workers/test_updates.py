"""Each update against the lecture's own lines, written without any in-place operation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers import updates

NAMES = ["sgd", "momentum", "nesterov", "rmsprop", "adam"]


def lecture(name, w, gradients, lr, mu=0.9, decay=0.99, beta1=0.9, beta2=0.999):
    """The trajectory of `w` by the formulas of CS231n, lecture 6 and notes."""
    v, cache, m = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t, dw in enumerate(gradients, 1):
        if name == "sgd":
            w = w - lr * dw
        elif name == "momentum":
            v = mu * v - lr * dw
            w = w + v
        elif name == "nesterov":
            v_before = v
            v = mu * v - lr * dw
            w = w - mu * v_before + (1 + mu) * v
        elif name == "rmsprop":
            cache = decay * cache + (1 - decay) * dw**2
            w = w - lr * dw / (np.sqrt(cache) + 1e-8)
        elif name == "adam":
            m = beta1 * m + (1 - beta1) * dw
            v = beta2 * v + (1 - beta2) * dw**2
            w = w - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + 1e-8)
    return w


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 12), lr=st.floats(1e-6, 1.0))
def test_every_update_follows_the_lecture(name, seed, steps, lr):
    rng = np.random.default_rng(seed)
    start, gradients = rng.standard_normal(5), rng.standard_normal((steps, 5))
    w = start.copy()
    step = updates.create(name, w)
    for dw in gradients:
        step(dw.copy(), lr)
    np.testing.assert_allclose(w, lecture(name, start, gradients, lr), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "options", "formula"),
    [
        ("momentum", {"momentum": 0.5}, {"mu": 0.5}),
        ("nesterov", {"momentum": 0.5}, {"mu": 0.5}),
        ("rmsprop", {"rms_decay": 0.8}, {"decay": 0.8}),
        ("adam", {"beta1": 0.7, "beta2": 0.8}, {"beta1": 0.7, "beta2": 0.8}),
    ],
)
def test_the_constants_can_be_chosen(name, options, formula):
    gradients = np.random.default_rng(0).standard_normal((6, 4))
    w = np.ones(4)
    step = updates.create(name, w, **options)
    for dw in gradients:
        step(dw.copy(), 0.1)
    np.testing.assert_allclose(w, lecture(name, np.ones(4), gradients, 0.1, **formula))


@pytest.mark.parametrize("name", NAMES)
def test_every_update_descends_a_bowl(name):
    w = np.array([3.0, -2.0], np.float32)
    step = updates.create(name, w)
    for _ in range(400):
        step(2 * w, 0.02)
    assert np.abs(w).max() < 0.05
    assert w.dtype == np.float32


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_without_momentum_it_is_gradient_descent(name):
    w, plain = np.ones(3), np.ones(3)
    step, sgd = updates.create(name, w, momentum=0.0), updates.create("sgd", plain)
    for dw in np.random.default_rng(0).standard_normal((4, 3)):
        step(dw.copy(), 0.1)
        sgd(dw.copy(), 0.1)
    np.testing.assert_allclose(w, plain)


@pytest.mark.parametrize("name", NAMES)
def test_divergence_shows_in_the_weights_without_a_warning(name):
    w = np.ones(2, np.float32)
    step = updates.create(name, w)
    for dw in (1e30, math.inf, math.nan):
        step(np.array([dw, 0.0], np.float32), 1e30)
    assert not math.isfinite(w[0])


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'sdg': known are sgd, momentum, nesterov, rmsprop, adam"):
        updates.create("sdg", np.zeros(1))
