"""How figures look: colours that everyone can tell apart, axes, and texts that are only ever text."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.frames import Frames
from sweeps.space import Floats, Parameter, Range
from sweeps.wording import clean, show_value
from workers.messages import Status

# Okabe and Ito's colours, but for the vermillion that marks what diverged and the yellow that white swallows.
STAGES = ("#0072B2", "#E69F00", "#009E73", "#56B4E9", "#CC79A7")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "hexagon")
DIVERGED = "#D55E00"
BEST = "#CC79A7"
QUIET = "#888888"  #: seen on white and on black
SCALE = "Cividis"
DIVERGES = Status.STOPPED.word

_GRID = "rgba(128, 128, 128, 0.22)"
_LONGEST = 40
_SHORT = 1000  # a log axis up to here has ticks at 1, 2, 5, 10; above at powers of ten


def blank(x: Mapping[str, Any], y: Mapping[str, Any], **layout: Any) -> go.Figure:
    """An empty figure on a transparent ground, in greys that do on light and on dark."""
    axis = {"gridcolor": _GRID, "linecolor": QUIET, "zeroline": False, "automargin": True}
    return go.Figure(
        layout={
            "template": "none",
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": QUIET},
            "paper_bgcolor": "rgba(0, 0, 0, 0)",
            "plot_bgcolor": "rgba(0, 0, 0, 0)",
            "margin": {"l": 56, "r": 16, "t": 16, "b": 52},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "hoverlabel": {"align": "left"},
            "xaxis": {**axis, **x},
            "yaxis": {**axis, **y},
            **layout,
        }
    )


def text(value: object) -> str:
    """A foreign text as a figure shows it: one short line, its markup shown and not obeyed."""
    words = clean(show_value(value))
    return html.escape(words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…", quote=False)


def axis_of(name: str, parameter: Parameter | None) -> dict[str, Any]:
    """The axis of a parameter, on its own scale; of a metric where there is no parameter."""
    kind = "linear" if parameter is None else "category"
    if isinstance(parameter, Range):
        kind = "log" if parameter.log else "linear"
    shown: dict[str, Any] = {"exponentformat": "power", "dtick": 1} if kind == "log" else {}
    if isinstance(parameter, Range) and parameter.log and parameter.high / parameter.low <= _SHORT:
        powers = range(math.floor(math.log10(parameter.low)) - 1, math.ceil(math.log10(parameter.high)) + 2)
        ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
        shown = {"tickvals": ticks, "ticktext": [f"{tick:.4g}" for tick in ticks]}
    return {"title": {"text": text(name)}, "type": kind, **shown}


def values_on(axis: Mapping[str, Any], column: pd.Series[Any]) -> list[Any]:
    """A column's values for an axis: escaped texts on one of categories, None for what is missing."""
    if axis["type"] == "category":
        return [None if pd.isna(value) else text(value) for value in column.tolist()]
    return [None if pd.isna(value) or not math.isfinite(value) else value for value in column.tolist()]


def hover(frames: Frames, rows: pd.DataFrame) -> list[str]:
    """What is said of each of some trials under the pointer: which it is, its value, its config, why it ended."""
    metric, space = frames.objective.metric, frames.settings.space
    names = [name for name in (metric, *space.searched) if name in rows]
    said = []
    for row in rows.to_dict("records"):
        lines = [f"<b>{text(row['stage'])}/{row['trial']}</b>  {row['status']}"]
        lines += [f"{text(name)} {text(row[name])}" for name in names if not pd.isna(row[name])]
        lines += [] if pd.isna(row["reason"]) else [text(row["reason"])]
        said.append("<br>".join(lines))
    return said


def thinned(frames: Frames, most: int) -> pd.DataFrame:
    """At most so many rows of `trials`: a quarter of them the best ones, the rest evenly from all others."""
    trials = frames.trials
    if len(trials) <= most:
        return trials
    best = frames.best(most // 4).index
    others = trials.index.difference(best)
    even = others[np.linspace(0, len(others) - 1, most - len(best)).astype(np.int64)]
    return trials.loc[best.union(even)]


def span(values: pd.Series[Any] | Floats) -> tuple[float, float] | None:
    """(low, high) of what is worth a look at: without the far outliers of a blown-up loss; None where nothing is."""
    numbers = np.asarray(values, np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return None
    low, high = np.quantile(numbers, [0.1, 0.9])
    reach = 2 * (high - low) or math.inf
    inside = numbers[(numbers >= low - reach) & (numbers <= high + reach)]
    return float(inside.min()), float(inside.max())


def padded(ends: tuple[float, float] | None, share: float = 0.06) -> list[float] | None:
    """The range of an axis that shows a span with some room; None leaves it to plotly."""
    if ends is None or not ends[1] > ends[0]:
        return None
    room = share * (ends[1] - ends[0])
    return [ends[0] - room, ends[1] + room]
