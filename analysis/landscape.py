"""Pictures of the space: where trials lie in it, and how good they are there."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.axes import axes, first_axes
from analysis.frames import Frames, TooLittle, declared
from analysis.importance import importance
from analysis.phases import phases
from analysis.style import (
    BEST,
    DIVERGED,
    DIVERGES,
    QUIET,
    SCALE,
    STAGES,
    SYMBOLS,
    axis_of,
    blank,
    hover,
    padded,
    span,
    text,
    thinned,
    values_on,
)
from sweeps.space import Choice, Range

MOST = 2000  #: trials in the scatter
_BUCKETS = 10
_MANY = 600  # points from here on are small
_BEST, _SHARE = 6, "sixth"


def scatter(frames: Frames, x: str | None = None, y: str | None = None, most: int = MOST) -> go.Figure:
    """Trials over two parameters, coloured by the objective, with the regions of the stages drawn in.

    Each point's `customdata` is its row in `frames.trials`, and each region's `meta` its stage, so that whoever shows
    the figure can put other columns on the axes.

    Args:
        frames: A run.
        x: A parameter or metric; the first of the two searched ranges that matter most by default.
        y: The same; the second of these, or the objective where there is one only.
        most: How many trials are drawn at most.

    Raises:
        TooLittle: No trial has ended, or has reported what is on an axis.
    """
    rows, space, objective = _ended(frames, most), frames.settings.space, frames.objective
    first = first_axes(frames)
    x, y = x or first[0], y or first[1]
    if y not in rows:  # of one parameter, the other axis is the objective
        raise TooLittle(f"no trial has reported {y} yet")
    across, up = (axis_of(name, space.parameters.get(name)) for name in (x, y))
    figure = blank(across, up, height=520)
    scored = rows[objective.metric] if objective.metric in rows else pd.Series(math.nan, rows.index)
    low, high = span(scored) or (0.0, 1.0)
    diverged = rows["status"] == DIVERGES
    bare = ~diverged & ~np.isfinite(scored.astype(float))
    graded = {
        "size": 9 if len(rows) < _MANY else 6,
        "line": {"width": 1, "color": QUIET},
        "cmin": low,
        "cmax": high,
        "colorscale": SCALE,
    }
    graded |= {"reversescale": objective.mode == "min"}
    graded |= {"colorbar": {"title": {"text": text(objective.metric), "side": "right"}, "thickness": 12}}
    groups: list[tuple[str, Any, dict[str, Any]]] = [
        ("diverged", diverged, {"symbol": "x-thin", "size": 8, "line": {"width": 2, "color": DIVERGED}}),
        ("no result", bare, {"symbol": "circle-open", "size": 8, "color": QUIET}),
    ]
    for phase, symbol in zip(phases(frames.settings), itertools.cycle(SYMBOLS), strict=False):
        mine = rows["stage"].isin(phase.stages) & ~diverged & ~bare
        groups.append((phase.name, mine, graded | {"symbol": symbol, "color": scored[mine].tolist()}))
    best = {"symbol": "circle-open", "size": 18, "line": {"width": 3}, "color": BEST}
    groups.append(("best", rows.index.isin(frames.best(1).index), best))
    for name, mine, look in groups:
        if mine.any():
            shown = rows[mine]
            figure.add_scatter(
                x=values_on(across, shown[x]),
                y=values_on(up, shown[y]),
                mode="markers",
                marker=look,
                name=text(name),
                text=hover(frames, shown),
                hoverinfo="text",
                customdata=frames.trials.index.get_indexer(shown.index).tolist(),
            )
    regions = frames.regions
    for color, phase in zip(itertools.cycle(STAGES), phases(frames.settings), strict=False):
        if phase.region is None or phase.region not in regions:
            continue
        bounds = regions[phase.region].space.parameters
        outline = _outline(bounds.get(x), bounds.get(y))
        line = {"color": color, "width": 2, "dash": "dash"}
        figure.add_scatter(
            x=outline[0],
            y=outline[1],
            mode="lines",
            line=line,
            name=f"region of {text(phase.region)}",
            hoverinfo="name",
            meta=phase.region,
        )
    return figure


def axis_plot(frames: Frames, name: str, most: int = 1000) -> go.Figure:
    """The objective over one parameter, with the best of each bucket: a peak inside says that the range will do.

    Args:
        frames: A run.
        name: A searched parameter.
        most: How many trials are drawn at most; the best of a bucket are of all of them.

    Raises:
        TooLittle: No trial has a finite objective.
    """
    metric, parameter = frames.objective.metric, frames.settings.space.parameters[name]
    scored = _scored(frames)
    rows = _ended(frames, most)
    across = axis_of(name, parameter)
    figure = blank(across, axis_of(metric, None) | {"range": padded(span(scored[metric]))}, height=300)
    for phase, color in zip(phases(frames.settings), itertools.cycle(STAGES), strict=False):
        mine = rows[rows["stage"].isin(phase.stages) & rows[metric].notna()]
        figure.add_scatter(
            x=values_on(across, mine[name]),
            y=values_on({"type": "linear"}, mine[metric]),
            mode="markers",
            marker={"color": color, "size": 6, "opacity": 0.6},
            name=text(phase.name),
            text=hover(frames, mine),
            hoverinfo="text",
        )
    best = _bucket_best(frames, scored, name)
    figure.add_scatter(
        x=values_on(across, best[name]),
        y=best[metric].tolist(),
        mode="lines+markers" if isinstance(parameter, Range) else "markers",
        line={"color": QUIET, "width": 2},
        marker={"color": QUIET, "size": 8, "symbol": "diamond"},
        name="best of each bucket",
        text=hover(frames, best),
        hoverinfo="text",
    )
    return figure


def parallel(frames: Frames, most: int = 300) -> go.Figure:
    """One line per trial through all its parameters, the best sixth in blue; a gap where one is not active.

    Raises:
        TooLittle: Fewer than two parameters are searched, or no trial has a finite objective.
    """
    searched, metric = axes(frames), frames.objective.metric
    if len(searched) < 2:
        raise TooLittle("one parameter is searched: the picture above says it all")
    scored = _scored(frames)
    rows = scored.loc[scored.index.intersection(thinned(frames, most).index)]
    places = {name: _places(frames, scored, name) for name in (*searched, metric)}
    figure = blank(
        {"range": [-0.2, len(searched) + 0.2], "showgrid": False, "tickvals": list(range(len(searched) + 1))}
        | {"ticktext": [text(name) for name in (*searched, metric)], "side": "top", "showline": False},
        {"range": [-0.06, 1.06], "visible": False},
        height=420,
        margin={"l": 40, "r": 60, "t": 70, "b": 16},
        legend={"orientation": "h", "y": 1.12, "yanchor": "bottom", "x": 0},
    )
    order = rows.index[frames.objective.scores(rows[metric].to_numpy(np.float64)).argsort(kind="stable")]
    best = max(len(order) // _BEST, 1)
    for name, drawn, line in (
        ("others", order[best:], {"color": QUIET, "width": 0.6}),
        (f"best {_SHARE}", order[:best], {"color": STAGES[0], "width": 1.8}),
    ):
        lines = np.array([[*(each.at[row] for each in places.values()), math.nan] for row in drawn])
        figure.add_scatter(
            x=np.tile([*range(len(places)), math.nan], len(drawn)),
            y=lines.ravel(),
            mode="lines",
            line=line,
            opacity=0.8,
            name=name,
            hoverinfo="skip",
        )
    for i, name in enumerate(places):
        figure.add_shape(type="line", x0=i, x1=i, y0=0, y1=1, line={"color": QUIET, "width": 1})
        for at, value, anchor in _ticks(frames, scored, name):
            figure.add_annotation(
                x=i,
                y=at,
                text=text(value),
                showarrow=False,
                yanchor=anchor,
                xanchor="left",
                xshift=4,
                font={"size": 11},
            )
    return figure


def importance_plot(frames: Frames) -> go.Figure:
    """How much each parameter matters to the objective, as shares of one.

    Raises:
        TooLittle: There are too few trials to tell.
    """
    shares = importance(frames, frames.settings).dropna().sort_values()
    if shares.empty:
        raise TooLittle(
            "the first stage has too few trials, or they differ too little, to tell which parameters matter"
        )
    figure = blank(
        {"title": {"text": "share"}, "rangemode": "tozero"}, {"type": "category"}, height=90 + 34 * len(shares)
    )
    figure.add_bar(
        x=shares.tolist(),
        y=[text(name) for name in shares.index],
        orientation="h",
        marker={"color": STAGES[0]},
        text=[f"{share:.0%}" for share in shares],
        hoverinfo="skip",
    )
    return figure


def _ended(frames: Frames, most: int) -> pd.DataFrame:
    """The trials that are drawn."""
    if frames.trials.empty:
        raise TooLittle("no trial has ended yet")
    return thinned(frames, most)


def _scored(frames: Frames) -> pd.DataFrame:
    """The trials that have a finite objective."""
    best = frames.best(len(frames.trials))
    if best.empty:
        raise TooLittle(f"no trial has reported a finite {frames.objective.metric} yet")
    return best.sort_index()


def _outline(across: Any, up: Any) -> tuple[list[float], list[float]]:
    """The corners of a region over two ranges; nothing where one of them is no range."""
    if not (isinstance(across, Range) and isinstance(up, Range)):
        return [], []
    left, right, low, high = across.low, across.high, up.low, up.high
    return [left, right, right, left, left], [low, low, high, high, low]


def _bucket_best(frames: Frames, scored: pd.DataFrame, name: str) -> pd.DataFrame:
    """The best trial of each bucket of a parameter's values, in their order."""
    places = _places(frames, scored, name).dropna()
    if isinstance(frames.settings.space.parameters[name], Range):
        places = (places * _BUCKETS).clip(upper=_BUCKETS - 1) // 1
    scores = pd.Series(
        frames.objective.scores(scored.loc[places.index, frames.objective.metric].to_numpy(np.float64)), places.index
    )
    return scored.loc[scores.groupby(places).idxmin()]


