"""The tables of a run as frames, at any moment, also while it runs; and of several runs side by side."""

from __future__ import annotations

import html
import json
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sweeps.errors import UsageError
from sweeps.objective import Objective
from sweeps.outcome import region_from
from sweeps.reading import Run
from sweeps.regions import Region
from sweeps.settings import CONFIRM, Settings
from sweeps.space import Choice, Columns, Config, Parameter, Range, Space, Value, config_at
from sweeps.wording import show_count

_TABLES = (
    "trials",
    "reports",
    "stages",
    "attempts",
)  # reports are stored before their trials, so trials are read first
_SHOWN = 5


class TooLittle(UsageError):
    """There is too little in the frames to say or draw something; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Frames:
    """A run in pandas, or several: then each frame starts with the column `run`.

    Attributes:
        trials: One row per ended trial: stage, trial, status, reason, epochs, best_epoch, seed, each parameter, and
            each metric at the trial's best epoch.
        reports: One row per trial and epoch: stage, trial, epoch, each metric.
        stages: One row per ended stage: its region as JSON, the evidence for it, counts by status, its best trial.
        attempts: One row per try at running a trial: when, where, how it ended.
        sweeps: The settings of each run, by its name.
    """

    trials: pd.DataFrame
    reports: pd.DataFrame
    stages: pd.DataFrame
    attempts: pd.DataFrame
    sweeps: Mapping[str, Settings] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The settings of the one run that was loaded.

        Raises:
            UsageError: There are several.
        """
        if len(self.sweeps) != 1:
            raise UsageError(f"this is about one run, and there are {len(self.sweeps)}: load one")
        return next(iter(self.sweeps.values()))

    @property
    def objective(self) -> Objective:
        """What is optimised; the runs agree on it, or were not loaded together."""
        return next(iter(self.sweeps.values())).objective

    @property
    def regions(self) -> dict[str, Region]:
        """Where each stage of the one run that was loaded drew, and the evidence for it."""
        rows = self.stages.to_dict("records")
        return {row["stage"]: region_from({str(k): v for k, v in row.items()}, self.settings.space) for row in rows}

    def best(self, count: int) -> pd.DataFrame:
        """The best rows of `trials`, best first; ties go to the earliest, and what is not finite is left out.

        Those that a search has confirmed come first, in the order of `confirmed`, and their repetitions not at all.
        """
        metric, first = self.objective.metric, self.confirmed.index
        if metric not in self.trials:
            return self.trials.head(0)
        rest = self._ranked(self.trials if first.empty else self.trials[~self._repeats].drop(first), count)
        return rest if first.empty else pd.concat([self.trials.loc[first], rest]).head(count)

    @property
    def confirmed(self) -> pd.DataFrame:
        """What the configs came to that a search trained again with new seeds, best first: mean, spread, seeds.

        The index is that of the row of `trials` that was trained again; `spread` is the standard deviation.
        """
        again, metric = self._repeats, self.objective.metric
        if not again.any() or metric not in self.trials:
            return pd.DataFrame(columns=["mean", "spread", "seeds"])
        keys = [
            name for name in self.trials if name == "run" or any(name in s.space.names for s in self.sweeps.values())
        ]
        configs = self.trials.groupby(keys, dropna=False).ngroup()
        values = self.trials[metric].where(np.isfinite(self.trials[metric]))
        told = values[again].to_frame().groupby(configs[again])[metric].agg(["mean", "std", "count"])
        told = told.set_axis(["mean", "spread", "seeds"], axis=1).query("seeds > 0")
        born = configs[self._ranked(self.trials[~again], len(self.trials)).index].drop_duplicates()
        born = born[born.isin(told.index)]
        order = np.argsort(self.objective.scores(told["mean"].loc[born].to_numpy(np.float64)), kind="stable")
        return told.loc[born].set_axis(born.index).iloc[order]

    @property
    def _repeats(self) -> pd.Series[bool]:
        """Whether a trial trains the config of another one again, to confirm it."""
        searches = [name for name, settings in self.sweeps.items() if settings.search is not None]
        if not searches:
            return pd.Series(False, self.trials.index)
        again = self.trials["stage"] == CONFIRM
        return again & self.trials["run"].isin(searches) if "run" in self.trials else again

    def _ranked(self, trials: pd.DataFrame, count: int) -> pd.DataFrame:
        """The best of some trials by what each of them reached."""
        scores = self.objective.scores(trials[self.objective.metric].to_numpy(np.float64))
        order = np.argsort(scores, kind="stable")[:count]
        return trials.iloc[order[np.isfinite(scores[order])]]

    @property
    def best_params(self) -> Config:
        """The best config, without parameters that are not active in it: `train(**frames.best_params, ...)`.

        Raises:
            UsageError: No trial has a finite objective yet.
        """
        best = self.best(1)
        if best.empty:
            raise UsageError(f"no trial has reported a finite {self.objective.metric} yet")
        settings = self.sweeps[best["run"].iloc[0]] if "run" in best else self.settings
        return configs_of(best, settings.space)[0]

    def curves(self, metric: str | None = None, trials: pd.DataFrame | None = None) -> pd.DataFrame:
        """A metric by epoch: one row per epoch, one column per trial (named stage, trial), ready to `.plot()`.

        Args:
            metric: Its name; the objective by default.
            trials: Rows of `trials` whose curves are wanted, such as `frames.best(5)`; all by default.

        Raises:
            UsageError: No trial has reported such a metric.
        """
        metric = metric or self.objective.metric
        keys = [name for name in ("run", "stage", "trial") if name in self.reports]
        if metric not in self.reports or metric in (*keys, "epoch"):
            raise UsageError(f"no trial has reported {metric!r}")
        rows = self.reports if trials is None else self.reports.merge(trials[keys], on=keys)
        return rows.set_index(["epoch", *keys])[metric].unstack(keys)

    def _repr_html_(self) -> str:
        """How many trials ended how, and the best of them, for a notebook."""
        counts = ", ".join(f"{n:,} {status}" for status, n in self.trials["status"].value_counts().items())
        runs = ", ".join(self.sweeps)
        head = f"{runs}: {show_count(len(self.trials), 'trial')}" + (f" ({counts})" if counts else "")
        return f"<p>{html.escape(head)}</p>{self.best(_SHOWN).to_html(index=False, max_cols=20)}"


