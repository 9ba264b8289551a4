"""Precision and recall of every finding, on curves that the rules were not tuned on.

    .venv/bin/python benchmarks/diagnosis.py [FIRST_SEED] [SEEDS] [FOLDER]

The rules were tuned on seeds 0 to 59 and 100 to 159; the tables of docs/diagnosis.md are of seeds 400 to 459, and of
an eighth as many that torch trains. Everything is trained twice: half an hour of processor time; FOLDER keeps the
trainings, and the next time takes a minute.
"""

from __future__ import annotations

import importlib.util
import math
import os
import pathlib
import sys
from collections.abc import Mapping
from functools import partial
from multiprocessing import Pool

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # the networks are small

import numpy as np
import pandas as pd
from corpus import AGAIN, METRICS, TORCH, Case, draw, train
from labels import NO, UNCLEAR, YES, agreed, labels, outcomes

from analysis.diagnosis import RULES, trial_findings
from analysis.findings import PROBLEM
from analysis.frames import Frames
from sweeps.rules import BlowUp, NonFinite

FIRST, SEEDS = 400, 60
TOO_HIGH = ["diverged", "high plateau", "loss rising"]  # findings that advise a lower rate, before all else
DATA = ("few", "noise", "unscaled")  # kinds that differ in their data, as the trials of one sweep never do
_FAR = 1000  # rungs of a kind, in the number of a trial


def frames_of(case: Case, runs: Mapping[str, np.ndarray]) -> Frames:
    """The runs as a sweep would have stored them: cut at the budget, or where a rule stops them.

    Networks of all sizes and depths are one stage, as a sweep over these would have them.
    """
    trials, reports = [], []
    for number, (kind, grid) in enumerate(runs.items()):
        for rung, run in enumerate(grid):
            seen: list[dict[str, float]] = []
            reason = None
            for values in run[: case.epochs]:
                seen.append(dict(zip(METRICS, values.tolist(), strict=True)))
                reason = NonFinite().judge(seen) or BlowUp("loss", 3.0).judge(seen)
                if reason:
                    break
            key = {"stage": kind if kind in DATA else "networks", "trial": number * _FAR + rung}
            status = "stopped" if reason else "completed"
            told = {"status": status, "reason": reason, "epochs": len(seen), "kind": kind, "rung": rung}
            trials.append({**key, **told})
            reports += [{**key, "epoch": i + 1, **report} for i, report in enumerate(seen)]
    return Frames(pd.DataFrame(trials), pd.DataFrame(reports), pd.DataFrame(), pd.DataFrame())


