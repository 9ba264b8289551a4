"""Rules that watch the training loss, as CS231n's lecture on babysitting the learning process reads it."""

from __future__ import annotations

import numpy as np

from analysis.curves import Curve
from analysis.seen import Seen, Verdict, show
from sweeps.space import Flags, Floats
from workers.messages import Status

PEERS = 5  #: trials of a stage; fewer say nothing about one of them
_BLOWN_UP = 3.0  # CS231n: "cost > 3x the initial cost"


def diverged(seen: Seen) -> Verdict | None:
    """The loss is not finite, or several times the first one."""
    trials, loss = seen.batch.trials, seen.loss
    stopped = (trials["status"] == Status.STOPPED.word).to_numpy()
    reasons = trials["reason"].to_numpy()
    if loss is None:
        return stopped, lambda i: str(reasons[i])
    last = loss.values[np.arange(len(trials)), np.maximum(loss.count - 1, 0)]
    grown = (loss.count > 1) & (loss.first > 0) & (last > _BLOWN_UP * loss.first)
    # A trial that some other rule has stopped has not diverged as long as its loss is finite and has not grown.
    broken = ~_ends_finite(seen)
    flags = broken | grown | (stopped & (last > loss.first))

    def words(i: int) -> str:
        if isinstance(reasons[i], str) and reasons[i]:
            return str(reasons[i])
        return f"{seen.loss_name} from {show(loss.first[i])} to {'nan' if broken[i] else show(last[i])}"

    return flags, words


def flat(seen: Seen) -> Verdict | None:
    """The loss hardly moves from beginning to end."""
    loss, score = seen.loss, seen.score
    if loss is None:
        return None
    size = np.abs(loss.first)
    width = np.fmax.reduce(loss.values, axis=1) - np.fmin.reduce(loss.values, axis=1)
    still = (width < 0.02 * size) | ((width < 0.1 * size) & (loss.noise < 0.02 * size))
    crawls: Flags = np.zeros(len(still), np.bool_)
    if seen.ratio is not None:
        # Steps that are small leave only the minibatches to blame for what the loss does from report to report.
        early = seen.ratio.part(0, 0.34)
        still |= (width < 0.25 * size) & (early < 1e-2)
        crawls = (width < 0.4 * size) & (early < 3e-4) & (loss.part(0, 0.5) - loss.end < 0.07 * size)
    flags = crawls | (still & (loss.first - loss.end < 0.07 * size) & (loss.change > -0.05 * size))
    flags &= ~_died(seen)
    if seen.chance is not None:
        flags &= loss.end > 0.8 * seen.chance
    climbs = np.zeros(len(flags), np.bool_)
    if score is not None and seen.is_share:
        flags &= ~(score.first > 0.9)
        climbs = score.end - score.first > np.maximum(3 * np.nan_to_num(score.noise), 0.02)

    def words(i: int) -> str:
        text = f"{seen.loss_name} {show(loss.first[i])} to {show(loss.end[i])} in {loss.count[i]} reports"
        if score is None or not climbs[i]:
            return text
        return (
            f"{text}, while {seen.metric} climbs from {show(score.first[i])} to {show(score.end[i])}: the right scores "
            "grow a little, which is enough to make them the largest, and too little to move the loss"
        )

    return flags, words


def flat_then_drop(seen: Seen) -> Verdict | None:
    """The loss waits, then falls all at once."""
    loss = seen.loss
    if loss is None:
        return None
    size = np.abs(loss.first)
    falls = loss.values[:, :-1] - loss.values[:, 1:]
    waits = np.sum(loss.values > (loss.first - 0.05 * size)[:, None], axis=1)
    calm = np.fmax.reduce(loss.values, axis=1) < 1.05 * loss.first
    sudden = np.fmax.reduce(falls, axis=1) > 4 * np.abs(falls[:, 0])
    flags = calm & sudden & (loss.first - loss.end > 0.25 * size) & (waits >= 3) & (waits >= 0.15 * loss.count)
    return (
        flags,
        lambda i: (
            f"{seen.loss_name} stays at {show(loss.first[i])} for {waits[i]} of {loss.count[i]} reports, then falls to "
            f"{show(loss.end[i])}"
        ),
    )


def high_plateau(seen: Seen) -> Verdict | None:
    """The loss is high and stays there: it rose again, or the first steps threw the weights where nothing is learnt."""
    loss = seen.loss
    if loss is None:
        return None
    behind, far_behind = _behind(seen)
    early = loss.part(0.25, 0.5)
    signs = _risen(seen, loss)
    if seen.ratio is None:
        fallen = loss.first - loss.end
        fast = (fallen > 0.02 * np.abs(loss.first)) & (loss.first - early > 0.8 * fallen)
        signs |= thrown(seen, loss, 3.0) & fast
    else:
        level = stuck(seen, loss)
        signs |= (seen.ratio.first > 0.04) & (thrown(seen, loss, 2.0) | (level & far_behind)) | (level & _died(seen))
    flags = behind & signs
    return (
        flags,
        lambda i: (
            f"{seen.loss_name} from {show(loss.first[i])} to {show(early[i])} early on, {show(loss.end[i])} at the "
            f"end, {show(loss.noise[i])} up and down from report to report; other trials do better"
        ),
    )


