"""A linear classifier for the pre-flight, in order and with one thing wrong at a time."""

import os
import time
from types import SimpleNamespace

import numpy as np


def load_data():
    """Three classes of 100 points in 30 dimensions; 20 of them are easily learnt by heart."""
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(3), 100)
    return SimpleNamespace(x=rng.normal(size=(300, 30)) + y[:, None] / 3, y=y, classes=("a", "b", "c"))


def healthy(lr, reg, subset=0, *, epochs, seed, data):
    yield from _train(lr, reg, subset, epochs, data, np.random.default_rng(seed))


def unseeded(lr, reg, subset=0, *, epochs, data):
    yield from _train(lr, reg, subset, epochs, data, np.random.default_rng())


def starts_large(lr, reg, subset=0, *, epochs, seed, data):
    yield from _train(lr, reg, subset, epochs, data, np.random.default_rng(seed), scale=1.0)


def ignores_reg(lr, reg, subset=0, *, epochs, seed, data):
    yield from _train(lr, 0.0, subset, epochs, data, np.random.default_rng(seed))


def rewards_weights(lr, reg, subset=0, *, epochs, seed, data):
    yield from _train(lr, -reg, subset, epochs, data, np.random.default_rng(seed))


def hides_the_penalty(lr, weight_decay=0.0, subset=0, *, epochs, seed, data):
    yield from _train(lr, weight_decay, subset, epochs, data, np.random.default_rng(seed), shown=0.0)


def shuffles_labels(lr, reg, subset=0, *, epochs, seed, data):
    yield from _train(lr, reg, subset, epochs, data, np.random.default_rng(seed), shuffled=True)


def depends_on_what_ran_before(lr, reg, subset=0, *, epochs, seed, data):
    data.x = data.x * 1.01
    yield from _train(lr, reg, subset, epochs, data, np.random.default_rng(seed))


def with_layers(lr, l1, l2, subset=0, *, epochs, seed, data):
    assert l1 > 0
    assert l2 > 0
    yield from _train(lr, 0.0, subset, epochs, data, np.random.default_rng(seed))


def without_conventions(rate, *, epochs, seed, data):
    yield from _train(rate, 0.0, 0, epochs, data, np.random.default_rng(seed))


def dies(lr, reg, *, epochs):
    yield {"loss": 1.0, "val_acc": 0.5}
    os._exit(7)


def dies_without_regularisation(lr, reg, *, epochs):
    if reg == 0:
        os._exit(7)
    for _ in range(epochs):
        yield {"loss": 1.0, "val_acc": 0.5}


def hangs(lr, reg, *, epochs):
    yield {"loss": 1.0, "val_acc": 0.5}
    while True:
        time.sleep(0.01)


def raises(lr, reg, *, epochs):
    raise ValueError("no such layer")


def raising_setup():
    raise FileNotFoundError("no images here")


def _train(lr, reg, subset, epochs, data, rng, *, scale=0.001, shown=None, shuffled=False):
    x, y = (data.x[:subset], data.y[:subset]) if subset else (data.x, data.y)
    w = scale * rng.normal(size=(x.shape[1], 3))
    for _ in range(epochs):
        y = rng.permutation(y) if shuffled else y
        p = np.exp(x @ w)
        p /= p.sum(1, keepdims=True)
        loss = -np.log(p[np.arange(len(y)), y]).mean() + 0.5 * (reg if shown is None else shown) * (w**2).sum()
        p[np.arange(len(y)), y] -= 1
        w -= lr * (x.T @ p / len(y) + reg * w)
        accuracy = float(((x @ w).argmax(1) == y).mean())
        yield {"loss": loss, "train_acc": accuracy, "val_acc": accuracy}
