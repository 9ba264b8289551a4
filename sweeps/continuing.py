"""Earlier trials that go on in a later stage: which they are, and how far they still have to go."""

from __future__ import annotations

from collections import Counter

import numpy as np

from sweeps.arrow import numbers
from sweeps.settings import Settings
from sweeps.store import Store
from workers.messages import Status, identity, place_of


def chosen_names(store: Store, settings: Settings, number: int) -> list[str]:
    """The trials that are to go on in a stage that has not begun, as `coarse-17`, best first.

    The best of those that came to their end and can be trained longer; ties go to the lowest (stage, trial).
    """
    found: list[tuple[float, int]] = []
    metric, stage = settings.objective.metric, settings.stages[number]
    for born in range(number if stage.continued else 0):
        table = store.trials(born, ["trial", metric, "status", "epochs"])
        scores = settings.objective.scores(numbers(table[metric]))
        whole = np.array([status == Status.COMPLETED.word for status in table["status"].to_pylist()], np.bool_)
        may = whole & np.isfinite(scores) & (numbers(table["epochs"]) < stage.epochs)
        trials = numbers(table["trial"])[may].tolist()
        found += [(score, identity(born, i)) for score, i in zip(scores[may].tolist(), trials, strict=True)]
    places = [place_of(trial) for _, trial in sorted(found)[: stage.continued]]
    return [f"{settings.stages[born].name}-{index}" for born, index in places]


def stored_names(store: Store, number: int) -> list[str]:
    """The same of a stage that has begun, as they were stored then: since, the trials have changed."""
    row = store.stage(number)
    return [] if row is None else row["continued"] or []


def places(names: list[str], settings: Settings) -> list[tuple[int, int]]:
    """(stage, index) of trials such as `coarse-17`."""
    born = {stage.name: i for i, stage in enumerate(settings.stages)}
    pairs = [name.rpartition("-") for name in names]
    return [(born[stage], int(index)) for stage, _, index in pairs]


def left(store: Store, settings: Settings, number: int) -> dict[int, tuple[int, int]]:
    """(epochs stored, epoch to reach) of the trials that have not gone on yet in a stage that has begun."""
    goals = {}
    before = Counter(place for earlier in range(number) for place in places(stored_names(store, earlier), settings))
    chosen = places(stored_names(store, number), settings)
    stages = {born for born, _ in chosen}
    rows = {born: store.rows(born, np.array([index for each, index in chosen if each == born])) for born in stages}
    completed = {born: store.completed(born) for born in stages}
    for born, index in chosen:
        row = rows[born][index]
        # Its epochs would not tell: a trainer may come to its own end.
        went_on = completed[born][index] > 1 + before[born, index] or row["status"] != Status.COMPLETED.word
        if not went_on:
            goals[identity(born, index)] = (row["epochs"], settings.stages[number].epochs)
    return goals
