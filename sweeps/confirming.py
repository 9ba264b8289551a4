"""The last stage of a search: its best configs are trained again, so that what leads by luck falls behind."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.regions import Region
from sweeps.search import Planned
from sweeps.settings import CONFIRM, CONFIRMATIONS, StageSettings
from sweeps.space import Space, config_at
from workers.messages import Ints, place_of


def confirming(best: Ints, stages: Sequence[Planned], epochs: int, space: Space) -> tuple[StageSettings, Region]:
    """The stage that trains the configs of some trials again with new seeds, and its region, which names them.

    Args:
        best: (n,) the trials.
        stages: The stages of the search, in which they were born.
        epochs: A full training.
        space: What is searched.
    """
    places = [place_of(trial) for trial in best.tolist()]
    configs = [config_at(stages[born].columns, index) for born, index in places]
    include = tuple(config for config in configs for _ in range(CONFIRMATIONS))
    names = ", ".join(f"{stages[born].name} {index}" for born, index in places)
    evidence = f"the best, each with {CONFIRMATIONS} new seeds: {names}"
    return StageSettings(CONFIRM, len(include), epochs, include=include), Region(space, (evidence,))
