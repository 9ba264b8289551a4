"""A run as it lies on disk, for whoever only looks at it: takes no lock, changes nothing."""

from __future__ import annotations

import pathlib
import re
import tomllib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sweeps.errors import UsageError
from sweeps.settings import Settings, settings_from
from sweeps.tables import conform, read, values_of
from workers.messages import Status

_FAILED = [Status.FAILED.word, Status.TIMEOUT.word, Status.LOST.word]
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
                tables = [read(path) for path in self._files(name)]
            except FileNotFoundError:
                continue
            names = list(dict.fromkeys(field.name for table in tables for field in table.schema))
            fields = [next(t.schema.field(n) for t in tables if n in t.schema.names) for n in names]
            schema = pa.schema(fields)
            return pa.concat_tables([schema.empty_table(), *(conform(table, schema) for table in tables)])
        raise UsageError(f"{self.folder / name} keeps changing: try again")

    def stages(self) -> list[dict[str, Any]]:
        """One row per stage of the plan; counts are those of the stored trials."""
        trials = self.table("trials")
        rows = []
        for stage in self.settings.stages:
            mine = trials.filter(pc.equal(trials["stage"], stage.name)) if trials.num_rows else trials
            counts = {each.word: 0 for each in Status}
            if mine.num_rows:
                counts |= {pair["values"]: pair["counts"] for pair in mine["status"].value_counts().to_pylist()}
            rows.append({"stage": stage.name, "trials": stage.trials, "epochs": stage.epochs, **counts})
        return rows

    def best(self, count: int) -> list[dict[str, Any]]:
        """The best trials with their configs, best first; ties go to the lowest (stage, trial)."""
        trials, metric = self.table("trials"), self.settings.objective.metric
        if metric not in trials.column_names:
            return []
        values = trials[metric].to_numpy(zero_copy_only=False).astype(np.float64)
        scores = self.settings.objective.scores(values)
        places = {stage.name: i for i, stage in enumerate(self.settings.stages)}
        stages = np.array([places.get(name, len(places)) for name in trials["stage"].to_pylist()])
        order = np.lexsort((trials["trial"].to_numpy(), stages, scores))[:count]
        order = order[np.isfinite(scores[order])]
        rows = trials.take(pa.array(order))
        configs = self.configs(rows)
        keys = rows.select(["stage", "trial", "best_epoch"]).to_pylist()
        return [
            {**key, "value": float(values[i]), "config": config}
            for key, i, config in zip(keys, order, configs, strict=True)
        ]

    def configs(self, trials: pa.Table) -> list[dict[str, Any]]:
        """The config of each row of `trials`, without the parameters that are not active in it."""
        space = self.settings.space
        columns = {name: values_of(trials[name], parameter) for name, parameter in space.parameters.items()}
        return [
            {name: column[i] for name, column in columns.items() if column[i] is not None}
            for i in range(trials.num_rows)
        ]

    def failed(self) -> list[dict[str, Any]]:
        """The trials that failed, with the error and traceback of their last attempt."""
        trials = self.table("trials")
        bad = trials.filter(pc.is_in(trials["status"], pa.array(_FAILED)))
        if not bad.num_rows:
            return []
        attempts = {}
        tries = self.table("attempts")
        tries = tries.filter(pc.is_in(tries["outcome"], pa.array(_FAILED)))
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
