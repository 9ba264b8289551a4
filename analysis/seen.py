"""What the rules of the diagnosis look at: the curves of a batch of trials, by the part they play."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.curves import Batch, Curve
from sweeps.space import Flags

#: Flags per trial, and the evidence of a flagged one in words.
Verdict = tuple[Flags, Callable[[int], str]]

_VALIDATION = re.compile(r"^(val|valid|validation|dev|test|eval)([_/.\- ])(?=.)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Seen:
    """n trials.

    Attributes:
        batch: Their rows of the tables.
        loss: The training loss; None where it is not reported, as for the other curves.
        score: The objective.
        train: The same metric on the training data.
        ratio: Size of an update over size of the weights.
        sign: 1 where a higher objective is better, -1 where a lower one is.
        chance: The loss of one who knows nothing, log(classes); None where the classes are not known.
        loss_name: Name of the loss.
        metric: Name of the objective.
    """

    batch: Batch
    loss: Curve | None
    score: Curve | None
    train: Curve | None
    ratio: Curve | None
    sign: float
    chance: float | None
    loss_name: str
    metric: str

    @cached_property
    def is_share(self) -> bool:
        """Whether the objective is a share of 1, as an accuracy is."""
        if self.score is None or self.sign < 0:
            return False
        return bool(np.nanmax(self.score.values) <= 1.0 and np.nanmin(self.score.values) >= 0.0)


def seen_of(batch: Batch, metric: str, mode: str, loss: str, classes: int | None) -> Seen:
    """A batch as the rules look at it."""
    return Seen(
        batch=batch,
        loss=batch.curve(loss),
        score=batch.curve(metric),
        train=batch.curve(training_twin(metric, batch.reports.columns)),
        ratio=batch.curve("update_ratio"),
        sign=1.0 if mode == "max" else -1.0,
        chance=None if classes is None else math.log(classes),
        loss_name=loss,
        metric=metric,
    )


def training_twin(metric: str, names: Iterable[str]) -> str | None:
    """The metric that says of the training data what `metric` says of the validation data: `train_acc` of `val_acc`."""
    found = _VALIDATION.match(metric)
    if found is None:
        return None
    mark, rest = found[2], metric[found.end() :]
    known = {name.casefold(): name for name in names}
    for twin in (f"train{mark}{rest}", f"training{mark}{rest}", f"tr{mark}{rest}", rest):
        if twin.casefold() in known:
            return known[twin.casefold()]
    return None


def show(value: float) -> str:
    """A number in three digits."""
    return f"{value:.3g}"
