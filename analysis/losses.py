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
    still = (width < 0.1 * size) & (loss.noise < 0.02 * size)
    if seen.ratio is not None:
        # Steps that are small leave only the minibatches to blame for what the loss does from report to report.
        still = (still | (width < 0.25 * size)) & (seen.ratio.part(0, 0.34) < 1e-2)
    flags = (still | (width < 0.02 * size)) & (loss.first - loss.end < 0.07 * size) & (loss.change > -0.05 * size)
    if seen.chance is not None:
        flags &= loss.end > 0.8 * seen.chance
    climbs: Flags = np.zeros(len(flags), np.bool_)
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
    """The loss comes down fast and then stays high: bouncing, or stuck where the first steps threw the weights."""
    loss, score = seen.loss, seen.score
    if loss is None:
        return None
    behind, far_behind = _behind(seen)
    early = loss.part(0.25, 0.5)
    high = loss.end > 0.2 * np.minimum(np.abs(loss.first), np.abs(loss.values[:, 1]))
    stays = np.abs(loss.change) < 0.3 * np.abs(loss.end)
    bounces = loss.noise > 0.1 * np.abs(loss.end)
    flags = behind & high & stays & bounces
    if score is not None:
        fallen = loss.first - loss.end
        fast = (loss.first - early > 0.8 * fallen) & (fallen > 0.02 * np.abs(loss.first))
        gain = score.end - np.fmin(score.first, score.values[:, 1])
        lost = score.end < 0.7 * np.fmax.reduce(score.values, axis=1)
        flags |= far_behind & ((fast & (gain < 0.05)) | lost)
    if seen.ratio is not None:
        flags &= seen.ratio.first > 1e-2
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
    doubt = 2 * loss.noise / np.sqrt(np.maximum(loss.count / 4, 1.0))
    flags = after - before > np.maximum(0.1 * _level(loss), doubt)
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
    flags = (loss.noise > 0.1 * np.abs(loss.end)) & (loss.noise > 0.05 * _level(loss))
    return flags, lambda i: f"{seen.loss_name} {show(loss.end[i])} at the end, {show(loss.noise[i])} up and down"


def initial_loss(seen: Seen) -> Verdict | None:
    """The first loss is far above that of one who knows nothing."""
    loss, chance = seen.loss, seen.chance
    if loss is None or chance is None:
        return None
    flags = loss.first > 1.5 * chance
    if seen.ratio is not None:
        flags &= seen.ratio.first < 0.1  # larger steps may have thrown it there
    return flags, lambda i: f"first {seen.loss_name} {show(loss.first[i])}; knowing nothing costs {show(chance)}"


def _level(loss: Curve) -> Floats:
    """(n,) what a loss is measured against: the second report, since the first may be a spike."""
    return np.asarray(np.maximum(np.abs(loss.values[:, 1]), 0.3 * np.abs(loss.first)), np.float64)


def _behind(seen: Seen) -> tuple[Flags, Flags]:
    """(n,) whether the best trials beside it do better than a trial, and whether by far."""
    n = len(seen.batch.trials)
    nowhere: Flags = np.zeros(n, np.bool_)
    if n < PEERS or seen.loss is None:
        return ~nowhere, nowhere
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
