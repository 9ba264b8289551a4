"""A run as it lies on disk, for whoever only looks at it: takes no lock, changes nothing."""

from __future__ import annotations

import itertools
import os
import pathlib
import re
import tomllib
from typing import Any

import numpy as np
import pyarrow as pa

from sweeps.arrow import chosen, column, numbers
from sweeps.errors import UsageError
from sweeps.settings import Settings, settings_from
from sweeps.tables import conform, layout_of, order_of, read, table_of, values_of
from workers.messages import FAILURES, Status

_NAME = re.compile(r"\d{3}-[A-Za-z0-9_-]+(\.part-\d+)?\.parquet")


class Run:
    """The tables of a run.

    Attributes:
        folder: Where it is.
        settings: The sweep, as it was resolved.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        """Open a run to read.

        Raises:
            UsageError: The folder holds no run.
        """
        self.folder = folder
        path = folder / "sweep.toml"
        try:
            written = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise UsageError(f"{folder} holds no run: there is no {path}") from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"{path} cannot be read: {error}") from error
        self.settings: Settings = settings_from(written, folder)

    def table(self, name: str) -> pa.Table:
        """One of `trials`, `reports`, `stages`, `attempts`, in the order of stage, trial and epoch."""
        for _ in range(3):  # a driver that ends a stage replaces its parts while we read
            try:
                seen = [(path, _version(path)) for path in self._files(name)]
                found = [(path, read(path)) for path, _ in seen]
                if any(_version(path) != version for path, version in seen):
                    continue
            except FileNotFoundError:
                continue
            layout = layout_of(self.settings.space)
            names = {field for _, table in found for field in table.column_names}
            schema = layout.with_metrics(names - set(layout.schema(name).names)).schema(name)
            whole = [table_of(schema, {}, 0)]
            for _, files in itertools.groupby(found, lambda pair: pair[0].name[:3]):
                stage = [conform(table, schema) for _, table in files]
                whole += stage if len(stage) == 1 else [pa.concat_tables(stage).sort_by(order_of(schema))]
            return pa.concat_tables(whole)
        raise UsageError(f"{self.folder / name} keeps changing: try again")

    def stages(self) -> list[dict[str, Any]]:
        """One row per stage of the plan; counts are those of the stored trials."""
        trials = self.table("trials")
        rows = []
        for stage in self.settings.stages:
            found = chosen(trials, "stage", [stage.name])["status"].value_counts().to_pylist()
            counts = {each.word: 0 for each in Status} | {pair["values"]: pair["counts"] for pair in found}
            rows.append({"stage": stage.name, "trials": stage.trials, "epochs": stage.epochs, **counts})
        return rows

    def best(self, count: int) -> list[dict[str, Any]]:
        """The best trials with their configs, best first; ties go to the lowest (stage, trial)."""
        trials, metric = self.table("trials"), self.settings.objective.metric
        if metric not in trials.column_names:
            return []
        values = numbers(trials[metric])
        scores = self.settings.objective.scores(values)
        places = {stage.name: i for i, stage in enumerate(self.settings.stages)}
        stages = np.array([places.get(name, len(places)) for name in trials["stage"].to_pylist()])
        order = np.lexsort((numbers(trials["trial"]), stages, scores))[:count]
        order = order[np.isfinite(scores[order])]
        rows = trials.take(column(order, pa.int64()))
        configs = self.configs(rows)
        keys = rows.select(["stage", "trial", "best_epoch"]).to_pylist()
        return [
            {**key, "value": float(values[i]), "config": config}
            for key, i, config in zip(keys, order, configs, strict=True)
        ]

    def configs(self, trials: pa.Table) -> list[dict[str, Any]]:
        """The config of each row of `trials`, without the parameters that are not active in it."""
        space = self.settings.space
        values = {name: values_of(trials[name], parameter) for name, parameter in space.parameters.items()}
        return [{name: each[i] for name, each in values.items() if each[i] is not None} for i in range(trials.num_rows)]

    def failed(self) -> list[dict[str, Any]]:
        """The trials that failed, with the error and traceback of their last attempt."""
        trials = self.table("trials")
        bad = chosen(trials, "status", FAILURES)
        if not bad.num_rows:
            return []
        attempts = {}
        tries = chosen(self.table("attempts"), "outcome", FAILURES)
        for row in tries.select(["stage", "trial", "error", "traceback"]).to_pylist():
            attempts[(row["stage"], row["trial"])] = row
        none = {"error": None, "traceback": None}
        return [
            {**row, **{k: attempts.get((row["stage"], row["trial"]), none)[k] for k in ("error", "traceback")}}
            for row in bad.select(["stage", "trial", "status", "reason"]).to_pylist()
        ]

    def _files(self, table: str) -> list[pathlib.Path]:
        """A table's files, in order."""
        folder = self.folder / table
        if not folder.is_dir():
            return []
        return [folder / name for name in sorted(p.name for p in folder.iterdir()) if _NAME.fullmatch(name)]


def _version(path: pathlib.Path) -> tuple[int, int]:
    """What tells a file from another one that takes its place."""
    found = os.stat(path)
    return found.st_ino, found.st_mtime_ns
