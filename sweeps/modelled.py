"""The configs of a stage given by hand whose method is "model": what a search would try next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sweeps.arrow import numbers
from sweeps.objective import Objective
from sweeps.proposal import Proposal, Results, propose
from sweeps.regions import Region
from sweeps.settings import StageSettings
from sweeps.space import Flags, Floats, Space, Value
from sweeps.store import Store
from sweeps.tables import configs_of
from workers.messages import Ints, Status


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
        results = seen(store, space, objective, rungs, following)
        proposal = propose(domain, results, rungs, seed, following, stages[following].trials)
        domain = proposal.domain
    return proposal


def seen(store: Store, space: Space, objective: Objective, rungs: Sequence[int], stages: int) -> Results:
    """The trials of the first so many stages, as a proposal sees them."""
    columns: dict[str, list[Value]] = {name: [] for name in space.names}
    values: list[Floats] = [np.empty((0, len(rungs)))]
    for number in range(stages):
        table = store.trials(number, ["trial", "status", *space.names])
        for name, column in configs_of(table, space).items():
            columns[name] += column
        reports = store.reports(number, objective.metric)
        scores = objective.scores(numbers(reports[objective.metric]))
        sound = np.array([status == Status.COMPLETED.word for status in table["status"].to_pylist()], np.bool_)
        trials, told, epochs = numbers(table["trial"]), numbers(reports["trial"]), numbers(reports["epoch"])
        values.append(_at_rungs(trials, sound, told, epochs, scores, rungs))
    return Results(columns, np.concatenate(values))


def _at_rungs(trials: Ints, sound: Flags, told: Ints, epochs: Ints, scores: Floats, rungs: Sequence[int]) -> Floats:
    """(n, r) the score of each trial at each rung: infinite from where it died, NaN where it was not trained so far.

    Args:
        trials: (n,) the trials, ascending.
        sound: (n,) whether they came to their end.
        told: (m,) trial of each report.
        epochs: (m,) its epoch.
        scores: (m,) its score.
        rungs: (r,) epochs, ascending.
    """
    values = np.repeat(np.where(sound, np.nan, np.inf)[:, None], len(rungs), axis=1)
    at = np.isin(epochs, rungs) & np.isin(told, trials)
    values[np.searchsorted(trials, told[at]), np.searchsorted(rungs, epochs[at])] = scores[at]
    return values
