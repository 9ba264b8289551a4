"""Reports as columns: several blocks as one, some rows of one, and one as it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sweeps.objective import Objective
from sweeps.space import Floats
from sweeps.tables import masked
from workers.messages import Flags, Ints, Reports


def table_columns(reports: Reports) -> dict[str, Any]:
    """Reports as columns of their table."""
    columns: dict[str, Any] = {
        name: masked(values, reports.missing.get(name)) for name, values in reports.metrics.items()
    }
    return {"trial": reports.trial, "epoch": reports.epoch, **columns}


def joined(blocks: Sequence[Reports]) -> Reports:
    """Blocks of reports as one; a metric that a block does not have is missing there."""
    names = list(dict.fromkeys(name for block in blocks for name in block.metrics))
    metrics, missing = {}, {}
    for name in names:
        values, gaps = [], []
        for block in blocks:
            size = len(block.trial)
            here = name in block.metrics
            values.append(block.metrics[name] if here else np.full(size, np.nan))
            gaps.append(block.missing.get(name, np.zeros(size, np.bool_)) if here else np.ones(size, np.bool_))
        metrics[name] = np.concatenate(values)
        if any(gap.any() for gap in gaps):
            missing[name] = np.concatenate(gaps)
    empty: Ints = np.empty(0, np.int64)
    return Reports(
        np.concatenate([empty, *(block.trial for block in blocks)]),
        np.concatenate([empty, *(block.epoch for block in blocks)]),
        metrics,
        missing,
    )


def where(reports: Reports, rows: Flags | Ints) -> Reports:
    """Some rows of the reports."""
    return Reports(
        reports.trial[rows],
        reports.epoch[rows],
        {name: values[rows] for name, values in reports.metrics.items()},
        {name: gaps[rows] for name, gaps in reports.missing.items()},
    )


def in_order(reports: Reports) -> Reports:
    """The reports in the order of trial and epoch."""
    return where(reports, np.lexsort((reports.epoch, reports.trial)).astype(np.int64))


def objective_values(reports: Reports, objective: Objective) -> Floats:
    """(n,) the objective of each report, NaN where it has none."""
    return reports.metrics.get(objective.metric, np.full(len(reports.trial), np.nan))