def load(*runs: str | pathlib.Path) -> Frames:
    """The frames of a run, or of several with a column `run` in front; while a run goes on, of what has ended.

    Args:
        runs: Their folders.

    Raises:
        UsageError: A folder holds no run, a file in it is damaged, or the runs optimise different things.
    """
    if not runs:
        raise UsageError("load the folder of a run, such as load('runs/sweep')")
    opened = [Run(pathlib.Path(run)) for run in runs]
    if len({run.settings.objective for run in opened}) > 1:
        found = ", ".join(f"{run.folder} {run.settings.objective.metric}" for run in opened)
        raise UsageError(f"these runs do not optimise the same thing: {found}")
    if len(opened) == 1:
        return Frames(**_tables(opened[0]), sweeps={opened[0].folder.resolve().name: _settings(opened[0])})
    names = [run.folder.resolve().name for run in opened]
    names = [name if names.count(name) == 1 else str(run.folder) for name, run in zip(names, opened, strict=True)]
    if len(set(names)) < len(names):
        raise UsageError("the same run is given twice")
    tables = {name: _tables(run) for name, run in zip(names, opened, strict=True)}
    whole = {
        table: pd.concat({name: frames[table] for name, frames in tables.items()}, names=["run"])
        .reset_index("run")
        .reset_index(drop=True)
        for table in _TABLES
    }
    return Frames(**whole, sweeps={name: _settings(run) for name, run in zip(names, opened, strict=True)})


def configs_of(trials: pd.DataFrame, space: Space) -> list[Config]:
    """The config of each row of `trials`: values as they were declared, without what is not active."""
    columns = columns_of(trials, space)
    return [config_at(columns, i) for i in range(len(trials))]


def columns_of(trials: pd.DataFrame, space: Space) -> Columns:
    """The values of each parameter in the rows of `trials`, as they were declared; None where it is not active."""
    return {name: declared(parameter, trials[name]) for name, parameter in space.parameters.items()}


def declared(parameter: Parameter, column: pd.Series[Any]) -> list[Value]:
    """A parameter's column as the trainer got it: whole numbers whole, choices as declared, None where not active."""
    stored = [None if pd.isna(value) else value for value in column.tolist()]
    if isinstance(parameter, Range):
        kind = int if parameter.integer else float
        return [None if value is None else kind(value) for value in stored]
    known = parameter.values if isinstance(parameter, Choice) else (parameter.value,)
    texts = all(isinstance(value, str) for value in known)
    native = {value if texts else json.dumps(value, sort_keys=True): value for value in known}
    native |= {} if texts else {value: value for value in known if isinstance(value, bool | int | float)}
    return [None if value is None else native.get(value, value) for value in stored]


def _settings(run: Run) -> Settings:
    """The settings once its tables are read: a running search goes on deciding on stages while they are."""
    return run.settings if run.settings.search is None else Run(run.folder).settings


def _tables(run: Run) -> dict[str, pd.DataFrame]:
    """The four tables at one moment: every trial with all its reports, and no report without its trial."""
    for _ in range(3):  # a stage that ends while we read is gone for a moment, first from one table, then from the next
        tables = {name: run.table(name).to_pandas() for name in _TABLES}
        trials, reports = tables["trials"], tables["reports"]
        if len(reports) > trials["epochs"].sum():  # more trials ended, or went on, after theirs were read
            tables["reports"] = reports = _told(reports, trials)
        if len(reports) == trials["epochs"].sum():
            went_on = tables["stages"].get("continued", pd.Series(dtype=object)).dropna().map(len).any()
            return {name: _in_order(table, run) for name, table in tables.items()} if went_on else tables
    raise UsageError(f"{run.folder} keeps changing: try again")


def _told(reports: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The reports up to the end of each trial that has one: a trial that goes on has an end when its stage does."""
    keys, last = ["stage", "trial"], "last epoch of the trial"
    told = reports.merge(trials[[*keys, "epochs"]].rename(columns={"epochs": last}), on=keys)
    return told[told["epoch"] <= told[last]].drop(columns=last).reset_index(drop=True)


def _in_order(table: pd.DataFrame, run: Run) -> pd.DataFrame:
    """A table by stage, trial and epoch: what a trial did in a later stage is stored with that stage."""
    places = {stage.name: number for number, stage in enumerate(run.settings.stages)}
    keys = [name for name in ("trial", "epoch", "attempt") if name in table]
    return table.sort_values(["stage", *keys], key=lambda each: each.map(places) if each.name == "stage" else each,
                             kind="stable", ignore_index=True)  # fmt: skip
