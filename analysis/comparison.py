"""Runs of one sweep side by side: after a change of the trainer, with another seed, by another method of search.

Where two runs tried the same configs (the same seed and space give the same ones), trials are compared pair by pair,
which tells small differences; otherwise only what each run came to can be set side by side.
"""

from __future__ import annotations

import html
import json
import math
import pathlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.frames import Frames, configs_of, load
from sweeps.errors import UsageError
from sweeps.objective import Objective
from sweeps.space import Config, Floats
from sweeps.wording import show_count
from workers.messages import Status


@dataclass(frozen=True, slots=True)
class Comparison:
    """What runs of one sweep came to.

    Attributes:
        runs: One row per run: how many trials ended how, epochs and hours of training, the best value of the
            objective, where it was found, the median over all trials.
        params: One row per parameter, one column per run: the best config of each.
        pairs: One row per run after the first: how many trials had the same config and seed as one of the first run,
            how many of these it did better, equally well and worse, the median gain (above zero is better), and the
            probability that chance alone would be so one-sided (two-sided sign test).
        text: The same in sentences.
    """

    runs: pd.DataFrame
    params: pd.DataFrame
    pairs: pd.DataFrame
    text: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.text)

    def _repr_html_(self) -> str:
        """Sentences and frames, for a notebook."""
        words = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in self.text)
        return words + "".join(frame.to_html() for frame in (self.runs, self.params, self.pairs))


def compare(*runs: str | pathlib.Path) -> Comparison:
    """Runs of one sweep side by side, each with the first.

    Args:
        runs: Their folders, two at least.

    Raises:
        UsageError: There is one run only, or they do not optimise the same thing.
    """
    if len(runs) < 2:
        raise UsageError("two runs at least are compared: compare('runs/a', 'runs/b')")
    frames = load(*runs)
    trials = {name: frames.trials[frames.trials["run"] == name] for name in frames.sweeps}
    first, *others = trials
    came = pd.DataFrame.from_dict({name: _summary(frames, name, found) for name, found in trials.items()}, "index")
    best = {name: _best_config(frames, name) for name in trials}
    pairs = pd.DataFrame.from_dict({name: _pair(frames, first, name) for name in others}, "index")
    text = [_sentence(name, row, frames.objective.metric) for name, row in came.to_dict("index").items()]
    text += [_paired(str(name), first, row, frames.objective.metric) for name, row in pairs.to_dict("index").items()]
    return Comparison(came, pd.DataFrame(best, dtype=object), pairs, tuple(text))


def _summary(frames: Frames, run: str, trials: pd.DataFrame) -> dict[str, Any]:
    """What one run came to."""
    values = _values(trials, frames.objective)
    finite = values[np.isfinite(values)]
    attempts = frames.attempts[frames.attempts["run"] == run]
    row: dict[str, Any] = {"trials": len(trials)}
    row |= {status.word: int((trials["status"] == status.word).sum()) for status in Status}
    row |= {"epochs": int(trials["epochs"].sum()), "hours": float(attempts["seconds"].sum()) / 3600}
    if not len(finite):
        return {**row, "best": math.nan, "stage": None, "trial": None, "median": math.nan}
    best = trials.iloc[int(np.argmin(frames.objective.scores(values)))]
    value = float(best[frames.objective.metric])
    return {
        **row,
        "best": value,
        "stage": best["stage"],
        "trial": int(best["trial"]),
        "median": float(np.median(finite)),
    }


def _best_config(frames: Frames, run: str) -> Config:
    """The best config of one run; empty where nothing finite was reported."""
    trials = frames.trials[frames.trials["run"] == run]
    scores = frames.objective.scores(_values(trials, frames.objective))
    if not np.isfinite(scores).any():
        return {}
    return configs_of(trials.iloc[[int(np.argmin(scores))]], frames.sweeps[run].space)[0]


def _pair(frames: Frames, first: str, other: str) -> dict[str, Any]:
    """Trials of two runs with the same config, seed and budget, one against the other."""
    a, b = _by_config(frames, first), _by_config(frames, other)
    shared = [key for key in a if key in b]
    sign = 1.0 if frames.objective.mode == "max" else -1.0
    gains = np.array([sign * (b[key] - a[key]) for key in shared], np.float64)
    better, worse = int((gains > 0).sum()), int((gains < 0).sum())
    return {
        "same": len(shared),
        "better": better,
        "equal": len(shared) - better - worse,
        "worse": worse,
        "gain": float(np.median(gains)) if len(gains) else math.nan,
        "p": sign_test(better, worse),
    }


def _by_config(frames: Frames, run: str) -> dict[str, float]:
    """The finite objectives of a run's trials by what they were given."""
    trials = frames.trials[frames.trials["run"] == run]
    budgets = {stage.name: stage.epochs for stage in frames.sweeps[run].stages}
    given = zip(configs_of(trials, frames.sweeps[run].space), trials["stage"], trials["seed"], strict=True)
    keys = [json.dumps([config, budgets[stage], int(seed)], sort_keys=True) for config, stage, seed in given]
    values = _values(trials, frames.objective).tolist()
    return {key: value for key, value in zip(keys, values, strict=True) if math.isfinite(value)}


def sign_test(better: int, worse: int) -> float:
    """The probability that a fair coin falls at least so one-sidedly, to either side; 1 for no throw."""
    throws, fewer = better + worse, min(better, worse)
    log = [_log_choose(throws, k) - throws * math.log(2) for k in range(fewer + 1)]
    return min(1.0, 2 * math.fsum(math.exp(each) for each in log))


def _log_choose(n: int, k: int) -> float:
    """The logarithm of the number of ways to choose k of n."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _values(trials: pd.DataFrame, objective: Objective) -> Floats:
    """(n,) the objective of each trial; NaN where it was never reported."""
    if objective.metric not in trials:
        return np.full(len(trials), math.nan)
    return trials[objective.metric].to_numpy(np.float64)


def _sentence(run: object, row: dict[Any, Any], metric: str) -> str:
    """One run in words."""
    found = f"best {metric} {row['best']:.6g} ({row['stage']}/{row['trial']}), median {row['median']:.6g}"
    ended = f"{show_count(row['trials'], 'trial')}, {row['epochs']:,} epochs"
    return f"{run}: {found if math.isfinite(row['best']) else f'no finite {metric}'}; {ended}"


def _paired(other: str, first: str, row: dict[Any, Any], metric: str) -> str:
    """Two runs in words."""
    if not row["same"]:
        return f"{other} and {first} have no trial of the same config, seed and budget: only their bests compare"
    counts = f"better in {row['better']}, equal in {row['equal']}, worse in {row['worse']} of {row['same']:,}"
    sure = "more than chance" if row["p"] < 0.05 else "no more than chance may do"
    return (
        f"{other} against {first}, same config and seed: {counts}, median gain in {metric} {row['gain']:.3g}: "
        f"{sure} (sign test, p = {row['p']:.2g})"
    )
