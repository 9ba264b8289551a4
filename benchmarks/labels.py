"""What is wrong with each trial of the corpus, told by what happened when it was mended.

For every finding a trial is a clear case of it (YES), clearly none (NO), or one that no one can call (UNCLEAR).
Losses are measured in `chance`, the loss of one who knows nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from corpus import KINDS, METRICS, TWIN, Case

from workers import reference

YES, NO, UNCLEAR = 1, 0, -1
_TAIL = 3  # epochs that a final value is the mean of
_SINGLE = ("base", "deep", "small", "deep small")  # kinds with nothing wrong but, perhaps, rate or initialisation


def labels(seed: int, case: Case, runs: Mapping[str, np.ndarray], stopped: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """A row per trial (seed, kind, rung), a column per finding.

    Args:
        seed: Of the case.
        case: The case.
        runs: By kind: (rates, epochs, metrics), for longer than the budget.
        stopped: By kind: (rates,) whether a rule stops the trial.
    """
    with np.errstate(all="ignore"):
        tables = [_of_kind(seed, kind, case, runs, stopped) for kind in KINDS]
    return pd.concat(tables)


def _of_kind(seed: int, kind: str, case: Case, runs: Mapping[str, np.ndarray], stopped: Mapping[str, np.ndarray]):
    """The labels of the trials of one kind."""
    e, chance, bad = case.epochs, case.chance, stopped[kind]
    quarter = max(3, e // 4)

    def curve(of: str, metric: str) -> np.ndarray:
        return runs[of][:, :, METRICS.index(metric)]

    def final(of: str, metric: str) -> np.ndarray:
        values = curve(of, metric)[:, e - _TAIL : e].mean(axis=1)
        return np.where(stopped[of] | ~np.isfinite(values), np.inf if metric == "loss" else 0.0, values)

    loss, end, val, train = curve(kind, "loss"), final(kind, "loss"), final(kind, "val_acc"), final(kind, "train_acc")
    start, twin = _initial_loss(seed, case, kind), TWIN.get(kind)
    nowhere = np.zeros(len(end), bool)
    lower = np.minimum.accumulate(np.r_[np.inf, end])[:-1]  # the best of all lower rates
    higher = np.minimum.accumulate(np.r_[end, np.inf][::-1])[::-1][1:]
    lower_val = np.maximum.accumulate(np.r_[0.0, val])[:-1]
    too_high, too_low = (end - lower) / chance, (end - higher) / chance
    drop = 1 - end / start
    early = loss[:, :quarter].mean(axis=1)
    # The objective in means of three epochs, and what it came to within the budget and after it.
    val_curve = np.nan_to_num(curve(kind, "val_acc"))
    rounds = (val_curve[:, :-2] + val_curve[:, 1:-1] + val_curve[:, 2:]) / 3
    peak, at_end = rounds[:, : e - 2].max(axis=1), rounds[:, e - 3]
    later = rounds[:, e - 2 :].max(axis=1) - peak
    gap = train - val
    wide, wide_val = final("base", "train_acc"), final("base", "val_acc")

    table = {"diverged": _clear(bad & (lower < chance), ~bad)}

    learns = 1 - higher / start > 0.3
    dead = ~learns & (too_high > 0.3)
    if twin:
        learns = learns | (1 - final(twin, "loss").min() / _initial_loss(seed, case, twin) > 0.3)
    waiting = ~bad & (abs(drop) < 0.05) & learns
    table["loss flat"] = _clear(waiting, bad | (abs(drop) > 0.15) | dead)

    late = nowhere
    if twin:
        quick = np.fmin.reduce(curve(twin, "loss")[:, :quarter].mean(axis=1)) < 0.7 * _initial_loss(seed, case, twin)
        late = (abs(early / start - 1) < 0.05) & (loss[:, quarter - 1] > 0.95 * start) & (drop > 0.3) & quick
    table["flat then drop"] = _clear(~bad & late, bad | (early < 0.85 * start) | (drop < 0.1))

    helped = ~bad & (too_high >= 0.3) & (lower_val - val >= 0.05) & (kind in _SINGLE)
    table["high plateau"] = np.where(bad, UNCLEAR, _clear(helped, too_high < 0.03))
    table["lr too high"] = np.where(bad & (lower < chance), YES, table["high plateau"])

    risen = (loss[:, e : e + e // 2].mean(axis=1) - loss[:, e // 4 : e // 2].mean(axis=1)) / chance
    table["loss rising"] = _clear(~bad & (risen > 0.15) & (too_high > 0.1), bad | (risen < 0.03))

    steps = np.diff(loss[:, e // 2 : e], axis=1)
    wiggle = np.minimum(np.maximum(steps, 0).mean(axis=1), np.maximum(-steps, 0).mean(axis=1))
    wiggle *= math.sqrt(math.pi) / chance
    calmer = np.r_[np.inf, np.inf, wiggle[:-2]]  # at a tenth of the rate
    table["noisy"] = _clear(~bad & (wiggle > 0.08) & (calmer < wiggle / 2), bad | (wiggle < 0.04))

    memorised = ~bad & (gap >= 0.1) & (wide_val.max() - val >= 0.08) & (kind in ("few", "noise"))
    table["overfitting"] = _clear(memorised, bad | (gap < 0.05))

    wider = ~bad & (wide - train >= 0.15) & (wide_val - val >= 0.1) & (too_high < 0.05) & (too_low < 0.1)
    slow = ~bad & ((too_low > 0.1) | (later > 0.03)) & (train < 0.9)  # more epochs or a higher rate: the same advice
    nothing = (wide - train < 0.05) & (too_low < 0.03) & (later < 0.01)
    table["underfitting"] = _clear(wider & (kind == "tiny"), ~slow & (bad | nothing | (too_high > 0.2) | (train > 0.9)))

    table["still improving"] = _clear(~bad & ~waiting & (later >= 0.05), bad | (~waiting & (later < 0.01)))

    worse = rounds[:, e - 2 :].mean(axis=1) < peak - 0.03
    table["best early"] = _clear(~bad & ~waiting & (peak - at_end >= 0.04) & worse, bad | (peak - at_end < 0.015))

    ratio = np.exp(np.log(curve(kind, "update_ratio")[:, : max(3, e // 3)]).mean(axis=1))
    off = ((ratio > 3e-2) & (too_high > 0.1)) | ((ratio < 3e-5) & (too_low > 0.1))
    idle = ((ratio > 1e-3) & (too_high < 0.03)) | ((ratio < 1e-3) & (too_low < 0.03))
    table["update ratio"] = _clear(~bad & off, bad | (idle & (twin is None)))

    table["initial loss"] = _clear(nowhere | (start > 2 * chance), nowhere | (start < 1.3 * chance))

    at_its_best = (too_high < 0.05) & (too_low < 0.05) & (later < 0.01) & (gap < 0.05) & (train > 0.9)
    healthy = ~bad & at_its_best & (val > wide_val.max() - 0.02) & (start < 2 * chance)
    table["healthy"] = np.where(healthy, YES, NO)
    index = pd.MultiIndex.from_product([[seed], [kind], range(len(end))], names=["seed", "stage", "trial"])
    return pd.DataFrame(table, index=index)


def _clear(yes: np.ndarray, no: np.ndarray) -> np.ndarray:
    """(rates,) YES, NO or UNCLEAR."""
    return np.where(yes, YES, np.where(no, NO, UNCLEAR))


def _initial_loss(seed: int, case: Case, kind: str) -> float:
    """The loss of the untrained network, without regularisation."""
    keys = {name: case.settings[kind][name] for name in ("hidden", "layers", "init") if name in case.settings[kind]}
    return reference.initial_loss(0.0, **keys, seed=seed, data=case.data[kind])
