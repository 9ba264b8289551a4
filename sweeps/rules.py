"""When a trial is stopped: pure functions of its own reports, asked in the worker beside the trial.

To add a rule: a class here, its key in `settings.py`, its test, and its line in `docs/sweep-file.md`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workers.messages import Metrics


@dataclass(frozen=True, slots=True)
class NonFinite:
    """Stops at the first metric that is NaN or infinite: nothing good comes after it."""

    def judge(self, reports: Sequence[Metrics]) -> str | None:
        """`loss is nan at epoch 3`, or None while all is finite."""
        for name, value in reports[-1].items():
            if value is not None and not math.isfinite(value):
                return f"{name} is {value} at epoch {len(reports)}"
        return None


@dataclass(frozen=True, slots=True)
class BlowUp:
    """Stops when the loss is several times the first one reported.

    A first loss of zero or below says nothing about blowing up, and then the rule is silent.

    Source: CS231n lecture 6, "cost > 3x the initial cost: break out early".

    Attributes:
        loss: The metric to watch.
        factor: How many times the first loss is too much.
    """

    loss: str
    factor: float

    def judge(self, reports: Sequence[Metrics]) -> str | None:
        """`loss 7.21 is more than 3 times the first, 2.3, at epoch 2`, or None."""
        now = reports[-1].get(self.loss)
        if now is None:
            return None
        first = next(value for report in reports if (value := report.get(self.loss)) is not None)
        if first <= 0 or not now > self.factor * first:
            return None
        return (
            f"{self.loss} {now:.4g} is more than {self.factor:g} times the first, {first:.4g}, at epoch {len(reports)}"
        )
