"""Precision and recall of every finding, on curves that the rules were not tuned on.

    .venv/bin/python benchmarks/diagnosis.py [FIRST_SEED] [SEEDS]

The rules were tuned on seeds 0 to 59; the table of docs/diagnosis.md is of seeds 200 to 259. Ten minutes on two cores.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from multiprocessing import Pool

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # the networks are small

import numpy as np
import pandas as pd
from corpus import METRICS, Case, draw, train
from labels import NO, UNCLEAR, YES, labels

from analysis.diagnosis import RULES, trial_findings
from analysis.findings import PROBLEM
from analysis.frames import Frames
from sweeps.rules import BlowUp, NonFinite

FIRST, SEEDS = 200, 60
TOO_HIGH = ["diverged", "high plateau", "loss rising", "noisy"]  # findings that all advise a lower rate


def frames_of(case: Case, runs: Mapping[str, np.ndarray]) -> Frames:
    """The runs as a sweep would have stored them: cut at the budget, or where a rule stops them."""
    trials, reports = [], []
    for kind, grid in runs.items():
        for rung, run in enumerate(grid):
            seen: list[dict[str, float]] = []
            reason = None
            for values in run[: case.epochs]:
                seen.append(dict(zip(METRICS, values.tolist(), strict=True)))
                reason = NonFinite().judge(seen) or BlowUp("loss", 3.0).judge(seen)
                if reason:
                    break
            key = {"stage": kind, "trial": rung}
            status = "stopped" if reason else "completed"
            trials.append({**key, "status": status, "reason": reason, "epochs": len(seen)})
            reports += [{**key, "epoch": i + 1, **report} for i, report in enumerate(seen)]
    return Frames(pd.DataFrame(trials), pd.DataFrame(reports), pd.DataFrame(), pd.DataFrame())


def judged(seed: int, runs: Mapping[str, np.ndarray]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The labels of a case's trials, and what the diagnosis says of them: a column of flags per finding.

    The diagnosis is not told the number of classes, as in a report, but for the initial loss.
    """
    case = draw(seed)
    frames = frames_of(case, runs)
    stopped = {kind: (part["status"] == "stopped").to_numpy() for kind, part in frames.trials.groupby("stage")}
    truth = labels(seed, case, runs, stopped)
    found = trial_findings(frames, metric="val_acc", mode="max")
    told = trial_findings(frames, metric="val_acc", mode="max", classes=round(math.exp(case.chance)))
    found = pd.concat([found, told[told["finding"] == "initial loss"]])
    said = pd.crosstab([found["stage"], found["trial"]], found["finding"]) > 0
    said.index = pd.MultiIndex.from_tuples([(seed, *key) for key in said.index], names=truth.index.names)
    return truth, said.reindex(truth.index, fill_value=False)


def table(truth: pd.DataFrame, said: pd.DataFrame) -> pd.DataFrame:
    """A row per finding: clear cases, precision, recall, and how many could not be called."""
    said = said.reindex(columns=[rule.name for rule in RULES if rule.name in truth], fill_value=False).fillna(False)
    columns = {name: said[name].astype(bool) for name in said}
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
                "precision": right / max(right + wrong, 1),
                "recall": right / max(int(yes.sum()), 1),
                "of healthy": float(flags[truth["healthy"] == YES].mean()),
            }
        )
    return pd.DataFrame(rows).set_index("finding")


def of_seed(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels and findings of a case, trained here and now."""
    return judged(seed, train(seed))


def show(truth: pd.DataFrame, said: pd.DataFrame) -> None:
    """Print the table as the docs have it."""
    print("| finding | clear cases | clearly none | unclear | precision | recall | said of healthy |")
    print("|---|---|---|---|---|---|---|")
    for name, row in table(truth, said).iterrows():
        counts = " | ".join(f"{int(row[key]):,}" for key in ("clear cases", "clearly none", "unclear"))
        print(f"| {name} | {counts} | {row['precision']:.2f} | {row['recall']:.2f} | {row['of healthy']:.1%} |")
    healthy = truth["healthy"] == YES
    problems = said.reindex(columns=[rule.name for rule in RULES if rule.severity == PROBLEM], fill_value=False)
    share = problems.fillna(False).astype(bool).any(axis=1)[healthy].mean()
    print(f"\n{len(truth):,} trials, {int(healthy.sum())} of them healthy; a problem is found in {share:.1%} of these")


def main() -> None:
    """Train, diagnose, compare."""
    first = int(sys.argv[1]) if len(sys.argv) > 1 else FIRST
    count = int(sys.argv[2]) if len(sys.argv) > 2 else SEEDS
    with Pool(2) as pool:
        pairs = pool.map(of_seed, range(first, first + count), chunksize=1)
    show(pd.concat([truth for truth, _ in pairs]), pd.concat([said for _, said in pairs]))


if __name__ == "__main__":
    main()
