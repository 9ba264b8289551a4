"""Trainers whose sweeps have something to be found in."""

import numpy as np


def steep(lr, *, epochs):
    """The higher lr the better, up to 1e-2, above which it diverges."""
    for epoch in range(1, epochs + 1):
        good = 1.0 if lr < 1e-2 else float("nan")
        yield {"loss": good, "val_acc": good + 0.1 * np.log10(lr) - 0.1 / epoch}


def crossing(lr, *, epochs):
    """What is best early is worst at the end."""
    slope = (100 * lr) ** 0.3
    for epoch in range(1, epochs + 1):
        yield {"loss": 1.0, "val_acc": 0.5 + 0.01 * slope * (epoch - 5)}


def idle(lr, reg, idle, *, epochs):
    """A peak in lr and reg; the third parameter does nothing."""
    for _ in range(epochs):
        yield {"loss": 1.0, "val_acc": 1.0 - 0.1 * (np.log10(lr) + 3) ** 2 - ((reg - 10) / 25) ** 2}
