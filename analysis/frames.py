"""The four tables of a run as frames, at any moment, also while it runs."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

import pandas as pd

from sweeps.reading import Run


@dataclass(frozen=True, slots=True)
class Frames:
    """A run in pandas.

    Attributes:
        trials: One row per ended trial: stage, trial, status, reason, epochs, best_epoch, seed, each parameter, and
            each metric at the trial's best epoch.
        reports: One row per trial and epoch: stage, trial, epoch, each metric.
        stages: One row per stage: its region as JSON, the evidence for it, counts by status, its best trial.
        attempts: One row per try at running a trial: when, where, how it ended.
    """

    trials: pd.DataFrame
    reports: pd.DataFrame
    stages: pd.DataFrame
    attempts: pd.DataFrame


def load(run: str | pathlib.Path) -> Frames:
    """The frames of a run.

    Args:
        run: Its folder.

    Raises:
        UsageError: The folder holds no run, or a file in it is damaged.
    """
    opened = Run(pathlib.Path(run))
    frames = {name: opened.table(name).to_pandas() for name in ("trials", "reports", "stages", "attempts")}
    return Frames(**frames)
