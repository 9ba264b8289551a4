"""What a stage came to, read back from the stored tables: what the next region is fitted on, and its counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sweeps.arrow import numbers
from sweeps.declaration import space_from
from sweeps.errors import UsageError
from sweeps.objective import Objective
from sweeps.regions import Observed, Region
from sweeps.settings import Settings
from sweeps.space import Choice, Parameter, Range, Space
from sweeps.store import Store
from sweeps.tables import configs_of
from workers.messages import Status


@dataclass(frozen=True, slots=True)
class Outcome:
    """A stage's counts and its best trial.

    Attributes:
        counts: Trials by status, every status named.
        best_trial: Index of the best trial; None when no trial has a finite objective.
        best: Its objective.
    """

    counts: Mapping[str, int]
    best_trial: int | None
    best: float | None


def observed(store: Store, number: int, settings: Settings) -> Observed:
    """A finished stage as `regions.fit` sees it, from what is stored."""
    names, metric = settings.space.names, settings.objective.metric
    table = store.trials(number, ["trial", *names, metric, "status"])
    values = numbers(table[metric])
    stopped = np.array([status == Status.STOPPED.word for status in table["status"].to_pylist()], np.bool_)
    return Observed(configs_of(table, settings.space), settings.objective.scores(values), stopped)


def outcome(store: Store, number: int, objective: Objective) -> Outcome:
    """What a stage came to so far, from what is stored."""
    table = store.trials(number, ["trial", objective.metric, "status"])
    counts = {each.word: 0 for each in Status}
    for pair in table["status"].value_counts().to_pylist():
        counts[pair["values"]] = pair["counts"]
    values = numbers(table[objective.metric])
    scores = objective.scores(values)
    if not np.isfinite(scores).any():
        return Outcome(counts, None, None)
    row = int(np.argmin(scores))
    return Outcome(counts, table["trial"][row].as_py(), float(values[row]))


def region_row(region: Region, written: Mapping[str, Any]) -> dict[str, Any]:
    """A region as columns of the `stages` table; `written` declares its space as a sweep file would."""
    return {
        "region": json.dumps(written),
        "moves": json.dumps(dict(region.moves), sort_keys=True),
        "evidence": list(region.evidence),
    }


def region_from(row: Mapping[str, Any], space: Space) -> Region:
    """The region that a row of `stages` holds; what it does not hold (limits, conditions) is the space's.

    Raises:
        UsageError: It holds none that is of this space.
    """
    try:
        return _region(row, space)
    except (LookupError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise UsageError(f"the region of stage {row['stage']!r} cannot be read: {error}") from error


def _region(row: Mapping[str, Any], space: Space) -> Region:
    """The region that a row of `stages` holds, or any error."""
    stored = space_from(json.loads(row["region"]))
    parameters: dict[str, Parameter] = {}
    for name, parameter in space.parameters.items():
        found = stored.parameters[name]
        if isinstance(parameter, Range) and isinstance(found, Range):
            parameters[name] = replace(parameter, low=found.low, high=found.high)
        elif isinstance(parameter, Choice) and isinstance(found, Choice):
            parameters[name] = found
    return Region(space.narrowed(parameters), tuple(row["evidence"]), dict(json.loads(row["moves"])))
