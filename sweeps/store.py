"""The folder of a run: Parquet parts while a stage runs, one canonical file per table and stage when it ended.

    sweep.toml                              the settings as resolved
    trials/000-coarse.parquet               a finished stage
    trials/001-fine.part-00000.parquet      a stage that runs; reports/ and attempts/ alike
    stages/000-coarse.parquet               region and evidence from the start of the stage, counts from its end
    logs/coarse-17.log                      what a trial printed

    .pending/                               what is not whole yet; readers of a table's folder never see it
    .continued/                             rows of `trials` whose training goes on: they replace those that are there
    checkpoints/                            what trials left for their own continuation

The protocol. A part is written in `.pending`, synced, renamed to its place, its folder synced. The parts of one flush
carry one number in all tables and are written reports, attempts, trials: what has no trials part never happened, and
is removed when the run is opened. At the end of a stage the parts of a table become one sorted file: it is written as
`.pending/trials.000-coarse.ready`; from that moment its parts are removed, and then it is renamed to its place. A
crash in between is finished when the run is opened. At any moment (stage, trial, epoch) is unique for a reader.

What a later stage trains further is stored with the stage that it was born in, which then ends a second time.
"""

from __future__ import annotations

import errno
import os
import pathlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from sweeps.arrow import chosen, column, numbers
from sweeps.damage import aside, set_aside
from sweeps.errors import UsageError
from sweeps.hold import hold, make
from sweeps.layout import CONTINUED, Layout, layout_of, order_of
from sweeps.private import FOLDER, opener, refuse_links
from sweeps.secret import hidden
from sweeps.space import Flags, Space
from sweeps.tables import (
    check,
    conform,
    merged,
    read,
    schema_of,
    table_of,
    write,
)
from workers.durable import sync_folder
from workers.messages import Ints, Status

_PART = re.compile(r"(\d{3})-([A-Za-z0-9_-]+)\.part-(\d+)\.parquet")
_CANONICAL = re.compile(r"(\d{3})-([A-Za-z0-9_-]+)\.parquet")
_READY = re.compile(r"([a-z]+)\.(\d{3}-[A-Za-z0-9_-]+)\.ready")
_TABLES = ("reports", "attempts", CONTINUED, "trials")  # in the order in which they are written
_PENDING = ".pending"
_FULL = (errno.ENOSPC, errno.EDQUOT)


def _give_up(error: OSError) -> None:
    """What a store without patience does about a full disk."""
    raise error


