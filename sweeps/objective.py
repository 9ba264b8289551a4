"""What "better" means: the direction of the objective, its best epoch, and the order of trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sweeps.space import Floats
from workers.messages import Ints


@dataclass(frozen=True, slots=True)
class Objective:
    """The metric that is optimised.

    Attributes:
        metric: Its name.
        mode: "max" or "min".
    """

    metric: str
    mode: str

    def scores(self, values: Floats) -> Floats:
        """The values turned so that lower is better; what is not finite is infinitely bad, so NaN never wins."""
        turned = -values if self.mode == "max" else values
        return np.where(np.isfinite(turned), turned, np.inf)

    def better(self, value: float, than: float | None) -> bool:
        """Whether a value beats another; nothing loses to everything finite."""
        if not np.isfinite(value):
            return False
        return than is None or (value > than if self.mode == "max" else value < than)


def best_rows(keys: Ints, scores: Floats) -> Ints:
    """The row of the best epoch of each trial, ties going to the earliest; trials without a finite score have none.

    Args:
        keys: (n,) trial of each row, ascending, epochs ascending within a trial.
        scores: (n,) lower is better.
    """
    if not len(keys):
        return np.empty(0, np.int64)
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    counts = np.diff(np.r_[starts, len(keys)])
    lowest = np.repeat(np.minimum.reduceat(scores, starts), counts)
    hits = np.flatnonzero((scores == lowest) & np.isfinite(scores))
    _, first = np.unique(keys[hits], return_index=True)
    return hits[first].astype(np.int64)
