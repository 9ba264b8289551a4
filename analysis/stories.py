"""Trials one by one, each with all that is stored of it: for whoever passes them on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.frames import Frames, configs_of
from sweeps.space import Config

_KEYS = ("stage", "trial", "epoch")


@dataclass(frozen=True, slots=True)
class Story:
    """One trial.

    Attributes:
        stage: Its stage.
        trial: Its index there.
        status: How it ended.
        reason: Why, if it did not complete.
        seed: Its seed.
        config: Its config.
        value: The objective at its best epoch; None when that is not finite.
        reports: (epoch, metrics) in order; what is null or NaN is left out.
        began: When its last attempt began, seconds since 1970.
        seconds: How long that took.
    """

    stage: str
    trial: int
    status: str
    reason: str | None
    seed: int
    config: Config
    value: float | None
    reports: tuple[tuple[int, Mapping[str, float]], ...]
    began: float
    seconds: float

    @property
    def name(self) -> str:
        """`coarse-17`."""
        return f"{self.stage}-{self.trial}"

    def when(self, epoch: int) -> float:
        """When an epoch ended, seconds since 1970, if all epochs took equally long: the tables do not tell."""
        last = self.reports[-1][0] if self.reports else 1
        return self.began + self.seconds * min(epoch / last, 1.0)

    @property
    def marks(self) -> dict[str, str | int]:
        """What a trial is beside its config and metrics."""
        marks: dict[str, str | int] = {"stage": self.stage, "trial": self.trial, "seed": self.seed}
        return marks | {"status": self.status} | ({} if self.reason is None else {"reason": self.reason})


def stories(frames: Frames) -> Iterator[Story]:
    """The trials of a run, in its order."""
    metric, keys = frames.objective.metric, ["stage", "trial"]
    reports = _curves(frames.reports)
    attempts = frames.attempts.sort_values([*keys, "attempt"]).drop_duplicates(keys, keep="last")
    ran = (attempts["started"].map(pd.Timestamp.timestamp, "ignore").fillna(0.0), attempts["seconds"].fillna(0.0))
    clocks = dict(zip(zip(attempts["stage"], attempts["trial"], strict=True), zip(*ran, strict=True), strict=True))
    configs = configs_of(frames.trials, frames.settings.space)
    for row, config in zip(frames.trials.to_dict("records"), configs, strict=True):
        key = (row["stage"], row["trial"])
        began, seconds = clocks.get(key, (0.0, 0.0))
        value = row.get(metric, math.nan)
        yield Story(
            stage=row["stage"],
            trial=int(row["trial"]),
            status=row["status"],
            reason=None if pd.isna(row["reason"]) else row["reason"],
            seed=int(row["seed"]),
            config=config,
            value=float(value) if math.isfinite(value) else None,
            reports=tuple(reports.get(key, ())),
            began=began,
            seconds=seconds,
        )


def _curves(reports: pd.DataFrame) -> dict[tuple[str, int], list[tuple[int, Mapping[str, float]]]]:
    """(epoch, metrics) of each (stage, trial), in order of epochs."""
    names = [name for name in reports.columns if name not in _KEYS]
    found: dict[tuple[str, int], list[tuple[int, Mapping[str, float]]]] = {}
    columns = [reports[name].tolist() for name in (*_KEYS, *names)]
    for stage, trial, epoch, *values in zip(*columns, strict=True):
        metrics = {name: value for name, value in zip(names, values, strict=True) if not math.isnan(value)}
        found.setdefault((stage, trial), []).append((epoch, metrics))
    return found
