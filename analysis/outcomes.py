"""A stage as its findings see it: where it searched, and what it found there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.frames import Frames, columns_of
from sweeps.objective import Objective
from sweeps.outcome import region_from
from sweeps.regions import Observed, Region
from sweeps.settings import Settings, StageSettings
from sweeps.space import Flags, Floats
from workers.messages import Status


@dataclass(frozen=True, eq=False)
class Outcome:
    """A stage that has results.

    Attributes:
        stage: The stage as it was asked for.
        region: Where it searched.
        trials: Its n rows of the `trials` table, by trial.
        observed: The same as `regions.fit` sees it.
        objective: What is optimised.
    """

    stage: StageSettings
    region: Region
    trials: pd.DataFrame
    observed: Observed
    objective: Objective

    @property
    def name(self) -> str:
        """Name of the stage."""
        return self.stage.name

    @property
    def scores(self) -> Floats:
        """(n,) lower is better; infinite where nothing finite was reported."""
        return self.observed.scores

    @property
    def finite(self) -> Flags:
        """(n,) whether a trial has a finite objective."""
        return np.isfinite(self.scores)

    @property
    def best(self) -> float:
        """The best value of the objective; NaN where there is none."""
        return self.value(float(np.min(self.scores[self.finite]))) if self.finite.any() else float("nan")

    def value(self, score: float) -> float:
        """A score as a value of the objective."""
        return -score if self.objective.mode == "max" else score


def outcomes(frames: Frames, settings: Settings) -> list[Outcome]:
    """The stages that have results, in the order of the plan."""
    rows = {row["stage"]: row for row in frames.stages.to_dict("records")} if len(frames.stages) else {}
    found = []
    region = Region(settings.space)
    for stage in settings.stages:
        trials = frames.trials[frames.trials["stage"] == stage.name].sort_values("trial")
        if stage.name in rows:
            region = region_from({str(key): value for key, value in rows[stage.name].items()}, settings.space)
        if len(trials):
            found.append(Outcome(stage, region, trials, _observed(trials, settings), settings.objective))
    return found


def together(stages: list[Outcome], settings: Settings) -> Outcome:
    """The stages of a search as one, over the whole space: each is too small to say something alone."""
    trials = pd.concat([each.trials for each in stages])
    whole = replace(stages[0].stage, name="the search", trials=len(trials))
    return Outcome(whole, Region(settings.space), trials, _observed(trials, settings), settings.objective)


def _observed(trials: pd.DataFrame, settings: Settings) -> Observed:
    """What `regions.fit` sees of these trials."""
    metric = settings.objective.metric
    values = trials[metric].to_numpy(np.float64) if metric in trials else np.full(len(trials), np.nan)
    diverged = (trials["status"] == Status.STOPPED.word).to_numpy()
    return Observed(columns_of(trials, settings.space), settings.objective.scores(values), diverged)