def rising(seen: Seen) -> Verdict | None:
    """The training loss ends higher than it was."""
    loss = seen.loss
    if loss is None:
        return None
    before, after = loss.part(0.25, 0.5), loss.part(0.75, 1.0)
    doubt = loss.noise / np.sqrt(np.maximum(loss.count / 2, 1.0))
    flags = after - before > np.maximum(0.07 * _level(seen, loss), doubt)
    return (
        flags,
        lambda i: (
            f"{seen.loss_name} {show(before[i])} in the second quarter of the reports, {show(after[i])} in the last"
        ),
    )


def noisy(seen: Seen) -> Verdict | None:
    """The loss jumps from report to report."""
    loss = seen.loss
    if loss is None:
        return None
    flags = (loss.noise > 0.08 * _lower(seen, loss)) & (loss.noise > 0.02 * _level(seen, loss))
    return flags, lambda i: f"{seen.loss_name} {show(loss.end[i])} at the end, {show(loss.noise[i])} up and down"


def initial_loss(seen: Seen) -> Verdict | None:
    """The first loss is far above that of one who knows nothing."""
    loss, chance = seen.loss, seen.chance
    if loss is None or chance is None:
        return None
    # Larger steps may have thrown it there, unless the trials beside it begin as high.
    beside = (usual(seen, loss) > 1.3 * chance) & ~thrown(seen, loss, 3.0)
    if seen.ratio is None:
        calm: Flags = loss.noise < 5e-4 * usual(seen, loss)
    else:
        calm = seen.ratio.first < 0.05
        beside &= seen.ratio.first < 1.0
    flags = (loss.first > 1.4 * chance) & (calm | beside)
    return flags, lambda i: f"first {seen.loss_name} {show(loss.first[i])}; knowing nothing costs {show(chance)}"


def usual(seen: Seen, loss: Curve) -> Floats:
    """(n,) where losses begin: the median first report of the trials beside it; its own where there are too few."""
    few = len(seen.batch.trials) < PEERS
    return np.abs(loss.first) if few else np.full(len(loss.first), np.abs(np.nanmedian(loss.first)))


def thrown(seen: Seen, loss: Curve, times: float = 1.4) -> Flags:
    """(n,) whether the first report lies far above those of other trials: the first steps threw it there."""
    return np.asarray(loss.first > times * usual(seen, loss), np.bool_)


def stuck(seen: Seen, loss: Curve) -> Flags:
    """(n,) whether the loss is high and its last quarter hardly lower than its second one."""
    return np.asarray(_high(seen, loss) & (loss.part(0.75, 1.0) > 0.98 * loss.part(0.25, 0.5)), np.bool_)


def _risen(seen: Seen, loss: Curve) -> Flags:
    """(n,) whether the loss is high and a tenth above what it had come down to early on."""
    before = np.minimum(loss.values[:, 1], loss.part(0.25, 0.5))
    return np.asarray(_high(seen, loss) & (loss.part(0.75, 1.0) > 1.1 * before), np.bool_)


def _high(seen: Seen, loss: Curve) -> Flags:
    """(n,) whether the loss ends at more than a fifth of where losses begin."""
    return np.asarray(loss.end > 0.2 * usual(seen, loss), np.bool_)


def _died(seen: Seen) -> Flags:
    """(n,) whether updates were large and have vanished: the first ones left no unit that passes a gradient on."""
    if seen.ratio is None:
        return np.zeros(len(seen.batch.trials), np.bool_)
    return np.asarray((seen.ratio.first > 0.03) & (seen.ratio.part(0.5, 1.0) < 1e-3), np.bool_)


def _lower(seen: Seen, loss: Curve) -> Floats:
    """(n,) the final loss, or where losses begin, whichever is lower: a loss far above that is no yardstick."""
    return np.asarray(np.minimum(np.abs(loss.end), usual(seen, loss)), np.float64)


def _level(seen: Seen, loss: Curve) -> Floats:
    """(n,) what a loss is measured against: the second report, since the first may be a spike; or the usual first."""
    own = np.maximum(np.abs(loss.values[:, 1]), 0.3 * np.abs(loss.first))
    return np.asarray(np.minimum(own, usual(seen, loss)), np.float64)


def _behind(seen: Seen) -> tuple[Flags, Flags]:
    """(n,) whether the best trials beside it do better than a trial, and whether by far."""
    n = len(seen.batch.trials)
    nowhere: Flags = np.zeros(n, np.bool_)
    if n < PEERS or seen.loss is None:
        return nowhere, nowhere
    if seen.is_share and seen.score is not None:
        best = np.nanquantile(seen.score.end, 0.95)
        return seen.score.end < best - 0.05, seen.score.end < 0.6 * best
    return seen.loss.end > 1.1 * np.nanquantile(seen.loss.end, 0.05), nowhere


def _ends_finite(seen: Seen) -> Flags:
    """(n,) whether the last report of each trial has a finite loss; true where there is no report at all."""
    reports, rows = seen.batch.reports, seen.batch.rows
    epochs = reports["epoch"].to_numpy(np.int64)
    last = np.zeros(len(seen.batch.trials), np.int64)
    np.maximum.at(last, rows, epochs)
    ends: Flags = last == 0
    finite = np.isfinite(reports[seen.loss_name].to_numpy(np.float64))
    ends[rows[finite & (epochs == last[rows])]] = True
    return ends
