"""What is wrong with each trial, as an experienced person who watches its curves would say it.

A rule looks at the curves of many trials at once: flags, one per trial, and a way to put the evidence into words. It
needs so many reports before it speaks, and keeps quiet beside findings that say the more important thing. To add one:
its function in `losses.py` or `scores.py`, its line in `RULES`, its test, its line in docs/diagnosis.md.

Source: CS231n, lecture 6 ("Babysitting the learning process"), and its notes on neural networks, part 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import losses, scores
from analysis.curves import batches
from analysis.findings import GOOD_TO_KNOW, HINT, PROBLEM
from analysis.frames import Frames
from analysis.seen import Seen, Verdict, seen_of
from sweeps.space import Flags

COLUMNS = ("stage", "trial", "finding", "severity", "evidence", "advice")
LEAST = 3  #: reports; fewer are no curve
_NEIGHBOURS = 500  # on either side of a trial


@dataclass(frozen=True, slots=True)
class Rule:
    """One finding.

    Attributes:
        name: What it is called.
        severity: How bad it is.
        least: Reports that it takes.
        look: The verdict; None where what it needs is not reported.
        advice: What to do, in one sentence.
        unless: Findings beside which it is not said.
    """

    name: str
    severity: str
    least: int
    look: Callable[[Seen], Verdict | None]
    advice: str
    unless: tuple[str, ...] = ()


def _too_short(seen: Seen) -> Verdict:
    """Hardly any reports."""
    reports = _reports(seen)
    return reports < LEAST, lambda i: f"{reports[i]} of the {LEAST} reports that a curve takes"


_NOTHING = ("diverged", "loss flat")  # beside these, nothing else is worth saying
RULES = (
    Rule("diverged", PROBLEM, 1, losses.diverged, "Lower the learning rate, three to ten times."),
    Rule(
        "too short to say",
        GOOD_TO_KNOW,
        0,
        _too_short,
        "Train for more epochs, or report more often.",
        ("diverged",),
    ),
    Rule(
        "loss flat",
        PROBLEM,
        LEAST,
        losses.flat,
        "Raise the learning rate ten times; if nothing moves then, start with larger weights.",
        ("diverged",),
    ),
    Rule(
        "flat then drop",
        HINT,
        5,
        losses.flat_then_drop,
        "Look at the initialisation: start with larger weights (He, Xavier), or normalise the layers.",
        _NOTHING,
    ),
    Rule(
        "high plateau",
        PROBLEM,
        5,
        losses.high_plateau,
        "Lower the learning rate, three to ten times, or let it decay.",
        _NOTHING,
    ),
    Rule(
        "loss rising",
        HINT,
        8,
        losses.rising,
        "Lower the learning rate; if it is low already, look for a fault in the gradient.",
        _NOTHING,
    ),
    Rule(
        "noisy", HINT, 5, losses.noisy, "Lower the learning rate, let it decay, or take larger minibatches.", _NOTHING
    ),
    Rule("overfitting", PROBLEM, 5, scores.overfitting, "Use more regularisation, or more data.", _NOTHING),
    Rule(
        "underfitting",
        HINT,
        5,
        scores.underfitting,
        "If neither more epochs nor a higher rate help, take a larger model or less regularisation.",
        (*_NOTHING, "high plateau", "loss rising", "flat then drop"),
    ),
    Rule("still improving", HINT, 5, scores.still_improving, "Train for more epochs.", _NOTHING),
    Rule(
        "best early",
        HINT,
        5,
        scores.best_early,
        "Train shorter, or let the learning rate decay.",
        _NOTHING,
    ),
    Rule(
        "update ratio",
        HINT,
        LEAST,
        scores.update_ratio,
        "Change the learning rate until an update is about a thousandth of the weights; under Adam, take it lightly.",
        ("diverged",),
    ),
    Rule(
        "initial loss",
        HINT,
        1,
        losses.initial_loss,
        "Start with smaller weights in the last layer, or scale the inputs.",
        ("high plateau",),
    ),
)


def trial_findings(
    frames: Frames, *, metric: str, mode: str, loss: str = "loss", classes: int | None = None
) -> pd.DataFrame:
    """A row per finding: stage, trial, finding, severity, evidence, advice. A healthy trial has none.

    Args:
        frames: A run.
        metric: The objective.
        mode: "max" or "min".
        loss: Name of the training loss.
        classes: Number of classes, where the loss is a cross-entropy over so many.
    """
    found = [table for batch in batches(frames) for table in _tables(seen_of(batch, metric, mode, loss, classes))]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(COLUMNS))


def findings_of(frames: Frames, stage: str, trial: int) -> pd.DataFrame:
    """The rows of `trial_findings` for one trial, looked at among its neighbours: they are as good as any others."""
    settings, objective = frames.settings, frames.objective
    trials = frames.trials[frames.trials["stage"] == stage]
    trials = trials[(trials["trial"] - trial).abs() <= _NEIGHBOURS]
    reports = frames.reports[frames.reports["stage"] == stage]
    reports = reports[reports["trial"].isin(trials["trial"])]
    some = Frames(trials, reports, frames.stages, frames.attempts, frames.sweeps)
    found = trial_findings(some, metric=objective.metric, mode=objective.mode, loss=settings.stop.loss)
    return found[found["trial"] == trial]


def _tables(seen: Seen) -> list[pd.DataFrame]:
    """The findings of a batch, one table per rule that found something."""
    reports, trials = _reports(seen), seen.batch.trials
    said: dict[str, Flags] = {}
    found = []
    for rule in RULES:
        with np.errstate(all="ignore"):
            verdict = rule.look(seen)
        if verdict is None:
            continue
        flags = verdict[0] & (reports >= rule.least)
        for name in rule.unless:
            if name in said:
                flags = flags & ~said[name]
        said[rule.name] = flags
        places = np.flatnonzero(flags)
        if len(places):
            columns = {
                "stage": trials["stage"].to_numpy()[places],
                "trial": trials["trial"].to_numpy()[places],
                "finding": rule.name,
                "severity": rule.severity,
                "evidence": [verdict[1](int(place)) for place in places],
                "advice": rule.advice,
            }
            found.append(pd.DataFrame(columns))
    return found


def _reports(seen: Seen) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """(n,) number of reports of each trial."""
    return np.bincount(seen.batch.rows, minlength=len(seen.batch.trials)).astype(np.int64)
