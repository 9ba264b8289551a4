"""A run as it lies on disk, for whoever only looks at it: takes no lock, changes nothing."""

from __future__ import annotations

import itertools
import os
import pathlib
import re
import tomllib
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from sweeps.arrow import chosen, column, numbers
from sweeps.errors import Damaged, UsageError
from sweeps.layout import layout_of, order_of
from sweeps.private import opener, refuse_links
from sweeps.settings import CONFIRM, Settings, StageSettings, settings_from
from sweeps.space import config_at
from sweeps.tables import configs_of, conform, read, table_of
from workers.messages import FAILURES, Status

_NAME = re.compile(r"\d{3}-[A-Za-z0-9_-]+(\.part-\d+)?\.parquet")


_LONGEST = 2**24  # characters of a sweep as resolved


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
        refuse_links(folder)
        try:
            with open(path, encoding="utf-8", opener=opener) as file:
                text = file.read(_LONGEST + 1)
            if len(text) > _LONGEST:
                raise ValueError(f"it has more than {_LONGEST:,} characters")
            written = tomllib.loads(text)
        except FileNotFoundError:
            raise UsageError(f"{folder} holds no run: there is no {path}") from None
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{path} cannot be read: {error}") from error
        written.pop("source", None)  # digests of the trainer's code: for `changes`
        self.settings: Settings = settings_from(written, folder)
        if self.settings.search is not None:
            self.settings = replace(self.settings, stages=self._decided() or self.settings.stages)

    def _decided(self) -> tuple[StageSettings, ...]:
        """The stages of a search that have begun."""
        rows = self.table("stages").select(["stage", "trials", "epochs", "method"]).to_pylist()
        return tuple(StageSettings(row["stage"], row["trials"], row["epochs"], row["method"]) for row in rows)

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
            except Damaged as error:
                raise Damaged(f"{error}; if it was stored last, `sweeps run` again sets it aside") from error
            layout = layout_of(self.settings.space)
            names = {field for _, table in found for field in table.column_names}
            schema = layout.with_metrics(names - set(layout.schema(name).names)).schema(name)
            whole = [table_of(schema, {}, 0)]
            for _, files in itertools.groupby(found, lambda pair: pair[0].name[:3]):
                stage = [conform(table, schema) for _, table in files]
                whole += stage if len(stage) == 1 else [pa.concat_tables(stage).sort_by(order_of(schema))]
            table = pa.concat_tables(whole)
            self._refuse_others(name, table)
            return table
        raise UsageError(f"{self.folder / name} keeps changing: try again")

    def _refuse_others(self, name: str, table: pa.Table) -> None:
        """Raise when a table has rows of a stage that is none of the sweep's."""
        known = {stage.name for stage in self.settings.stages}
        for stage in table["stage"].unique().to_pylist():
            if stage is None or (self.settings.search is None and stage not in known):
                raise UsageError(f"{self.folder / name} holds rows of a stage {stage!r} that its sweep.toml lacks")

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
        """The best trials with their configs, best first; ties go to the lowest (stage, trial).

        Those that were confirmed come first, by the mean over their new seeds, with its `spread` (standard deviation)
        and the number of `seeds`.
        """
        if self.settings.search is not None and self.settings.search.confirm:
            return self._confirmed(self._leading(None))[:count]
        return self._leading(count)

    def _leading(self, count: int | None) -> list[dict[str, Any]]:
        """The best trials by what each of them reached."""
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

    def _confirmed(self, leading: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The best trials, those that were trained again first."""
        values: dict[str, list[float]] = {}
        for row in leading:
            if row["stage"] == CONFIRM:
                values.setdefault(repr(row["config"]), []).append(row["value"])
        confirmed = []
        for row in leading:
            again = values.pop(repr(row["config"]), None) if row["stage"] != CONFIRM else None
            if again is not None:
                spread = float(np.std(again, ddof=1)) if len(again) > 1 else None
                confirmed.append({**row, "value": float(np.mean(again)), "spread": spread, "seeds": len(again)})
        sign = -1 if self.settings.objective.mode == "max" else 1
        confirmed.sort(key=lambda row: sign * row["value"])
        places = {(row["stage"], row["trial"]) for row in confirmed}
        others = [row for row in leading if row["stage"] != CONFIRM and (row["stage"], row["trial"]) not in places]
        return confirmed + others

    def configs(self, trials: pa.Table) -> list[dict[str, Any]]:
        """The config of each row of `trials`, without the parameters that are not active in it."""
        values = configs_of(trials, self.settings.space)
        return [config_at(values, i) for i in range(trials.num_rows)]

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
