"""Earlier trials that a later stage takes up: which they are, and how far they still have to go."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from sweeps.arrow import chosen, column, numbers
from sweeps.objective import Objective
from sweeps.settings import Settings
from sweeps.space import Floats
from sweeps.store import Store
from workers.messages import Ints, Status, identities, identity, place_of


def best_first(store: Store, objective: Objective, stages: int, below: int | None = None) -> Ints:
    """(n,) the trials of the first so many stages that have a score; ties go to the lowest (stage, trial).

    Args:
        store: Holds the results.
        objective: What is optimised.
        stages: How many stages.
        below: Only trials that came to their end before so many epochs: these can be trained longer.
    """
    trials: list[Ints] = [np.empty(0, np.int64)]
    scores: list[Floats] = [np.empty(0)]
    for number in range(stages):
        table = store.trials(number, ["trial", objective.metric, "status", "epochs"])
        if below is not None:
            table = chosen(table, "status", [Status.COMPLETED.word])
            table = table.filter(column(numbers(table["epochs"]) < below, pa.bool_()))
        trials.append(identities(number, numbers(table["trial"])))
        scores.append(objective.scores(numbers(table[objective.metric])))
    found, score = np.concatenate(trials), np.concatenate(scores)
    order = np.lexsort((found, score))
    return found[order[np.isfinite(score[order])]]


def chosen_names(store: Store, settings: Settings, number: int) -> list[str]:
    """The trials that are to go on in a stage that has not begun, as `coarse-17`, best first."""
    stage = settings.stages[number]
    if not stage.continued:
        return []
    best = best_first(store, settings.objective, number, below=stage.epochs)[: stage.continued]
    return [f"{settings.stages[born].name}-{index}" for born, index in map(place_of, best.tolist())]


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
    here = places(stored_names(store, number), settings)
    stages = {born for born, _ in here}
    rows = {born: store.rows(born, np.array([index for each, index in here if each == born])) for born in stages}
    completed = {born: store.completed(born) for born in stages}
    for born, index in here:
        row = rows[born][index]
        # Its epochs would not tell: a trainer may come to its own end.
        went_on = completed[born][index] > 1 + before[born, index] or row["status"] != Status.COMPLETED.word
        if not went_on:
            goals[identity(born, index)] = (row["epochs"], settings.stages[number].epochs)
    return goals
