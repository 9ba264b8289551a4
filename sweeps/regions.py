"""Where the next stage searches: a pure function from a finished stage's results to a region with its evidence.

`fit` is the whole method, and the only thing to replace for another one: it sees a region, what was observed in it,
and returns a region.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sweeps.edges import Cliff, Crowd, cliff, crowd
from sweeps.errors import NothingToLearn
from sweeps.space import Choice, Columns, Fixed, Flags, Floats, Parameter, Range, Space

MAX_MOVES = 3  #: how often one side of a range may be moved in a sweep
STEP = 0.5  #: how far a moved side goes, as a share of the range
_MIN_WIDTH = 0.1  #: of the range: a box of a few lucky trials must not close in at once
_BEST_SHARE = 0.1
_MIN_BEST = 5
_CHOICE_FLOOR = 0.1  #: of an equal share: no choice dies of thin evidence


@dataclass(frozen=True, slots=True)
class Region:
    """The space of a stage and why it is that.

    Attributes:
        space: Where the stage draws.
        evidence: One sentence per parameter that was narrowed, moved or re-weighted.
        moves: How often a side was moved, by `name.low` and `name.high`.
    """

    space: Space
    evidence: tuple[str, ...] = ()
    moves: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """What a finished stage found.

    Attributes:
        columns: Values of each parameter, None where not active.
        scores: (n,) lower is better; infinite where nothing finite was reported.
        diverged: (n,) stopped by a rule.
    """

    columns: Columns
    scores: Floats
    diverged: Flags


@dataclass(frozen=True, slots=True)
class Borders:
    """What was seen at the sides of a range, by "low" and "high".

    Attributes:
        crowds: Crowds of the best trials.
        cliffs: Where trials begin to diverge.
    """

    crowds: Mapping[str, Crowd]
    cliffs: Mapping[str, Cliff]


def fit(region: Region, observed: Observed) -> Region:
    """The region of the next stage: round the best trials, past an edge that they crowd.

    Per parameter, on its own scale: the box of the best trials with a margin; extended by half the range where the
    best crowd an edge that is the search's own; cut where trials diverge. Choices are re-weighted, never dropped.

    Args:
        region: Where the observed stage drew.
        observed: Its results.

    Raises:
        NothingToLearn: No trial reported a finite objective.
    """
    best = best_trials(observed.scores)
    if not best.any():
        raise NothingToLearn(_nothing(observed))
    parameters: dict[str, Parameter] = {}
    evidence: list[str] = []
    moves = dict(region.moves)
    for name, parameter in region.space.parameters.items():
        active = np.array([value is not None for value in observed.columns[name]])
        if isinstance(parameter, Fixed) or np.sum(best & active) < 3:
            continue
        if isinstance(parameter, Choice):
            parameters[name], text = _reweighted(name, parameter, observed.columns[name], best)
            evidence.append(text)
        else:
            box = _box(parameter.encode(observed.columns[name])[best & active])
            parameters[name], texts = _moved(name, parameter, box, borders(region.space, name, observed), moves)
            evidence += texts
    return Region(region.space.narrowed(parameters), tuple(evidence), moves)


def hints(region: Region, observed: Observed) -> list[str]:
    """What the results so far say of the edges, one sentence each; for a person watching."""
    texts = []
    for name, parameter in region.space.parameters.items():
        if isinstance(parameter, Range):
            found = borders(region.space, name, observed)
            texts += [crowd_text(name, parameter, c, found.cliffs.get(side)) for side, c in found.crowds.items()]
    return texts


def borders(space: Space, name: str, observed: Observed) -> Borders:
    """The crowds and cliffs at the sides of the range `name`; no crowd where fewer than three of the best have it.

    Beside a cliff a crowd is measured from the cliff: what can be trained is the range then.
    """
    parameter = space.parameters[name]
    positions = parameter.encode(observed.columns[name])
    best, active = best_trials(observed.scores), np.isfinite(positions)
    cliffs = {}
    low, high = 0.0, 1.0
    for side in ("low", "high"):
        found = cliff(positions[active], observed.diverged[active], side)
        if found is not None:
            cliffs[side] = found
            low, high = (low, found.at) if side == "high" else (found.at, high)
    crowds = {}
    if high > low and np.sum(best & active) >= 3:
        tests = 2 * sum(isinstance(each, Range) for each in space.parameters.values())
        sound = active & ~observed.diverged & (positions >= low) & (positions <= high)
        for side in ("low", "high"):
            seen = crowd((positions[sound] - low) / (high - low), best[sound], side, tests)
            if seen is not None:
                crowds[side] = seen
    return Borders(crowds, cliffs)


def best_trials(scores: Floats) -> Flags:
    """(n,) true for the best tenth: at least five, at most half of those with a finite score.

    Ties go to the lowest index.
    """
    finite = int(np.sum(np.isfinite(scores)))
    count = min(max(round(_BEST_SHARE * len(scores)), _MIN_BEST), max(finite // 2, min(finite, 1)))
    best = np.zeros(len(scores), np.bool_)
    best[np.argsort(scores, kind="stable")[:count]] = True
    return best


def _box(chosen: Floats) -> tuple[float, float]:
    """The box of the best trials with a margin, as (low, high) positions of the range, which it may leave."""
    chosen = np.sort(chosen)
    margin = max((chosen[-1] - chosen[0]) / (len(chosen) - 1), 0.0)
    middle = float(np.mean(chosen))
    low, high = chosen[0] - margin, chosen[-1] + margin
    return float(min(low, middle - _MIN_WIDTH / 2)), float(max(high, middle + _MIN_WIDTH / 2))


def _moved(
    name: str, parameter: Range, box: tuple[float, float], found: Borders, moves: dict[str, int]
) -> tuple[Range, list[str]]:
    """The range of the next stage and the words for it; counts the moves of its sides."""
    start, end = max(box[0], 0.0), min(box[1], 1.0)
    said = []
    for side, seen in found.crowds.items():
        edge = found.cliffs.get(side)
        text = crowd_text(name, parameter, seen, edge)
        if edge is None:
            key, limit = f"{name}.{side}", parameter.limits[side == "high"]
            at_limit = (parameter.high >= limit) if side == "high" else (parameter.low <= limit)
            if at_limit:
                said.append(f"{text}: kept, {limit:g} is its limit")
                continue
            if moves.get(key, 0) >= MAX_MOVES:
                said.append(f"{text}: kept, it was moved {MAX_MOVES} times already")
                continue
            moves[key] = moves.get(key, 0) + 1
            start, end = (start, 1.0 + STEP) if side == "high" else (-STEP, end)
            said.append(f"{text}: range moved to {{new}} (by chance so many: p = {seen.p:.1g})")
        else:
            said.append(f"{text}: range kept on this side of it")
    for side, edge in found.cliffs.items():
        start, end = (start, min(end, edge.at)) if side == "high" else (max(start, edge.at), end)
    if end <= start:
        start, end = box
    new = parameter.part(start, end)
    bounds = f"[{new.low:g}, {new.high:g}]"
    said = [text.replace("{new}", bounds) for text in said]
    return new, said or [f"{name}: [{parameter.low:g}, {parameter.high:g}] to {bounds}, round the best trials"]


def crowd_text(name: str, parameter: Range, seen: Crowd, edge: Cliff | None) -> str:
    """A crowd in words, and what lies past it."""
    count = f"best {name} of {seen.inside} of the {seen.best} best trials"
    if edge is not None:
        at = parameter.decode(np.array([edge.at]))[0]
        word = "above" if edge.side == "high" else "below"
        return f"{count} lie beside {at:.3g}, {word} which {edge.diverged} of {edge.total} trials diverge"
    where = "top" if seen.side == "high" else "bottom"
    return f"{count} lie in the {where} {seen.band * 100:g} % of [{parameter.low:g}, {parameter.high:g}]"


def _reweighted(name: str, parameter: Choice, values: Sequence[object], best: Flags) -> tuple[Choice, str]:
    """The choices with the weights that the best trials speak for: (best + 1) / (all + choices), with a floor."""
    # Few values, many trials: each value is looked up once. By its text, since it may be a list.
    distinct = {repr(value): value for value in values}
    place = {text: parameter.index(value) for text, value in distinct.items()}
    places = np.array([place[repr(value)] for value in values])
    count = len(parameter.values)
    tried = np.bincount(places[places >= 0], minlength=count)
    hits = np.bincount(places[best & (places >= 0)], minlength=count)
    # Starting from the weights that it was drawn with would punish twice what was rarely drawn.
    raw = (hits + 1.0) / (tried + count)
    shares = np.maximum(raw / raw.sum(), _CHOICE_FLOOR / count)
    weights = tuple(max(round(float(share), 3), 0.001) for share in shares / shares.sum())
    ranked = sorted(zip(weights, parameter.values, strict=True), key=lambda pair: -pair[0])
    return Choice(parameter.values, weights), f"{name}: " + ", ".join(f"{value} {w:.0%}" for w, value in ranked)


def _nothing(observed: Observed) -> str:
    """Why there is nothing to learn, and what to do."""
    total, diverged = len(observed.scores), int(np.sum(observed.diverged))
    advice = "lower the top of the learning rate's range" if diverged > total / 2 else "look at one with `sweeps show`"
    return (
        f"none of the {total} trials reported a finite objective ({diverged} stopped by a rule): "
        f"there is nothing to centre the next stage on; {advice}"
    )
