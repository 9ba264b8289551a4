"""Trainers for the real command: as slow as the environment says, and others that look about or go wrong."""

import os
import pathlib
import sys
import time

import numpy as np

HEAVY = ("ray", "pandas", "pyarrow", "numpy", "plotly", "matplotlib", "rich", "cloudpickle", "optuna")


def paced(lr, *, epochs, seed):
    """Results come from the seed, time from the environment, so that a fast run is the reference of a slow one."""
    pause_s = float(os.environ.get("PAUSE_S", "0"))
    if "BEGUN" in os.environ:
        pathlib.Path(os.environ["BEGUN"]).touch()
    scores = np.random.default_rng(seed).normal(np.log10(lr), 0.1, epochs)
    for epoch, score in enumerate(scores.tolist(), 1):
        time.sleep(pause_s)
        late = {"late": float(epoch)} if lr > 5e-3 and epoch > 1 else {}
        yield {"loss": 1.0 if score < -2.2 else float("nan"), "val_acc": score, **late}


def raising(lr, *, epochs):
    print("\x1b[2Jcleared?\r\x9b2J")
    yield {"loss": 1.0, "val_acc": lr}
    if lr > 1e-4:
        raise ValueError(f"\x1b[31mlr {lr}\x1b[0m \x1b]0;title\x07is\rtoo much \udcff")


def curious(lr):
    """Reports what was imported when it ran: 1 for what was."""
    return {"val_acc": lr, **{f"has_{name}": float(name in sys.modules) for name in HEAVY}}
