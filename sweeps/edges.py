"""Do the best values crowd an edge of a range, and if so, is it an edge of the search or of what can be trained?

With uniform sampling some of the best trials lie near an edge by chance. The test is Fisher's exact one: of N trials,
M lie in the outer band of the range; were the k best picked blindly, the number of them in the band would be
hypergeometric. A crowd is called when so many would come with a probability under `ALPHA`, shared out over all
parameters, sides and bands that are looked at (Bonferroni), and when the best lie towards the outside of the band
rather than the inside, where an optimum just within the range would put them. The same test tells a cliff, past which
trials diverge, from trials that diverge anywhere and lie at the end of the range by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sweeps.space import Flags, Floats

ALPHA = 0.01  #: probability of calling a crowd anywhere in a stage where there is none; of a cliff, about that
BANDS = (0.05, 0.1, 0.2)  #: outer shares of the range that are looked at
_TOWARDS = 0.55  #: of a band, from the edge, within which the best in it lie on average; 0.5 misses one in seven edges
_MIN_DIVERGED = 3  #: trials that it takes to call a stretch diverged
_DIVERGED_SHARE = 0.8
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Crowd:
    """A crowd of the best trials at one side of a range.

    Attributes:
        side: "low" or "high".
        band: Share of the range that they lie in.
        inside: How many of the best lie in it.
        best: How many best trials there are.
        p: Probability of so many by chance.
    """

    side: str
    band: float
    inside: int
    best: int
    p: float


@dataclass(frozen=True, slots=True)
class Cliff:
    """Where trials begin to diverge at one side of a range.

    Attributes:
        side: "low" or "high".
        at: Position in [0, 1] half-way between the last good trial and the diverged ones.
        diverged: Diverged trials past it.
        total: Trials past it.
    """

    side: str
    at: float
    diverged: int
    total: int


def crowd(positions: Floats, best: Flags, side: str, tests: int) -> Crowd | None:
    """The crowd of the best trials at a side of a range, or None where chance explains it.

    Args:
        positions: (n,) positions in [0, 1] of the trials that did not diverge.
        best: (n,) true for the best of them.
        side: "low" or "high".
        tests: How many parameters and sides are looked at in this stage.
    """
    outward = positions if side == "high" else 1.0 - positions
    for band in BANDS:
        in_band = outward >= 1.0 - band - _ROUNDING
        inside, k = int(np.sum(in_band & best)), int(np.sum(best))
        p = hypergeometric_tail(inside, len(positions), int(np.sum(in_band)), k)
        towards = inside and float(np.mean(outward[in_band & best])) >= 1.0 - _TOWARDS * band - _ROUNDING
        if p < ALPHA / (tests * len(BANDS)) and towards:
            return Crowd(side, band, inside, k, p)
    return None


def cliff(positions: Floats, diverged: Flags, side: str) -> Cliff | None:
    """The point past which nearly all trials diverge, or None where there is no such point.

    Args:
        positions: (n,) positions in [0, 1].
        diverged: (n,) true for trials that a rule stopped.
        side: "low" or "high".
    """
    outward = positions if side == "high" else 1.0 - positions
    order = np.argsort(outward, kind="stable")
    outward, bad = outward[order], diverged[order].astype(np.int64)
    # Cut where the fewest trials stand on the wrong side: diverged before the cut, or good past it.
    good_past = np.sum(1 - bad) - np.r_[0, np.cumsum(1 - bad)]
    wrong = np.r_[0, np.cumsum(bad)] + good_past
    cut = int(np.argmin(wrong))
    past, bad_past = len(bad) - cut, int(np.sum(bad[cut:]))
    if past < _MIN_DIVERGED or bad_past < _DIVERGED_SHARE * past:
        return None
    if hypergeometric_tail(bad_past, len(bad), int(np.sum(bad)), past) >= ALPHA:
        return None
    at = float(outward[cut - 1] + outward[cut]) / 2
    return Cliff(side, at if side == "high" else 1.0 - at, bad_past, past)


def hypergeometric_tail(least: int, total: int, marked: int, drawn: int) -> float:
    """Probability of at least `least` marked ones among `drawn` out of `total`, of which `marked` are marked."""
    hits = np.arange(max(least, drawn - (total - marked), 0), min(marked, drawn) + 1)
    if not len(hits):
        return 0.0
    log_factorials = np.r_[0.0, np.cumsum(np.log(np.arange(1, total + 1)))]

    def log_ways(of: int, chosen: Any) -> Any:
        return log_factorials[of] - log_factorials[chosen] - log_factorials[of - chosen]

    # Counts of ways have thousands of digits for a large stage: their logarithms do not.
    logs = log_ways(marked, hits) + log_ways(total - marked, drawn - hits) - log_ways(total, drawn)
    return min(float(np.sum(np.exp(logs))), 1.0)
