"""Where a search moves an edge of its space: what the best trials crowd, and what lies past it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sweeps.edges import cliff, crowd
from sweeps.regions import MAX_MOVES, STEP, Region, crowd_text
from sweeps.space import Columns, Flags, Parameter, Range
from workers.messages import Ints

_BEST_SHARE = 0.2  #: a later batch lies where the best are, so that it takes more of them to tell a crowd
_BEST = (5, 20)


@dataclass(frozen=True, slots=True)
class Frontier:
    """The space after a look at its edges.

    Attributes:
        domain: The space, with the sides that were moved; its evidence says why, also of sides that were kept.
        bands: For each parameter that was moved, the positions (start, end) in the new range that are new.
    """

    domain: Region
    bands: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def look(domain: Region, columns: Columns, order: Ints, dead: Flags) -> Frontier:
    """The space, moved on every side that the best trials crowd and nothing keeps.

    Kept is what a cliff lies beside, past which trials diverge; what its limits end; what was moved often enough.

    Args:
        domain: The space as it was.
        columns: Configs of all trials.
        order: The trials that were looked at, best first.
        dead: (n,) trials that diverged or failed.
    """
    count = int(np.clip(round(_BEST_SHARE * len(order)), *_BEST))
    best = np.zeros(len(dead), np.bool_)
    best[order[:count]] = True
    best &= ~dead
    looked_at = np.zeros(len(dead), np.bool_)
    looked_at[order] = True
    ranges = {name: p for name, p in domain.space.parameters.items() if isinstance(p, Range)}
    parameters: dict[str, Parameter] = {}
    moves, said, bands = dict(domain.moves), [], {}
    for name, parameter in ranges.items():
        at = parameter.encode(columns[name])
        active = looked_at & ~np.isnan(at)
        sound = active & ~dead & (at >= 0) & (at <= 1)
        for side in ("low", "high"):
            seen = crowd(at[sound], best[sound], side, 2 * len(ranges)) if (best & sound).any() else None
            if seen is None:
                continue
            edge = cliff(at[active], dead[active], side)
            text = crowd_text(name, parameter, seen, edge)
            key, limit = f"{name}.{side}", parameter.limits[side == "high"]
            if edge is not None:
                said.append(f"{text}: range kept on this side of it")
                continue
            if moves.get(key, 0) >= MAX_MOVES:
                said.append(f"{text}: kept, it was moved {MAX_MOVES} times already")
                continue
            moved = parameter.part(0.0, 1.0 + STEP) if side == "high" else parameter.part(-STEP, 1.0)
            if (moved.low, moved.high) == (parameter.low, parameter.high):
                said.append(f"{text}: kept, {limit:g} is its limit")
                continue
            moves[key] = moves.get(key, 0) + 1
            said.append(f"{text}: range moved to [{moved.low:g}, {moved.high:g}] (by chance so many: p = {seen.p:.1g})")
            old = moved.encode([parameter.low, parameter.high])
            bands[name] = (float(old[1]), 1.0) if side == "high" else (0.0, float(old[0]))
            parameters[name] = moved
            break  # the other side is looked at on the new range, in the next stage
    return Frontier(Region(domain.space.narrowed(parameters), tuple(said), moves), bands)


def box(domain: Region, at: dict[str, tuple[float, float]], count: int, evidence: tuple[str, ...]) -> Region:
    """The part of the space that a batch comes from, with a sentence for each parameter that it narrows.

    Args:
        domain: The whole space.
        at: Lowest and highest position of each range.
        count: How many trials the box lies round.
        evidence: What was said of the domain.
    """
    parameters: dict[str, Parameter] = {}
    said = list(evidence)
    for name, (start, end) in at.items():
        parameter = domain.space.parameters[name]
        if isinstance(parameter, Range) and (start > 0 or end < 1):
            part = parameter.part(max(start, 0.0), min(end, 1.0))
            if (part.low, part.high) != (parameter.low, parameter.high):
                parameters[name] = part
                bounds = f"[{parameter.low:g}, {parameter.high:g}] to [{part.low:g}, {part.high:g}]"
                said.append(f"{name}: {bounds}, round the {count} best trials")
    return Region(domain.space.narrowed(parameters), tuple(said), domain.moves)
