"""What is wrong with each trial of the corpus, told by what happened when it was mended, and by what came after it.

For every finding a trial is a clear case of it (YES), clearly none (NO), or one that no one can call (UNCLEAR): because
mending helped a little, because it had two faults at a time, or because another training of the same config, with
another luck, says otherwise. Losses are measured in `chance`, the loss of one who knows nothing; `val`, `train` and
gaps are accuracies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from corpus import KINDS, METRICS, TWIN, Case

YES, NO, UNCLEAR = 1, 0, -1
Runs = Mapping[str, np.ndarray]  # by kind
_TAIL = 3  # epochs that a final value is the mean of
_SINGLE = ("base", "deep", "small", "deep small", "growing")  # nothing wrong but, perhaps, rate or initialisation


def labels(told: pd.DataFrame) -> pd.DataFrame:
    """A row per trial, a column per finding.

    Args:
        told: What `outcomes` tells of the trials of one or more cases.
    """
    with np.errstate(all="ignore"):  # what has diverged is infinite
        return pd.DataFrame(_labels(told), index=told.index)


def agreed(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """The labels that two trainings of the same trials share; UNCLEAR where they differ."""
    return first.where(first == second, UNCLEAR)


def _labels(told: pd.DataFrame) -> dict[str, np.ndarray]:
    """The columns of `labels`."""
    of = {str(name): told[name].to_numpy() for name in told}
    kind = told.index.get_level_values("kind")
    fine, single, tiny, small = ~of["bad"], kind.isin(_SINGLE), kind == "tiny", kind.isin(("small", "deep small"))
    drop, gap, later = 1 - of["end"] / of["start"], of["train"] - of["val"], of["later"]
    too_high, too_low = of["end"] - of["lower"], of["end"] - of["higher"]
    lost = of["lower_val"] - of["val"]  # of the objective, by not taking a lower rate
    table = {"diverged": _clear(of["bad"] & (of["lower"] < 1), fine)}

    learns = (1 - of["higher"] / of["start"] > 0.3) | (small & (of["twin_best"] < 0.7 * of["twin_start"]))
    dead = (1 - of["higher"] / of["start"] <= 0.3) & (too_high > 0.3)
    waiting = fine & (abs(drop) < 0.05) & learns
    table["loss flat"] = _clear(waiting, ~fine | (abs(drop) > 0.15) | dead)

    late = (abs(of["early"] / of["start"] - 1) < 0.05) & (of["quarter"] > 0.95 * of["start"]) & (drop > 0.3)
    quick = small & (of["twin_early"] < 0.7 * of["twin_start"])
    table["flat then drop"] = _clear(fine & late & quick, ~fine | (of["early"] < 0.85 * of["start"]) | (drop < 0.1))

    helped = fine & (too_high >= 0.3) & (lost >= 0.05) & single
    table["high plateau"] = np.where(of["bad"], UNCLEAR, _clear(helped, (too_high < 0.03) & (lost < 0.03)))
    table["lr too high"] = np.where(of["bad"] & (of["lower"] < 1), YES, table["high plateau"])

    cure = (too_high > 0.1) | (of["end"] - of["twin_end"] > 0.1)
    rising = (of["rose"] > 0.1) & (of["rises"] > 0.15)
    table["loss rising"] = _clear(fine & rising & cure, ~fine | ((of["rose"] < 0.05) & (of["rises"] < 0.03)))

    jumps = (of["wiggle"] > 0.08) & (of["calmer"] < of["wiggle"] / 2)
    table["noisy"] = _clear(fine & jumps, ~fine | ((of["wiggle"] < 0.04) & (of["wiggle"] < 0.1 * of["end"])))

    memorised = fine & (drop > 0.2) & (gap >= 0.1) & (of["sound_val"] - of["val"] >= 0.08)
    table["overfitting"] = _clear(memorised & kind.isin(("few", "noise")), ~fine | (gap < 0.05))

    wider = (of["wide"] - of["train"] >= 0.15) & (of["wide_val"] - of["val"] >= 0.1)
    wider &= fine & tiny & (too_high < 0.05) & (too_low < 0.1)
    slow = fine & ((too_low > 0.1) | (later > 0.03)) & (of["train"] < 0.9)  # more epochs, a higher rate: same advice
    nothing = (of["wide"] - of["train"] < 0.05) & (too_low < 0.03) & (later < 0.01)
    able = ~fine | nothing | (of["train"] > 0.9) | ((too_high > 0.2) & ~tiny)
    table["underfitting"] = _clear(wider, ~slow & able)

    steady = kind != "growing"  # what came after the budget was trained at another rate
    table["still improving"] = _clear(
        fine & ~waiting & (later >= 0.1) & steady, ~fine | (~waiting & (later < 0.01) & steady)
    )

    past = of["peak"] - of["val"]
    table["best early"] = _clear(
        fine & ~waiting & (past >= 0.04) & (of["after"] < of["peak"] - 0.03), ~fine | (past < 0.015)
    )

    ratio = of["ratio"]
    off = ((ratio > 3e-2) & (too_high > 0.1)) | ((ratio < 3e-5) & (too_low > 0.1))
    idle = ((ratio > 1e-3) & (too_high < 0.03)) | ((ratio < 1e-3) & (too_low < 0.03))
    table["update ratio"] = _clear(fine & off, ~fine | (idle & ~small))

    thrown = ~fine | (too_high >= 0.3)  # a second fault, and the one that the first loss shows
    seen = (of["start"] > 2) & (of["first"] > 1.3)  # else it is gone before the first report
    table["initial loss"] = _clear(seen & ~thrown, of["start"] < 1.3)

    at_its_best = (too_high < 0.05) & (too_low < 0.05) & (later < 0.01) & (gap < 0.05) & (of["train"] > 0.9)
    healthy = fine & at_its_best & (of["val"] > of["sound_val"] - 0.02) & (of["start"] < 2)
    table["healthy"] = np.where(healthy, YES, NO)
    return table


def outcomes(seed: int, luck: int, case: Case, runs: Runs, stopped: Runs) -> pd.DataFrame:
    """A row per trial (seed, kind, rung): how it ended, and how those did that were mended in one way each.

    Args:
        seed: Of the case.
        luck: Of the training.
        case: The case.
        runs: By kind: (rates, epochs, metrics), for longer than the budget.
        stopped: By kind: (rates,) whether a rule stops the trial.
    """
    with np.errstate(all="ignore"):
        return pd.concat([_of_kind(seed, luck, kind, case, runs, stopped) for kind in KINDS])


def _of_kind(seed: int, luck: int, kind: str, case: Case, runs: Runs, stopped: Runs):
    """The outcomes of the trials of one kind."""
    e, chance, twin = case.epochs, case.chance, TWIN.get(kind, kind)
    quarter = max(3, e // 4)

    def curve(of: str, metric: str) -> np.ndarray:
        values = runs[of][:, :, METRICS.index(metric)]
        return values / chance if metric == "loss" else values

    def final(of: str, metric: str) -> np.ndarray:
        values = curve(of, metric)[:, e - _TAIL : e].mean(axis=1)
        return np.where(stopped[of] | ~np.isfinite(values), np.inf if metric == "loss" else 0.0, values)

    def early(of: str) -> np.ndarray:
        return curve(of, "loss")[:, :quarter].mean(axis=1)

    loss, end, val = curve(kind, "loss"), final(kind, "loss"), final(kind, "val_acc")
    # The objective in means of three epochs: what it came to within the budget, and after it.
    seen = np.nan_to_num(curve(kind, "val_acc"))
    rounds = (seen[:, :-2] + seen[:, 1:-1] + seen[:, 2:]) / 3
    peak = rounds[:, : e - 2].max(axis=1)
    second = loss[:, e // 4 : e // 2].mean(axis=1)
    wiggle = _wiggle(loss[:, e // 2 : e])
    table = {
        "bad": stopped[kind],
        "start": case.initial_loss(luck, kind) / chance,
        "first": loss[:, 0],
        "early": early(kind),
        "quarter": loss[:, quarter - 1],
        "end": end,
        "train": final(kind, "train_acc"),
        "val": val,
        "lower": np.minimum.accumulate(np.r_[np.inf, end])[:-1],  # the best of all lower rates
        "lower_val": np.maximum.accumulate(np.r_[0.0, val])[:-1],
        "higher": np.minimum.accumulate(np.r_[end, np.inf][::-1])[::-1][1:],
        "twin_start": case.initial_loss(luck, twin) / chance,
        "twin_early": np.fmin.reduce(early(twin)),
        "twin_end": final(twin, "loss"),
        "twin_best": final(twin, "loss").min(),
        "wide": np.maximum.accumulate(final("base", "train_acc")),  # at this rate or a lower one
        "wide_val": np.maximum.accumulate(final("base", "val_acc")),
        "sound_val": final("base", "val_acc").max(),
        "peak": peak,
        "later": rounds[:, e - 2 :].max(axis=1) - peak,
        "after": rounds[:, e - 2 :].mean(axis=1),
        "rose": loss[:, e - max(e // 4, 2) : e].mean(axis=1) - second,  # within the budget
        "rises": loss[:, e : e + e // 2].mean(axis=1) - second,  # and after it
        "wiggle": wiggle,
        "calmer": np.r_[np.inf, np.inf, wiggle[:-2]],  # at a tenth of the rate
        "ratio": np.exp(np.log(curve(kind, "update_ratio")[:, : max(3, e // 3)]).mean(axis=1)),
    }
    index = pd.MultiIndex.from_product([[seed], [kind], range(len(end))], names=["seed", "kind", "rung"])
    return pd.DataFrame(table, index=index)


def _wiggle(loss: np.ndarray) -> np.ndarray:
    """(rates,) how much a value strays from its curve, as if the strayings were normal."""
    steps = np.diff(loss, axis=1)
    return np.minimum(np.maximum(steps, 0).mean(axis=1), np.maximum(-steps, 0).mean(axis=1)) * math.sqrt(math.pi)


def _clear(yes: np.ndarray, no: np.ndarray) -> np.ndarray:
    """(trials,) YES, NO or UNCLEAR."""
    return np.where(yes, YES, np.where(no, NO, UNCLEAR))
