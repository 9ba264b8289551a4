"""The stages of a run as its pictures tell them apart: a search has too many for a colour each."""

from __future__ import annotations

from dataclasses import dataclass

from sweeps.settings import CONFIRM, Settings


@dataclass(frozen=True, slots=True)
class Phase:
    """Stages that look alike.

    Attributes:
        name: What they are called together.
        stages: Their names, in order.
        region: The one whose region is drawn for all of them; None where nothing was drawn from a region.
    """

    name: str
    stages: tuple[str, ...]
    region: str | None


def phases(settings: Settings) -> list[Phase]:
    """Each stage alone; of a search the first stage, all later ones together, and the one that confirms."""
    names = [stage.name for stage in settings.stages]
    if settings.search is None:
        return [Phase(name, (name,), name) for name in names]
    later = tuple(name for name in names[1:] if name != CONFIRM)
    found = [Phase(names[0], (names[0],), names[0])]
    if later:
        found.append(Phase(later[0] if len(later) == 1 else f"{later[0]} to {later[-1]}", later, later[-1]))
    return found + ([Phase(CONFIRM, (CONFIRM,), None)] if CONFIRM in names else [])