class Store:
    """A run's folder, held by one driver.

    Attributes:
        folder: Where it is.
        damaged: A line for each flush that was set aside at its opening.
    """

    def __init__(self, folder: pathlib.Path, space: Space, wait_for_room: Callable[[OSError], None] = _give_up) -> None:
        """Take hold of a run's folder, making it if need be, and finish what a crash left unfinished.

        Args:
            folder: Where the run is, or is to be.
            space: The sweep's space, which gives the columns.
            wait_for_room: Called when the disk is full; what could not be written is then written again.

        Raises:
            RunHeld: Another driver holds it.
            UsageError: It cannot be written, or a file in it is damaged.
        """
        self.folder = folder
        self.damaged: list[str] = []
        self._wait_for_room = wait_for_room
        try:
            make(folder)
            refuse_links(folder)
            self._lock = hold(folder)
            try:
                self._open(space)
            except BaseException:
                self.close()
                raise
        except OSError as error:
            raise UsageError(
                f"cannot write results to {folder}: {error.strerror}; choose another place with --out"
            ) from error
        numbers_of_parts = [int(m[3]) for m in map(_PART.search, self._names("trials") + aside(folder)) if m]
        self._next_part = 1 + max(numbers_of_parts, default=-1)

    @property
    def checkpoints(self) -> pathlib.Path:
        """The folder of the trials' checkpoints; it need not exist."""
        return self.folder / "checkpoints"

    def close(self) -> None:
        """Let go of the folder; closing twice is harmless."""
        self._lock.close()

    def is_finished(self, number: int) -> bool:
        """Whether a stage has its canonical files, and no part that came later."""
        parts = [path for table in _TABLES for path in self._files(table, number) if _PART.fullmatch(path.name)]
        return self._canonical("trials", number) is not None and not parts

    def done(self, number: int, count: int) -> Flags:
        """(count,) true for the trials of a stage that are stored."""
        flags = np.zeros(count, np.bool_)
        for path in self._files("trials", number):
            trials = numbers(read(path, ["trial"])["trial"])
            flags[trials[trials < count]] = True
        return flags

    def tries(self, number: int, trials: Ints) -> dict[int, int]:
        """How often each of some trials of a stage was tried before, for those that were."""
        made: dict[int, int] = {}
        for path in self._files("attempts", number):
            table = read(path, ["trial", "attempt"])
            trial, attempt = numbers(table["trial"]), numbers(table["attempt"])
            wanted = np.isin(trial, trials)
            for one, count in zip(trial[wanted].tolist(), attempt[wanted].tolist(), strict=True):
                made[one] = max(count, made.get(one, 0))
        return made

    def completed(self, number: int) -> Counter[int]:
        """How often each trial of a stage came to the end of a piece of its training."""
        done: Counter[int] = Counter()
        for path in self._files("attempts", number):
            table = chosen(read(path, ["trial", "outcome"]), "outcome", [Status.COMPLETED.word])
            done.update(numbers(table["trial"]).tolist())
        return done

    def reports(self, number: int, metric: str) -> pa.Table:
        """A stage's stored reports of one metric, in the order of trial and epoch; null where it was not reported."""
        wanted = pa.schema([("trial", pa.int64()), ("epoch", pa.int64()), (metric, pa.float64())])
        tables = [conform(read(path, wanted.names), wanted) for path in self._files("reports", number)]
        return pa.concat_tables([table_of(wanted, {}, 0), *tables]).sort_by(order_of(wanted))

    def trials(self, number: int, columns: Sequence[str]) -> pa.Table:
        """Columns of a stage's stored trials, in their order; null for a metric that was never reported."""
        schema = self._layout.schema("trials")
        wanted = pa.schema([schema.field(n) if n in schema.names else pa.field(n, pa.float64()) for n in columns])
        tables = [conform(read(path, columns), wanted) for path in self._files("trials", number)]
        return pa.concat_tables([table_of(wanted, {}, 0), *tables]).sort_by("trial")

    def rows(self, number: int, trials: Ints) -> dict[int, dict[str, Any]]:
        """The newest stored row of each of some trials of a stage, for those that have one."""
        found: dict[int, dict[str, Any]] = {}
        for path in [*self._files("trials", number), *self._files(CONTINUED, number)]:
            table = read(path)
            wanted = np.isin(numbers(table["trial"]), trials)
            if wanted.any():
                found |= {row["trial"]: row for row in table.filter(column(wanted, pa.bool_())).to_pylist()}
        return found

    def append(
        self,
        number: int,
        stage: str,
        rows: Mapping[str, tuple[Mapping[str, Any], int]],
        metrics: Sequence[str],
    ) -> None:
        """Store trials that ended, with their reports and attempts.

        Args:
            number: Number of the stage.
            stage: Its name.
            rows: Columns and row count for each of `reports`, `attempts` and `trials`, and for `.continued` where there
                are trials that went on.
            metrics: Names of the metrics in them.
        """
        self._widen(metrics)
        for table in _TABLES:
            if table not in rows:
                continue
            columns, count = rows[table]
            schema = self._layout.schema(table)
            path = self.folder / table / f"{number:03d}-{stage}.part-{self._next_part:05d}.parquet"
            self._write(path, table_of(schema, {"stage": stage, **columns}, count))
        self._next_part += 1

    def finish(self, number: int, stage: str) -> None:
        """Turn the parts of a stage, and what it had before, into one sorted file per table."""
        for table in _TABLES:
            if table != CONTINUED:
                self._merge(table, number, self.folder / _PENDING / f"{table}.{number:03d}-{stage}.ready")

    def put_stage(self, number: int, row: Mapping[str, Any]) -> None:
        """Store a stage's row: its region when it starts, with its counts when it ends."""
        schema = self._layout.schema("stages")
        path = self.folder / "stages" / f"{number:03d}-{row['stage']}.parquet"
        self._write(path, table_of(schema, {name: [value] for name, value in row.items()}, 1))

    def stage(self, number: int) -> dict[str, Any] | None:
        """A stage's row, or None before it has begun."""
        path = self._canonical("stages", number)
        return None if path is None else read(path).to_pylist()[0]

    def log(self, stage: str, printed: Sequence[tuple[int, str]]) -> None:
        """Append what trials printed to their logs; -1 is what was printed outside of any trial."""
        for trial, text in printed:
            name = f"{stage}-{trial}.log" if trial >= 0 else "worker.log"
            self._with_room(partial(_append, self.folder / "logs" / name, hidden(text)))

    def _widen(self, metrics: Sequence[str]) -> None:
        """Give a metric that was never seen before its column in every file.

        Metrics show up with the first reports of a stage, so this is rare and the files are few.
        """
        wider = self._layout.with_metrics(metrics)
        if wider.metrics != self._layout.metrics:
            self._take(wider)

    def _take(self, layout: Layout) -> None:
        """Take over a layout, and widen the files that are narrower: when it grows, or where a crash left them."""
        for table in ("reports", CONTINUED, "trials"):
            schema = layout.schema(table)
            for path in reversed(self._files(table)):  # readers take the first file's columns: that one last
                if schema_of(path).names != schema.names:
                    self._write(path, conform(read(path), schema))
        self._layout = layout

    def _write(self, path: pathlib.Path, table: pa.Table) -> None:
        """Write a file, when there is room for it."""
        self._with_room(lambda: write(path, [table], table.schema, self.folder / _PENDING))

    def _merge(self, table: str, number: int, ready: pathlib.Path) -> None:
        """Write a stage's files as one, when there is room for it, and put that in their place."""
        schema, files = self._layout.schema(table), self._files(table, number)
        newer = self._files(CONTINUED, number) if table == "trials" else []
        self._with_room(lambda: write(ready, merged(files, schema, newer), schema, self.folder / _PENDING))
        self._settle(ready)

    def _with_room(self, act: Callable[[], None]) -> None:
        """Do what takes room on the disk; while there is none, wait for it."""
        while True:
            try:
                return act()
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                self._wait_for_room(error)

    def _open(self, space: Space) -> None:
        """Make what is missing, finish what a crash left, and take over the metrics that are stored."""
        for table in (*_TABLES, "stages", "logs", _PENDING):
            (self.folder / table).mkdir(exist_ok=True, mode=FOLDER)
        sync_folder(self.folder)
        for table in (*_TABLES, "stages", _PENDING):  # a crash may have left names that a power cut would take away
            sync_folder(self.folder / table)
        self._recover()
        while line := set_aside([path for table in reversed(_TABLES) for path in self._files(table)], self.folder):
            self.damaged.append(line)
        self._look_for_gaps()
        layout = layout_of(space)
        for path in self._files("reports"):
            layout = layout.with_metrics(set(schema_of(path).names) - {"stage", "trial", "epoch"})
        self._take(layout)

    def _recover(self) -> None:
        """Finish what a crash left: ready files take their place, what was not whole and lone parts never happened."""
        for name in sorted(os.listdir(self.folder / _PENDING)):
            if _READY.fullmatch(name):
                check(self.folder / _PENDING / name)  # while its parts are still there, if they are
                self._settle(self.folder / _PENDING / name)
            else:
                os.unlink(self.folder / _PENDING / name)
        complete = {(m[1], m[3]) for m in map(_PART.fullmatch, self._names("trials")) if m}
        for table in ("reports", "attempts", CONTINUED):
            for name in self._names(table):
                found = _PART.fullmatch(name)
                if found and (found[1], found[3]) not in complete:
                    os.unlink(self.folder / table / name)
            sync_folder(self.folder / table)

    def _look_for_gaps(self) -> None:
        """Raise when a file is gone whose rows other tables count on: half a stage would be stored twice, or not."""
        names = {table: self._names(table) for table in _TABLES}
        whole = {table: [name for name in names[table] if _CANONICAL.fullmatch(name)] for table in _TABLES}
        for name in names["trials"]:
            found = _PART.fullmatch(name) or _CANONICAL.fullmatch(name)
            for table in ("reports", "attempts"):
                if found and name not in names[table] and f"{found[1]}-{found[2]}.parquet" not in whole[table]:
                    raise _missing(self.folder / table / name)
        for name in whole["reports"]:
            if not any(other.startswith(name.removesuffix("parquet")) for other in names["trials"]):
                raise _missing(self.folder / "trials" / name)

    def _settle(self, ready: pathlib.Path) -> None:
        """Put a finished stage's file in the place of its parts."""
        found = _READY.fullmatch(ready.name)
        assert found is not None
        table, stage = self.folder / found[1], found[2]
        for each in (CONTINUED, "trials") if found[1] == "trials" else (found[1],):
            for name in self._names(each):
                part = _PART.fullmatch(name)
                if part and f"{part[1]}-{part[2]}" == stage:
                    os.unlink(self.folder / each / name)
            sync_folder(self.folder / each)  # else a power cut might leave the parts beside the file
        os.replace(ready, table / f"{stage}.parquet")
        sync_folder(table)

    def _names(self, table: str) -> list[str]:
        """Names of a table's Parquet files, in order."""
        return sorted(name for name in os.listdir(os.path.join(self.folder, table)) if not name.startswith("."))

    def _files(self, table: str, number: int | None = None) -> list[pathlib.Path]:
        """A table's Parquet files, or those of one stage."""
        prefix = "" if number is None else f"{number:03d}-"
        folder = self.folder / table
        return [
            folder / name
            for name in self._names(table)
            if name.startswith(prefix) and (_PART.fullmatch(name) or _CANONICAL.fullmatch(name))
        ]

    def _canonical(self, table: str, number: int) -> pathlib.Path | None:
        """A finished stage's file."""
        for name in self._names(table):
            found = _CANONICAL.fullmatch(name)
            if found and int(found[1]) == number:
                return self.folder / table / name
        return None


def _missing(path: pathlib.Path) -> UsageError:
    return UsageError(f"{path} is missing: put it back, or give the run a new --name")


def _append(path: pathlib.Path, text: str) -> None:
    """Write at the end of a text file."""
    with open(path, "a", encoding="utf-8", errors="replace", opener=opener) as file:
        file.write(text)
