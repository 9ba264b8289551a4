"""Rules that watch the objective, beside the same metric on the training data; and the size of the updates."""

from __future__ import annotations

import numpy as np

from analysis.curves import Curve
from analysis.losses import stuck, thrown, usual
from analysis.seen import Seen, Verdict, show
from sweeps.space import Floats
from workers.messages import Ints

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
    """Training and validation data are done equally badly, and the loss has come down and stays there."""
    train, score, loss = seen.train, seen.score, seen.loss
    if train is None or score is None or not seen.is_share:
        return None
    late = seen.sign * (train.end - score.end)
    flags = (train.end < _LOW) & (late < 0.5 * (1 - train.end))
    if loss is not None:
        flags &= np.fmin.reduce(loss.values, axis=1) > 0.94 * loss.end
    return flags, lambda i: f"training {show(train.end[i])}, validation {show(score.end[i])}: no gap, and both are low"


def still_improving(seen: Seen) -> Verdict | None:
    """The objective gets better right up to the end, or the training data are on their way."""
    score, train = seen.score, seen.train
    if score is None:
        return None
    unit = _unit(seen, score)
    gain = seen.sign * (score.part(0.75, 1.0) - score.part(0.5, 0.75)) / unit
    at_best = _lost(seen, score) < 0.005 * unit
    flags = (gain > 0.015) & at_best
    if train is not None and seen.is_share:
        much_left = train.end < 0.75
        learns = (train.change > 0.02) & (train.change > 2 * train.change_error)
        flags = (train.end < 0.98) & (((gain > 0.015) & (at_best | much_left)) | (learns & at_best & much_left))
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
    place, lost = _peak(seen, score), _lost(seen, score)
    flags = (lost > 0.03 * _unit(seen, score)) & (lost > np.nan_to_num(score.noise) / np.sqrt(3.0))
    flags &= place + 1 < 0.8 * score.count
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
        top = np.fmax.reduce(loss.values, axis=1)
        moved = top - np.fmin.reduce(loss.values, axis=1) > 0.1 * np.abs(loss.first)
        nowhere = (loss.end > 0.8 * usual(seen, loss)) | (top > 1.1 * np.abs(loss.first))
        flags |= (early > 3e-2) & moved & poor & (thrown(seen, loss) | stuck(seen, loss) | jumps | nowhere)
    return flags, lambda i: f"an update changes the weights by {early[i]:.1g} of their size; about 1e-3 is usual"


def _peak(seen: Seen, score: Curve) -> Ints:
    """(n,) where the running mean of the objective is best."""
    smooth = np.where(np.isfinite(score.smooth), seen.sign * score.smooth, -np.inf)
    return np.asarray(np.argmax(smooth, axis=1), np.int64)


def _lost(seen: Seen, score: Curve) -> Floats:
    """(n,) by how much the objective ends below the best of its running mean."""
    best = score.smooth[np.arange(len(score.count)), _peak(seen, score)]
    return np.asarray(seen.sign * (best - score.end), np.float64)


def _gap(seen: Seen, train: Curve, score: Curve) -> tuple[Floats, Floats]:
    """(n,) by how much the training data are done better, in the first third and at the end."""
    unit = _unit(seen, score)
    early = seen.sign * (train.part(0, 0.34) - score.part(0, 0.34)) / unit
    return early, seen.sign * (train.end - score.end) / unit


def _unit(seen: Seen, score: Curve) -> Floats:
    """(n,) what a difference of the objective is measured in: 1 for a share, else twice the first value."""
    return np.ones(len(score.count)) if seen.is_share else 2 * np.abs(score.first)
