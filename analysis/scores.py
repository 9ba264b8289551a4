"""Rules that watch the objective, beside the same metric on the training data; and the size of the updates."""

from __future__ import annotations

import numpy as np

from analysis.curves import Curve
from analysis.losses import stuck, thrown, usual
from analysis.seen import Seen, Verdict, show
from sweeps.space import Floats

_GAP = 0.1  # between training and validation, that more data or regularisation could close
_LOW = 0.85  # an accuracy on the training data that leaves something to be learnt


def overfitting(seen: Seen) -> Verdict | None:
    """The training data are done far better than the validation data."""
    train, score = seen.train, seen.score
    if train is None or score is None:
        return None
    early, late = _gap(seen, train, score)
    return (
        late > _GAP,
        lambda i: (
            f"training {show(train.end[i])}, validation {show(score.end[i])}: a gap of {show(late[i])}, "
            f"{show(early[i])} in the first third"
        ),
    )


def underfitting(seen: Seen) -> Verdict | None:
    """Training and validation data are done equally badly, though the loss has come down."""
    train, score, loss = seen.train, seen.score, seen.loss
    if train is None or score is None or not seen.is_share:
        return None
    late = seen.sign * (train.end - score.end)
    flags = (train.end < _LOW) & (late < 0.5 * (1 - train.end))
    if loss is not None:
        flags &= loss.first - loss.end > 0.05 * np.abs(loss.first)
        flags &= loss.end < 0.9 * usual(seen, loss)
        flags &= np.fmin.reduce(loss.values, axis=1) > 0.95 * loss.end
        flags &= loss.noise < 0.1 * np.abs(loss.end)
    return flags, lambda i: f"training {show(train.end[i])}, validation {show(score.end[i])}: no gap, and both are low"


def still_improving(seen: Seen) -> Verdict | None:
    """The objective gets better right up to the end."""
    score = seen.score
    if score is None:
        return None
    gain = seen.sign * score.change / _unit(seen, score)
    flags = (gain > 0.03) & (gain > 2 * score.change_error / _unit(seen, score))
    if seen.loss is not None:
        # Where the loss comes down fast, a small gain is enough to go by.
        flags |= (seen.loss.change < -0.08 * usual(seen, seen.loss)) & (gain > 0.005)
    if seen.train is not None:
        ahead = _gap(seen, seen.train, score)[1]
        flags &= (ahead < 0.08) | (gain > 0.06)  # what is learnt by heart does not help
        if seen.is_share:
            flags &= seen.train.end < 0.95
    if seen.is_share:
        flags &= score.end < 0.95
    return (
        flags,
        lambda i: (
            f"over the last half of the {score.count[i]} reports {seen.metric} still goes by {score.change[i]:+.3g}"
        ),
    )


def best_early(seen: Seen) -> Verdict | None:
    """The best is long past, and what came after it was worse."""
    score = seen.score
    if score is None:
        return None
    smooth = np.where(np.isfinite(score.smooth), seen.sign * score.smooth, -np.inf)
    place = np.argmax(smooth, axis=1)
    lost = smooth[np.arange(len(place)), place] - seen.sign * score.end
    flags = (lost > 0.03 * _unit(seen, score)) & (lost > np.nan_to_num(score.noise))
    flags &= place + 1 < 0.75 * score.count
    return (
        flags,
        lambda i: (
            f"best about epoch {score.epochs[i, place[i] + 1]} of {score.epochs[i, score.count[i] - 1]}, and by "
            f"{show(lost[i])} worse at the end"
        ),
    )


def update_ratio(seen: Seen) -> Verdict | None:
    """Updates are far too small for the weights, or so large that the loss bounces."""
    ratio = seen.ratio
    if ratio is None:
        return None
    early, loss = ratio.part(0, 0.34), seen.loss
    flags = early < 4e-5
    if loss is not None:
        poor = (loss.end > 1.1 * np.nanquantile(loss.end, 0.05)) & (loss.end > 0.05 * usual(seen, loss))
        jumps = loss.noise > 0.05 * np.minimum(np.abs(loss.end), usual(seen, loss))
        # The first updates of small weights are as large as these: as long as the loss waits, that is no fault.
        moved = np.fmax.reduce(loss.values, axis=1) - np.fmin.reduce(loss.values, axis=1) > 0.1 * np.abs(loss.first)
        flags |= (early > 3e-2) & moved & poor & (thrown(seen, loss) | stuck(seen, loss) | jumps)
    return flags, lambda i: f"an update changes the weights by {early[i]:.1g} of their size; about 1e-3 is usual"


def _gap(seen: Seen, train: Curve, score: Curve) -> tuple[Floats, Floats]:
    """(n,) by how much the training data are done better, in the first third and at the end."""
    unit = _unit(seen, score)
    early = seen.sign * (train.part(0, 0.34) - score.part(0, 0.34)) / unit
    return early, seen.sign * (train.end - score.end) / unit


def _unit(seen: Seen, score: Curve) -> Floats:
    """(n,) what a difference of the objective is measured in: 1 for a share, else twice the first value."""
    return np.ones(len(score.count)) if seen.is_share else 2 * np.abs(score.first)
