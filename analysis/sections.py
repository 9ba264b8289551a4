"""The pictures of the report, in the order in which they are read; where there is too little for one, why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import plotly.graph_objects as go

from analysis import captions, figures
from analysis.frames import Frames, TooLittle

Picture = tuple[str, Callable[[Frames], go.Figure], Callable[[Frames], str]]


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture of the report.

    Attributes:
        id: Of its element.
        caption: What it shows, in words: also what is read out instead of it.
        drawn: The picture.
    """

    id: str
    caption: str
    drawn: go.Figure


@dataclass(frozen=True, slots=True)
class Section:
    """Pictures that belong together.

    Attributes:
        id: Of its element.
        title: Its title.
        figures: Its pictures.
        missing: For each picture that there is too little for, why.
        small: Two of its pictures go side by side.
    """

    id: str
    title: str
    figures: tuple[Figure, ...]
    missing: tuple[str, ...]
    small: bool = False


def sections_of(frames: Frames) -> list[Section]:
    """All sections with pictures."""
    loss, metric = frames.settings.stop.loss, frames.objective.metric
    slices: list[Picture] = [
        (f"axis-{i}", partial(figures.axis_plot, name=name), partial(captions.axis, name=name))
        for i, name in enumerate(frames.settings.space.searched)
    ]
    curves: list[Picture] = [("curves-objective", figures.learning_curves, captions.curves)]
    if loss != metric and loss in frames.reports:
        curves.append(("curves-loss", partial(figures.learning_curves, metric=loss), captions.stops))
    progress: list[Picture] = [
        ("over-trials", figures.best_so_far, captions.best_so_far),
        ("over-time", partial(figures.best_so_far, over="time"), captions.pace),
    ]
    return [
        _section(frames, "space", "Where the good trials lie", [("scatter", figures.scatter, captions.scatter)]),
        _section(frames, "axes", "One parameter at a time", slices, small=True),
        _section(frames, "progress", "How the best came about", progress, small=True),
        _section(frames, "curves", "Learning curves", curves, small=True),
        _section(frames, "together", "All parameters at once", [("parallel", figures.parallel, captions.parallel)]),
        _section(
            frames, "matters", "Which parameters matter", [("importance", figures.importance_plot, captions.importance)]
        ),
        _section(
            frames, "budgets", "Coarse against fine", [("agreement", figures.agreement, captions.agreement)], small=True
        ),
        _section(frames, "slots", "Busy slots", [("utilisation", figures.utilisation, captions.utilisation)]),
    ]


def _section(frames: Frames, name: str, title: str, pictures: list[Picture], small: bool = False) -> Section:
    """A section with the pictures that there is enough for."""
    drawn: list[Figure] = []
    missing: dict[str, None] = {}
    for key, draw, say in pictures:
        try:
            figure = draw(frames)
            drawn.append(Figure(key, say(frames), figure))
        except TooLittle as reason:
            missing[str(reason)] = None  # once, for all pictures that lack the same
    return Section(name, title, tuple(drawn), tuple(missing), small)
