"""Where a search moves an edge of its space: what the best trials crowd, and what lies past it.

Two tests, since either misses what the other sees. A crowd (`edges`) needs trials that lie elsewhere to compare with,
and a search soon has none: its trials lie where the best are. There the surface is asked whether it still falls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sweeps.edges import cliff, crowd
from sweeps.regions import MAX_MOVES, STEP, Region, crowd_text
from sweeps.space import Columns, Flags, Parameter, Range
from workers.messages import Ints

_BEST_SHARE = 0.15  #: more than of a batch spread evenly: later ones lie where the best are, which hides a crowd
_BEST = (5, 20)
_OUTER = 0.25  #: of the range: the best must lie there on average for the surface's word to count
_SURE = 1.0  #: standard deviations by which the surface must fall


@dataclass(frozen=True, slots=True)
class Frontier:
    """The space after a look at its edges.

    Attributes:
        domain: The space, with the sides that were moved; its evidence says why, also of sides that were kept.
        bands: For each parameter that was moved, the positions (start, end) in the new range that are new.
    """

    domain: Region
    bands: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def look(
    domain: Region, columns: Columns, order: Ints, dead: Flags, falls: Mapping[str, tuple[float, float]]
) -> Frontier:
    """The space, moved on every side that the best trials crowd and nothing keeps.

    Kept is what a cliff lies beside, past which trials diverge; what its limits end; what was moved often enough.

    Args:
        domain: The space as it was.
        columns: Configs of all trials.
        order: The trials that were looked at, best first.
        dead: (n,) trials that diverged or failed.
        falls: For each range how surely what is expected gets better towards its low and its high end, in standard
            deviations.
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
        edges = {side: cliff(at[active], dead[active], side) for side in ("low", "high")}
        # The range that can be trained, as [0, 1]: beside a cliff a crowd is measured from the cliff.
        low, high = (end if edge is None else edge.at for end, edge in zip((0.0, 1.0), edges.values(), strict=True))
        sound = active & ~dead & (at >= low) & (at <= high)
        if not (best & sound).any() or high <= low:
            continue
        for (side, edge), fall in zip(edges.items(), falls[name], strict=True):
            within = (at - low) / (high - low)
            seen = crowd(within[sound], best[sound], side, 2 * len(ranges))
            outward = within if side == "high" else 1 - within
            if seen is not None:
                text, why = crowd_text(name, parameter, seen, edge), f"by chance so many: p = {seen.p:.1g}"
            elif edge is None and fall >= _SURE and float(np.mean(outward[best & sound])) >= 1 - _OUTER:
                where, bounds = "top" if side == "high" else "bottom", f"[{parameter.low:g}, {parameter.high:g}]"
                text = (
                    f"best {name} on average in the {where} {_OUTER:.0%} of {bounds}, and better still towards its end"
                )
                why = f"the surface falls there by {fall:.1f} standard deviations"
            else:
                continue
            key, limit = f"{name}.{side}", parameter.limits[side == "high"]
            if edge is not None:
                said.append(f"{text}: range kept on this side of it")
                continue
            if moves.get(key, 0) >= MAX_MOVES:
                said.append(f"{text}: kept, it was moved {MAX_MOVES} times already")
                continue
            moved = parameter.part(0.0, 1.0 + STEP) if side == "high" else parameter.part(-STEP, 1.0)
            if (moved.low, moved.high) == (parameter.low, parameter.high):
                if seen is None:  # that the surface falls to a limit is nothing new from stage to stage
                    continue
                said.append(f"{text}: kept, {limit:g} is its limit")
                continue
            moves[key] = moves.get(key, 0) + 1
            said.append(f"{text}: range moved to [{moved.low:g}, {moved.high:g}] ({why})")
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
