"""Pictures over time: how the best came about, how trials learned, whether the slots were busy."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.frames import Frames, TooLittle
from analysis.style import DIVERGED, DIVERGES, QUIET, STAGES, axis_of, blank, padded, span, text, thinned
from sweeps.space import Floats
from sweeps.wording import show_count

_UNITS = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
_BINS = 200
_LEAST = 10


def best_so_far(frames: Frames, over: str = "trials") -> go.Figure:
    """The best objective against how many trials had ended, or against the time since the first one began.

    Args:
        frames: A run.
        over: "trials" or "time".

    Raises:
        TooLittle: No trial has a finite objective.
    """
    metric, objective = frames.objective.metric, frames.objective
    ended = _ended(frames)
    scores = objective.scores(ended[metric].to_numpy(np.float64)) if metric in ended else np.array([])
    if not np.isfinite(scores).any():
        raise TooLittle(f"no trial has reported a finite {metric} yet")
    so_far = np.minimum.accumulate(scores)
    steps = np.flatnonzero(np.isfinite(so_far) & (np.diff(so_far, prepend=np.inf) < 0))
    shown = np.unique([*steps, len(ended) - 1])
    seconds, unit = _unit(float(ended["seconds"].iloc[-1]))
    across = shown + 1 if over == "trials" else ended["seconds"].to_numpy()[shown] / seconds
    values = -so_far[shown] if objective.mode == "max" else so_far[shown]
    title = "trials ended" if over == "trials" else unit
    figure = blank(
        {"title": {"text": title}, "rangemode": "tozero"}, axis_of(metric, None), height=320, showlegend=False
    )
    figure.add_scatter(
        x=across.tolist(),
        y=values.tolist(),
        mode="lines+markers",
        line={"shape": "hv", "color": STAGES[0], "width": 2},
        marker={"size": 5},
        text=[
            f"{text(row.stage)}/{row.trial}  {value:.6g}"
            for row, value in zip(ended.iloc[shown].itertuples(), values, strict=True)
        ],
        hoverinfo="text",
    )
    return figure


def learning_curves(frames: Frames, metric: str | None = None, best: int = 5, most: int = 200) -> go.Figure:
    """A metric by epoch: the best trials bold, what was stopped cut at a cross, the others thin behind.

    Each point's `customdata` is its trial's row in `frames.trials`.

    Args:
        frames: A run.
        metric: Which; the objective by default.
        best: How many are bold.
        most: How many curves are drawn at most.

    Raises:
        TooLittle: Nothing has reported the metric.
    """
    metric = metric or frames.objective.metric
    if metric not in frames.reports or not frames.reports[metric].notna().any():
        raise TooLittle(f"no trial has reported {metric} yet")
    rows = thinned(frames, most)
    places = frames.trials.index.get_indexer(rows.index)
    reports = frames.reports.merge(rows[["stage", "trial", "status"]].assign(row=places), on=["stage", "trial"])
    stopped = reports["status"] == DIVERGES
    ends = span(reports.loc[stopped if stopped.all() else ~stopped, metric])
    figure = blank({"title": {"text": "epoch"}}, axis_of(metric, None) | {"range": padded(ends)}, height=360)
    _curves(figure, reports[~stopped], metric, "others", {"color": QUIET, "width": 0.7})
    _curves(figure, reports[stopped], metric, "stopped", {"color": DIVERGED, "width": 1})
    cuts = reports[stopped & reports[metric].notna()].groupby(["stage", "trial"], sort=False).tail(1)
    figure.add_scatter(
        x=cuts["epoch"].tolist(),
        y=cuts[metric].tolist(),
        customdata=cuts["row"].tolist(),
        mode="markers",
        marker={"symbol": "x-thin", "size": 8, "line": {"width": 2, "color": DIVERGED}},
        text=[f"{text(row.stage)}/{row.trial}" for row in cuts.itertuples()],
        hoverinfo="text",
        showlegend=False,
    )
    for row, color in zip(frames.best(best).itertuples(), itertools.cycle(STAGES), strict=False):
        mine = reports[(reports["stage"] == row.stage) & (reports["trial"] == row.trial)]
        _curves(figure, mine, metric, f"{text(row.stage)}/{row.trial}", {"color": color, "width": 2.5})
    return figure


def agreement(frames: Frames) -> go.Figure:
    """The longer trials by what a coarse budget would have shown and what they came to.

    Raises:
        TooLittle: Fewer than ten trials outlived the first stage's budget.
    """
    early, late = short_and_long(frames)
    low, high = span(np.r_[early, late]) or (0.0, 1.0)
    metric, short = text(frames.objective.metric), short_budget(frames)
    ends = {"range": padded((low, high))}
    figure = blank(
        {"title": {"text": f"{metric} after {show_count(short, 'epoch')}"}, **ends},
        {"title": {"text": f"{metric} in the end"}, **ends},
        height=380,
        showlegend=False,
    )
    figure.add_scatter(
        x=[low, high], y=[low, high], mode="lines", line={"color": QUIET, "dash": "dot"}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=early.tolist(),
        y=late.tolist(),
        mode="markers",
        marker={"color": STAGES[0], "size": 8, "opacity": 0.8},
        text=[f"{text(stage)}/{trial}" for stage, trial in early.index],
        hoverinfo="text",
    )
    return figure


def short_and_long(frames: Frames) -> tuple[pd.Series[float], pd.Series[float]]:
    """The best objective within the short budget, and in the end, of the trials that outlived it.

    They are those of later stages, and those of the first one that went on in a later one.

    Raises:
        TooLittle: There are fewer than ten.
    """
    short, objective = short_budget(frames), frames.objective
    reports, keys = frames.reports, ["stage", "trial"]
    if objective.metric in reports:
        reports = reports[np.isfinite(reports[objective.metric])]
    longer = reports.loc[reports["epoch"] > short, keys].drop_duplicates()
    if len(longer) < _LEAST:
        raise TooLittle(
            f"{_LEAST} trials must outlive the first {show_count(short, 'epoch')} to compare the two budgets; "
            f"{len(longer)} did"
        )
    reports = reports.merge(longer, on=keys)
    best = "max" if objective.mode == "max" else "min"
    late = reports.groupby(keys)[objective.metric].agg(best)
    early = reports[reports["epoch"] <= short].groupby(keys)[objective.metric].agg(best)
    return early, late.loc[early.index]


def short_budget(frames: Frames) -> int:
    """The epochs after which trials are first compared: those of the first stage, or the first rung of a search."""
    search = frames.settings.search
    return frames.settings.stages[0].epochs if search is None else search.layout(frames.settings.space).rungs[0]


def utilisation(frames: Frames) -> go.Figure:
    """How many slots were busy over time, of all that ever were.

    Raises:
        TooLittle: No attempt has ended.
    """
    begun, done, slots = _attempts(frames)
    edges = np.linspace(0.0, done.max(), _BINS + 1)
    busy = np.diff(_busy_until(begun, done, edges)) / np.diff(edges)
    seconds, unit = _unit(float(done.max()))
    figure = blank(
        {"title": {"text": unit}},
        {"title": {"text": "busy slots"}, "range": [0, slots * 1.08]},
        height=260,
        showlegend=False,
    )
    figure.add_scatter(
        x=(edges / seconds).tolist(),
        y=[*busy.tolist(), 0.0],
        mode="lines",
        line={"shape": "hv", "color": STAGES[0], "width": 1.5},
        fill="tozeroy",
        hoverinfo="x+y",
    )
    figure.add_hline(y=slots, line={"color": QUIET, "dash": "dash", "width": 1})
    return figure


def busy_share(frames: Frames) -> float:
    """Share of slot time in which a trial ran, from the first trial's start to the last one's end.

    Raises:
        TooLittle: No attempt has ended.
    """
    begun, done, slots = _attempts(frames)
    return float((done - begun).sum() / (slots * done.max()))


def _attempts(frames: Frames) -> tuple[Floats, Floats, int]:
    """Start and end of every attempt in seconds since the first start, and how many slots there were."""
    attempts = frames.attempts.dropna(subset=["started", "seconds"])
    begun = (attempts["started"] - attempts["started"].min()).dt.total_seconds().to_numpy(np.float64)
    done = begun + attempts["seconds"].to_numpy(np.float64)
    if attempts.empty or not done.max() > 0:
        raise TooLittle("no attempt has ended yet")
    return begun, done, len(attempts[["host", "slot"]].drop_duplicates())


def _busy_until(begun: Floats, done: Floats, times: Floats) -> Floats:
    """Seconds of trials that had run by each time."""

    def past(starts: Floats) -> Floats:
        starts = np.sort(starts)
        sums = np.r_[0.0, np.cumsum(starts)]
        before = np.searchsorted(starts, times)
        waited: Floats = times * before - sums[before]
        return waited

    return past(begun) - past(done)


def _ended(frames: Frames) -> pd.DataFrame:
    """The trials in the order in which they ended, with the `seconds` since the first start."""
    tries = frames.attempts.assign(
        seconds=(frames.attempts["started"] - frames.attempts["started"].min()).dt.total_seconds()
        + frames.attempts["seconds"]
    )
    last = tries.groupby(["stage", "trial"], sort=False)["seconds"].max().reset_index()
    ended = frames.trials.merge(last, on=["stage", "trial"], how="left")
    return ended.sort_values("seconds", kind="stable", na_position="first")


def _curves(figure: go.Figure, reports: pd.DataFrame, metric: str, name: str, line: dict[str, Any]) -> None:
    """Draw curves as one trace, a gap between two trials."""
    if reports.empty:
        return
    trials = reports.groupby(["stage", "trial"], sort=False).ngroup().to_numpy()
    cuts = np.flatnonzero(np.diff(trials)) + 1

    def gapped(column: str) -> list[Any]:
        values = np.insert(reports[column].to_numpy(np.float64), cuts, np.nan)
        return [None if not math.isfinite(value) else value for value in values.tolist()]

    figure.add_scatter(
        x=gapped("epoch"),
        y=gapped(metric),
        customdata=gapped("row"),
        mode="lines" if len(reports) > len(cuts) + 1 else "markers",
        line=line,
        name=name,
        opacity=0.6 if line["width"] <= 1 else 1,
        hoverinfo="y" if name in ("others", "stopped") else "y+name",
    )


def _unit(seconds: float) -> tuple[float, str]:
    """The unit in which a duration is drawn."""
    return next((unit for unit in _UNITS if seconds >= 3 * unit[0]), _UNITS[-1])
