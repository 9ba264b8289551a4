"""Where in the space a stage met a border: of the search, or of what can be trained."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from analysis.findings import GOOD_TO_KNOW, HINT, PROBLEM, Finding
from analysis.outcomes import Outcome
from sweeps.edges import Cliff, Crowd
from sweeps.regions import Borders, borders
from sweeps.space import Range
from sweeps.wording import show_value

_MANY_DIVERGED = 0.3  # of a stage: trials spent on what cannot be trained


def diverged(stage: Outcome) -> list[Finding]:
    """How many trials diverged, and where they lie."""
    stopped, total = stage.observed.diverged, len(stage.scores)
    count = int(np.sum(stopped))
    if not count:
        return []
    places = []
    for name, parameter, found in _ranges(stage):
        for side, edge in found.cliffs.items():
            at = show_value(parameter.decode(np.array([edge.at]))[0])
            word = "above" if side == "high" else "below"
            places.append((edge.diverged, f"{name} {word} {at} diverges: {edge.diverged} of {edge.total} trials"))
    where = max(places)[1] if places else "no one parameter says where"
    many = count > _MANY_DIVERGED * total
    advice = "Cut the range there: these trials teach nothing more." if places else "Look at the log of one of them."
    return [
        Finding(
            "trials diverge",
            PROBLEM if many else GOOD_TO_KNOW,
            f"{stage.name}: {count} of {total} trials diverged; {where}",
            advice if many else "Nothing to do: a few diverged trials mark the edge of what can be trained.",
        )
    ]


def edges(stage: Outcome) -> list[Finding]:
    """Best values that crowd an edge of the search, told from those that lie beside divergence."""
    return [
        _edge(stage.name, name, parameter, seen, found.cliffs.get(side))
        for name, parameter, found in _ranges(stage)
        for side, seen in found.crowds.items()
    ]


def _edge(stage: str, name: str, parameter: Range, seen: Crowd, edge: Cliff | None) -> Finding:
    """What a crowd at a side of a range says: it lies beside divergence, the range's limit, or the search's edge."""
    high = seen.side == "high"
    bound = parameter.high if high else parameter.low
    many = f"{stage}: {name} of {seen.inside} of the {seen.best} best trials"
    if edge is not None:
        value = show_value(parameter.decode(np.array([edge.at]))[0])
        return Finding(
            "best beside divergence",
            GOOD_TO_KNOW,
            f"{many} lies just inside {value}, past which trials diverge",
            "No wider range is needed; a schedule or warm-up might allow a little more.",
        )
    if bound == parameter.limits[high]:
        return Finding(
            "best at the limit",
            HINT,
            f"{many} lies beside its limit {bound:g}",
            f"If {name} may go beyond, widen `limits`.",
        )
    return Finding(
        "best at the edge of the range",
        PROBLEM,
        f"{many} lies in the outer {seen.band:.0%} of the range, beside {bound:g} (by chance: p = {seen.p:.1g})",
        f"Search {'above' if high else 'below'} {bound:g}: the next stage does so by itself.",
    )


def _ranges(stage: Outcome) -> Iterator[tuple[str, Range, Borders]]:
    """The ranges of a stage, and what was seen at their sides."""
    space = stage.region.space
    for name, parameter in space.parameters.items():
        if isinstance(parameter, Range):
            yield name, parameter, borders(space, name, stage.observed)
