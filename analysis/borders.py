"""Where in the space a stage met a border: of the search, or of what can be trained."""

from __future__ import annotations

import numpy as np

from analysis.findings import GOOD_TO_KNOW, HINT, PROBLEM, Finding
from analysis.outcomes import Outcome
from sweeps.edges import cliff, crowd
from sweeps.regions import best_trials
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
    for name, parameter in stage.region.space.parameters.items():
        if not isinstance(parameter, Range):
            continue
        positions = parameter.encode(stage.observed.columns[name])
        active = np.isfinite(positions)
        for side in ("low", "high"):
            found = cliff(positions[active], stopped[active], side)
            if found is not None:
                at = show_value(parameter.decode(np.array([found.at]))[0])
                word = "above" if side == "high" else "below"
                places.append(
                    (found.diverged, f"{name} {word} {at} diverges: {found.diverged} of {found.total} trials")
                )
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
    best = best_trials(stage.scores)
    found = []
    ranges = {n: p for n, p in stage.region.space.parameters.items() if isinstance(p, Range)}
    for name, parameter in ranges.items():
        positions = parameter.encode(stage.observed.columns[name])
        active = np.isfinite(positions)
        if np.sum(best & active) < 3:
            continue
        for side in ("low", "high"):
            edge = cliff(positions[active], stage.observed.diverged[active], side)
            at = 1.0 if side == "high" else 0.0
            at = at if edge is None else edge.at
            inside = positions <= at if side == "high" else positions >= at
            sound = active & ~stage.observed.diverged & inside
            reach = positions[sound] / at if side == "high" else (positions[sound] - at) / (1.0 - at)
            seen = crowd(reach, best[sound], side, 2 * len(ranges))
            if seen is None:
                continue
            bound = parameter.high if side == "high" else parameter.low
            limit = parameter.limits[side == "high"]
            many = f"{seen.inside} of the {seen.best} best trials"
            if edge is not None:
                value = show_value(parameter.decode(np.array([edge.at]))[0])
                found.append(
                    Finding(
                        "best beside divergence",
                        GOOD_TO_KNOW,
                        f"{stage.name}: {name} of {many} lies just inside {value}, past which trials diverge",
                        "No wider range is needed; a schedule or warm-up might allow a little more.",
                    )
                )
            elif bound == limit:
                found.append(
                    Finding(
                        "best at the limit",
                        HINT,
                        f"{stage.name}: {name} of {many} lies beside its limit {bound:g}",
                        f"If {name} may go beyond, widen `limits`.",
                    )
                )
            else:
                found.append(
                    Finding(
                        "best at the edge of the range",
                        PROBLEM,
                        f"{stage.name}: {name} of {many} lies in the outer {seen.band:.0%} of the range, beside "
                        f"{bound:g} (by chance: p = {seen.p:.1g})",
                        f"Search {'above' if side == 'high' else 'below'} {bound:g}: the next stage does so by itself.",
                    )
                )
    return found
