"""The configs of a stage given by hand whose method is "model": what a search would try next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sweeps.arrow import numbers
from sweeps.objective import Objective
from sweeps.proposal import Proposal, Results, propose
from sweeps.regions import Region
from sweeps.settings import StageSettings
from sweeps.space import Columns, Floats, Space
from sweeps.store import Store
from sweeps.tables import values_of
from workers.messages import Status


def modelled(
    store: Store, space: Space, objective: Objective, seed: int, stages: Sequence[StageSettings], number: int
) -> Proposal:
    """What a model of the finished stages proposes for the next one.

    It sees the score after each earlier stage's budget and nothing past that, so that it proposes the same when some of
    these trials have gone on since.

    Args:
        store: Holds the results.
        space: What is searched.
        objective: What is optimised.
        seed: Seed of the sweep.
        stages: The plan.
        number: Number of the stage, at least 1.
    """
    domain = Region(space)
    for following in range(1, number + 1):  # how far the space was moved before belongs to what is known now
        rungs = sorted({stage.epochs for stage in stages[:following]})
        results = _results(store, space, objective, rungs, following)
        proposal = propose(domain, results, rungs, seed, following, stages[following].trials)
        domain = proposal.domain
    return proposal


def _results(store: Store, space: Space, objective: Objective, rungs: Sequence[int], stages: int) -> Results:
    """The trials of the first so many stages, as a proposal sees them."""
    columns: dict[str, list[object]] = {name: [] for name in space.names}
    values: list[Floats] = [np.empty((0, len(rungs)))]
    for number in range(stages):
        table = store.trials(number, ["trial", "status", *space.names])
        for name in space.names:
            columns[name] += values_of(table[name], space.parameters[name])
        reports = store.reports(number, objective.metric)
        trials, epochs = numbers(reports["trial"]), numbers(reports["epoch"])
        scores = objective.scores(numbers(reports[objective.metric]))
        for trial, status in zip(numbers(table["trial"]).tolist(), table["status"].to_pylist(), strict=True):
            mine = trials == trial
            values.append(_at_rungs(epochs[mine], scores[mine], rungs, status == Status.COMPLETED.word)[None])
    found: Columns = {name: list(column) for name, column in columns.items()}
    return Results(found, np.concatenate(values))


def _at_rungs(epochs: Floats, scores: Floats, rungs: Sequence[int], sound: bool) -> Floats:
    """(r,) the score at each rung; infinite from where the trial died, NaN where it was not trained so far."""
    at = dict(zip(epochs.tolist(), scores.tolist(), strict=True))
    return np.array([at.get(rung, np.nan if sound else np.inf) for rung in rungs])
