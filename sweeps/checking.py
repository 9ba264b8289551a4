"""What a few short runs of a trainer say of it: each check passes, fails, or says why it cannot tell.

Pure functions of what `workers.preflight` has tried. Source: CS231n, lecture 6, "babysitting the learning process":
is the first loss that of chance, does regularisation raise it, can the network overfit twenty examples?
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sweeps.wording import show_count
from workers.messages import Metrics
from workers.preflight import Tried
from workers.training import did_you_mean

TRAIN_ACCURACY = ("train_acc", "train_accuracy", "training_accuracy", "acc_train")
CHANCE_TOLERANCE = 0.25  #: share of log(classes); He's initialisation starts higher than small weights do
SUBSET = 20  #: examples to overfit, as in the lecture
LEARNT = 0.99  #: training accuracy at which a subset is overfitted ...
FORGOTTEN = 0.1  #: ... or the share of the first loss that is left, where no training accuracy is reported
VISIBLE = 1e-7  #: relative change of a loss that is more than rounding


class Verdict(StrEnum):
    """What a check came to."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True)
class Check:
    """One check that was made.

    Attributes:
        name: What was looked at.
        verdict: What it came to.
        text: Why, in one line with its numbers.
        traceback: The user's own traceback, where the trainer raised.
    """

    name: str
    verdict: Verdict
    text: str
    traceback: str | None = None


@dataclass(frozen=True, slots=True)
class Raised:
    """The untrained network's loss at two strengths of regularisation.

    Attributes:
        name: The parameter that regularises.
        low: A strength: none.
        high: Another one.
        at_low: What was tried with the first, hardly learning.
        at_high: The same with the second.
        trained: Tried with the second strength, at the rate of `base`; None unless the losses are the same.
        base: The run that `trained` differs from in nothing but its regularisation.
    """

    name: str
    low: float
    high: float
    at_low: Tried
    at_high: Tried
    trained: Tried | None
    base: Tried


def reporting(base: Tried, metric: str, loss: str) -> Check:
    """Whether the trainer runs, and reports what the sweep file asks for."""
    name = "reports"
    if base.error is not None:
        return Check(name, Verdict.FAIL, f"a trial in the middle of the space ended with: {base.error}", base.traceback)
    reported = sorted({key for report in base.reports for key in report})
    if metric not in reported:
        hint = did_you_mean(metric, reported)
        return Check(name, Verdict.FAIL, f"the objective {metric!r} is not among what the trainer reports{hint}")
    values = [report.get(metric) for report in base.reports]
    shown = " -> ".join(_show(value) for value in ([values[0], values[-1]] if len(values) > 1 else values))
    if not any(value is not None and math.isfinite(value) for value in values):
        return Check(name, Verdict.FAIL, f"{metric} is never finite in the middle of the space: {shown}")
    text = f"{metric} {shown} in {show_count(len(values), 'epoch')}"
    if loss not in reported and metric != loss:
        text += f"; no {loss!r}, so the rule against blow-ups has nothing to watch: name it in [stop] loss"
    return Check(name, Verdict.PASS, text)


def initial_loss(start: Tried | None, loss: str, classes: int | None, how: str) -> Check:
    """Whether the untrained network knows as little as chance does: its loss should be log(classes).

    Args:
        start: One epoch of hardly any learning; None when there is no learning rate to turn down.
        loss: The metric.
        classes: How many there are; None when nobody has said.
        how: The learning rate and regularisation of that epoch, in words.
    """
    name = "initial loss"
    if start is None:
        return _no_rate(name)
    found = _first(start, loss)
    if found is None:
        return _no_loss(name, start, loss)
    if not math.isfinite(found):
        return Check(name, Verdict.FAIL, f"{loss} is {found} before anything is learnt ({how})")
    if classes is None:
        text = f"{_show(found)} ({how}), but the number of classes is not known: --classes N, or data.classes"
        return Check(name, Verdict.UNKNOWN, text)
    chance = math.log(classes)
    text = f"{_show(found)} ({how}); chance is log({classes}) = {chance:.4g}"
    if abs(found - chance) <= CHANCE_TOLERANCE * chance:
        return Check(name, Verdict.PASS, text)
    cause = "weights that start too large, or inputs not scaled" if found > chance else "no mean, or labels that leak"
    return Check(name, Verdict.FAIL, f"{text}: {cause}?")


def regularisation(raised: Raised | None, known: Sequence[str], loss: str, *, repeats: bool) -> Check:
    """Whether more regularisation raises the loss of the untrained network.

    Args:
        raised: The loss at two strengths; None when that could not be tried.
        known: Names that a parameter that regularises may have.
        loss: The metric.
        repeats: Whether a seed gives the same loss twice; two losses cannot be compared otherwise.
    """
    name = "regularisation"
    if raised is None:
        return Check(
            name, Verdict.UNKNOWN, f"a learning rate and a parameter such as {known[0]} or {known[1]} are needed"
        )
    if not repeats:
        return Check(name, Verdict.UNKNOWN, "a seed does not give the same loss twice, so no two losses compare")
    low, high = _first(raised.at_low, loss), _first(raised.at_high, loss)
    if low is None or high is None:
        return _no_loss(name, raised.at_low if low is None else raised.at_high, loss)
    where = f"with {raised.name} {raised.low:g} and {_show(high)} with {raised.name} {raised.high:g}"
    text = f"initial loss {_show(low)} {where}"
    if not math.isfinite(low) or not math.isfinite(high) or high < low * (1 - VISIBLE):
        return Check(name, Verdict.FAIL, f"{text}: it must rise")
    if high > low * (1 + VISIBLE):
        return Check(name, Verdict.PASS, f"{text}, which is {high - low:.3g} more")
    if raised.trained is None or raised.trained.error is not None:
        return Check(name, Verdict.UNKNOWN, f"{text}: the same, and no training to compare")
    if _differences(raised.trained.reports, raised.base.reports[: len(raised.trained.reports)]):
        return Check(
            name, Verdict.UNKNOWN, f"{text}: the reported loss is without the penalty, which does change training"
        )
    return Check(
        name, Verdict.FAIL, f"{text}, and an epoch of training is the same as well: {raised.name} does nothing"
    )


