"""Scores as a surface sees them: numbers without a unit, finest where scores are best.

There are two views, since either is blind to something. Ranks hold for scores of any kind: they tell trials apart that
all but stand on one plateau, and no huge loss outweighs the rest. But they lie as close as the trials do, and a search
puts its trials where the best are: there, ranks make much of differences that hardly matter. Values see those as they
are, and say more where scores change smoothly from config to config. Which view fits, the results say
(`Surface.left_out`).
"""

from __future__ import annotations

import numpy as np

from sweeps.space import Floats

_FINEST = 0.05  #: of the way from the best to a typical score: differences much below it count little
_WORSE = 1.0  #: what lies between a typical score and the worst, which only their ranks tell apart


def ranks(scores: Floats) -> Floats:
    """(n,) logarithms of ranks.

    Args:
        scores: (n,) best first; infinite ones, of the dead, count as worst of all.
    """
    count = len(scores)
    seen: Floats = np.log(np.where(np.isfinite(scores), np.arange(1, count + 1), count) / count)
    return seen


def values(scores: Floats, typical: float) -> Floats:
    """(n,) logarithms of distances from the best, and ranks where a score is worse than a typical one.

    Args:
        scores: (n,) best first, the best finite; infinite ones, of the dead, count as worst of all.
        typical: A score that is neither good nor bad, always the same one, so that the view does not change as trials
            get better.
    """
    best, count = scores[0], len(scores)
    bar = max(typical, best)
    away = (np.minimum(scores, bar) - best) / (bar - best) if bar > best else np.sign(scores - best)
    within = int(np.sum(scores <= bar))
    worse = np.maximum(np.arange(1, count + 1) - within, 0) / max(count - within, 1)
    worse = np.where(np.isfinite(scores), worse, 1.0)
    seen: Floats = np.log(away + _FINEST) + _WORSE * worse
    return seen