def judged(
    seed: int, runs: Mapping[str, np.ndarray], again: Mapping[str, np.ndarray]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The labels of a case's trials, and what the diagnosis says of them with and without `update_ratio`.

    The diagnosis sees the first training only. It is not told the number of classes, as in a report, but for the
    initial loss.

    Args:
        seed: Of the case.
        runs: By kind, as they were trained first.
        again: By kind, as they were trained the second time.
    """
    case = draw(seed)
    frames = frames_of(case, runs)
    truth = agreed(_labels(seed, seed, case, runs), _labels(seed, seed + AGAIN, case, again))
    bare = Frames(frames.trials, frames.reports.drop(columns="update_ratio"), frames.stages, frames.attempts)
    return truth, *(_said(seed, case, each).reindex(truth.index, fill_value=False) for each in (frames, bare))


def _labels(seed: int, luck: int, case: Case, runs: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The labels of a case's trials by one training."""
    trials = frames_of(case, runs).trials
    stopped = {kind: (part["status"] == "stopped").to_numpy() for kind, part in trials.groupby("kind")}
    return labels(outcomes(seed, luck, case, runs, stopped))


def _said(seed: int, case: Case, frames: Frames) -> pd.DataFrame:
    """A row per trial with findings, a column of flags per finding."""
    found = trial_findings(frames, metric="val_acc", mode="max")
    told = trial_findings(frames, metric="val_acc", mode="max", classes=round(math.exp(case.chance)))
    found = pd.concat([found, told[told["finding"] == "initial loss"]])
    found = found.merge(frames.trials[["stage", "trial", "kind", "rung"]], on=["stage", "trial"])
    said = pd.crosstab([found["kind"], found["rung"]], found["finding"]) > 0
    said.index = pd.MultiIndex.from_tuples([(seed, *key) for key in said.index], names=["seed", "kind", "rung"])
    return said


def table(truth: pd.DataFrame, said: pd.DataFrame) -> pd.DataFrame:
    """A row per finding: clear cases, precision, recall, and how many could not be called."""
    said = said.reindex(columns=[rule.name for rule in RULES if rule.name in truth]).fillna(False).astype(bool)
    columns = {name: said[name] for name in said}
    columns["lr too high"] = said[TOO_HIGH].any(axis=1)
    rows = []
    for name, flags in columns.items():
        yes, no = truth[name] == YES, truth[name] == NO
        right, wrong = int((flags & yes).sum()), int((flags & no).sum())
        rows.append(
            {
                "finding": name,
                "clear cases": int(yes.sum()),
                "clearly none": int(no.sum()),
                "unclear": int((truth[name] == UNCLEAR).sum()),
                "precision": right / (right + wrong) if right + wrong else math.nan,
                "recall": right / int(yes.sum()) if yes.any() else math.nan,
                "of healthy": float(flags[truth["healthy"] == YES].mean()),
            }
        )
    return pd.DataFrame(rows).set_index("finding")


def of_seed(folder: pathlib.Path | None, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Labels and findings of a case, trained here and now unless the folder has it."""
    return judged(seed, _runs(folder, seed, seed), _runs(folder, seed, seed + AGAIN))


def _runs(folder: pathlib.Path | None, seed: int, luck: int) -> Mapping[str, np.ndarray]:
    """One training of a case."""
    path = None if folder is None else folder / f"{seed}-{luck}.npz"
    if path is not None and path.is_file():
        return dict(np.load(path))
    runs = train(seed, luck)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **runs)
    return runs


def show(title: str, found: list[tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]]) -> None:
    """Print a table as the docs have it; in brackets what is without `update_ratio`, where that differs."""
    truth, said, bare = (pd.concat(each) for each in zip(*found, strict=True))
    print(f"\n{title}\n\n| finding | clear cases | clearly none | unclear | precision | recall | said of healthy |")
    print("|---|---|---|---|---|---|---|")
    without = table(truth, bare)
    for name, row in table(truth, said).iterrows():
        counts = " | ".join(f"{int(row[key]):,}" for key in ("clear cases", "clearly none", "unclear"))
        rates = []
        for key in ("precision", "recall"):
            one, other = f"{row[key]:.2f}", f"{without.loc[name, key]:.2f}"
            rates.append(one if one == other else f"{one} ({other})")
        print(f"| {name} | {counts} | {' | '.join(rates)} | {row['of healthy']:.1%} |".replace("nan", "-"))
    healthy = truth["healthy"] == YES
    problems = said.reindex(columns=[rule.name for rule in RULES if rule.severity == PROBLEM])
    share = problems.fillna(False).astype(bool).any(axis=1)[healthy].mean()
    print(f"\n{len(truth):,} trials, {int(healthy.sum())} of them healthy; a problem is found in {share:.1%} of these")


def main() -> None:
    """Train, diagnose, compare."""
    given = dict(enumerate(sys.argv[1:]))
    first, count = int(given.get(0, FIRST)), int(given.get(1, SEEDS))
    folder = pathlib.Path(given[2]) if 2 in given else None
    seeds = {"the reference network": range(first, first + count)}
    if importlib.util.find_spec("torch") is None:
        print("torch is not installed: its networks are left out")
    else:
        seeds["torch"] = range(TORCH + first, TORCH + first + math.ceil(count / 8))
    with Pool(2) as pool:
        for title, some in seeds.items():
            show(title, pool.map(partial(of_seed, folder), some, chunksize=1))


if __name__ == "__main__":
    main()