def same_seed(first: Tried, second: Tried, metric: str, loss: str) -> Check:
    """Whether two runs of one config and one seed report the same, in two processes."""
    name = "seed"
    if second.error is not None:
        return Check(name, Verdict.FAIL, f"the second run of a seed ended with: {second.error}", second.traceback)
    count = show_count(len(first.reports), "epoch")
    if len(first.reports) != len(second.reports):
        return Check(name, Verdict.FAIL, f"one seed: {count} in one run, {len(second.reports)} in another")
    differences = _differences(first.reports, second.reports)
    for key in (metric, loss):
        if key in differences:
            epoch, one, other = differences[key]
            text = f"one seed, two runs: {key} is {_digits(one)} and {_digits(other)} at epoch {epoch}"
            return Check(name, Verdict.FAIL, f"{text}: seed every generator from the parameter `seed`")
    text = f"two runs of one seed report the same in {count}"
    return Check(name, Verdict.PASS, text + (f", but for {', '.join(sorted(differences))}" if differences else ""))


def overfitted(reports: Sequence[Metrics], loss: str) -> bool | None:
    """Whether a run has learnt its training examples by heart; None when its reports cannot tell."""
    key = next((key for key in TRAIN_ACCURACY if reports and key in reports[-1]), None)
    if key is not None:
        best = max((value for report in reports if (value := report.get(key)) is not None), default=math.nan)
        return (best / 100 if best > 1 else best) >= LEARNT  # above 1 it counts in percent
    losses = [value for report in reports if (value := report.get(loss)) is not None and math.isfinite(value)]
    return losses[-1] <= FORGOTTEN * losses[0] if losses else None


def overfitting(tries: Sequence[tuple[str, Tried]], loss: str) -> Check:
    """Whether the network can learn a few examples by heart.

    Args:
        tries: What was tried on `SUBSET` examples, with its learning rate and regularisation in words; none where
            the trainer cannot be given a subset. Trying ends with the first success.
        loss: The metric.
    """
    name = "overfitting"
    if not tries:
        text = f"the trainer has no parameter `subset` with a default, to be told to train on {SUBSET} examples"
        return Check(name, Verdict.UNKNOWN, text)
    how, last = tries[-1]
    key = next((key for key in TRAIN_ACCURACY if last.reports and key in last.reports[-1]), loss)
    shown = (
        f"{key} {_show(last.reports[-1].get(key))} after {show_count(len(last.reports), 'epoch')}"
        if last.reports
        else ""
    )
    learnt = overfitted(last.reports, loss)
    if learnt:
        return Check(name, Verdict.PASS, f"{SUBSET} examples: {shown} ({how})")
    if last.error is not None:
        return Check(name, Verdict.UNKNOWN, f"{SUBSET} examples: {last.error} ({how})", last.traceback)
    if learnt is None:
        return Check(name, Verdict.UNKNOWN, f"neither {TRAIN_ACCURACY[0]!r} nor {loss!r} is reported")
    rates = "; ".join(how for how, _ in tries)
    return Check(name, Verdict.FAIL, f"{SUBSET} examples are not learnt by heart ({rates}): {shown} at the last")


def _first(tried: Tried, loss: str) -> float | None:
    """The first reported loss."""
    return tried.reports[0].get(loss) if tried.reports else None


def _no_rate(name: str) -> Check:
    return Check(name, Verdict.UNKNOWN, "no parameter is called lr or learning_rate, to be turned down to nothing")


def _no_loss(name: str, tried: Tried, loss: str) -> Check:
    """The check of a run that has no loss to look at."""
    text = f"{loss!r} is not reported: name the loss in [stop] loss" if tried.error is None else tried.error
    return Check(name, Verdict.UNKNOWN, text, tried.traceback)


def _differences(
    first: Sequence[Metrics], second: Sequence[Metrics]
) -> dict[str, tuple[int, float | None, float | None]]:
    """For each metric that is not the same bits in both: the first such epoch, and the two values."""
    found: dict[str, tuple[int, float | None, float | None]] = {}
    for epoch, (one, other) in enumerate(zip(first, second, strict=True), 1):
        for key in sorted(one.keys() | other.keys()):
            if key not in found and repr(one.get(key)) != repr(other.get(key)):
                found[key] = (epoch, one.get(key), other.get(key))
    return found


def _show(value: float | None) -> str:
    """A metric in five digits."""
    return "null" if value is None else f"{value:.5g}"


def _digits(value: float | None) -> str:
    """A metric in all its digits."""
    return "null" if value is None else repr(value)