def _places(frames: Frames, scored: pd.DataFrame, name: str) -> pd.Series[float]:
    """Where the values of a column lie, from 0 to 1 of what is there, on the parameter's own scale."""
    parameter = frames.settings.space.parameters.get(name)
    if parameter is None:
        low, high = span(scored[name]) or (0.0, 1.0)
        places = Range(low, high).encode(scored[name].clip(low, high).tolist())
    else:
        values = declared(parameter, scored[name])
        there = [value for value in values if value is not None]
        if isinstance(parameter, Range) and there:
            parameter = replace(parameter, low=min(there), high=max(there))
        places = parameter.encode(values)
    return pd.Series(places, scored.index)


def _ticks(frames: Frames, scored: pd.DataFrame, name: str) -> list[tuple[float, Any, str]]:
    """What is written at an axis of `parallel`: (place, value, anchor)."""
    parameter = frames.settings.space.parameters.get(name)
    if isinstance(parameter, Choice):
        return [
            (float(at), value, "middle")
            for at, value in zip(parameter.encode(parameter.values), parameter.values, strict=True)
        ]
    ends = span(scored[name]) if parameter is None else (scored[name].min(), scored[name].max())
    return [] if ends is None else [(0.0, ends[0], "top"), (1.0, ends[1], "bottom")]
