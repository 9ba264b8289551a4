"""What `sweeps init` writes: a trainer and a sweep file that run at once, with numpy only."""

from __future__ import annotations

import pathlib

from sweeps.errors import UsageError

TRAINER = '''\
"""CS231n's spiral, a two-layer net in numpy. Replace it with your own training: nothing here imports the tool."""
import numpy as np


def load_data():
    """Three arms of 100 points each; called once per worker process."""
    rng = np.random.default_rng(0)
    radius, arm = np.tile(np.linspace(0, 1, 100), 3), np.repeat(np.arange(3), 100)
    angle = 4 * (arm + radius) + rng.normal(0, 0.2, 300)
    x = np.c_[radius * np.sin(angle), radius * np.cos(angle)]
    order = rng.permutation(300)
    return x[order], arm[order]


def train(lr, reg, hidden=50, *, epochs, seed, data):
    rng = np.random.default_rng(seed)
    points, labels = data
    x, y, x_val, y_val = points[:200], labels[:200], points[200:], labels[200:]
    w1, b1 = 0.01 * rng.normal(size=(2, hidden)), np.zeros(hidden)
    w2, b2 = 0.01 * rng.normal(size=(hidden, 3)), np.zeros(3)

    def scores(inputs):
        return np.maximum(0, inputs @ w1 + b1) @ w2 + b2

    for epoch in range(epochs):
        for step in range(100):
            h = np.maximum(0, x @ w1 + b1)
            p = np.exp(h @ w2 + b2 - (h @ w2 + b2).max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            loss = -np.log(p[np.arange(200), y] + 1e-12).mean() + 0.5 * reg * ((w1**2).sum() + (w2**2).sum())
            p[np.arange(200), y] -= 1
            p /= 200
            dh = p @ w2.T * (h > 0)
            w2 -= lr * (h.T @ p + reg * w2)
            b2 -= lr * p.sum(0)
            w1 -= lr * (x.T @ dh + reg * w1)
            b1 -= lr * dh.sum(0)
        yield {
            "loss": loss,
            "train_acc": (scores(x).argmax(1) == y).mean(),
            "val_acc": (scores(x_val).argmax(1) == y_val).mean(),
        }
'''

SWEEP = """\
train  = "train.py:train"        # a generator that yields one dict of metrics per epoch
setup  = "train.py:load_data"    # its result is the trainer's `data`
metric = "val_acc"
mode   = "max"
seed   = 0

[space]
lr     = { log = [1e-4, 1e2] }
reg    = { log = [1e-6, 1e-1] }
hidden = { int = [8, 128], log = true }

[[stage]]
name   = "coarse"
trials = 40
epochs = 3

[[stage]]                        # round the best of the coarse stage
name   = "fine"
trials = 20
epochs = 20

[stop]
blowup  = 3.0                    # loss above 3 x the first one
timeout = "5m"
"""


def write_starter(folder: pathlib.Path) -> list[pathlib.Path]:
    """The files written: a trainer and a sweep file.

    Raises:
        UsageError: One of them is there already; nothing is written then.
    """
    files = {folder / "train.py": TRAINER, folder / "sweep.toml": SWEEP}
    for path in files:
        if path.exists():
            raise UsageError(f"{path} is there already: nothing was written; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}") from error
    return list(files)
