"""The Parquet files that hold the tables. The one file that writes Parquet.

Same rows, same bytes: columns in the order of their layout, row groups of a fixed size.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sweeps.arrow import column, numbers, repeated
from sweeps.errors import Damaged, UsageError
from sweeps.layout import check_columns, order_of
from sweeps.private import opener
from sweeps.seal import UNSEALED, check_seal, seal
from sweeps.space import Choice, Columns, Parameter, Range, Space, Value
from workers.durable import sync_folder

ROW_GROUP = 131_072  #: rows; fixed, so that the same rows give the same bytes
DAMAGE = (OSError, ValueError, pa.ArrowException)  #: what reading a damaged file may raise
_NUMBERS = {"trial", "epoch", "attempt", "number"}  # no row is without them
_FEW = 10_000  # rows
_CODEC = {"compression": "zstd", "compression_level": 1}


def configs_of(table: pa.Table, space: Space) -> Columns:
    """The configs of a table of trials, in native values."""
    return {name: _values_of(table[name], parameter) for name, parameter in space.parameters.items()}


def _values_of(stored: pa.ChunkedArray, parameter: Parameter) -> list[Value]:
    """The native values of a parameter's column."""
    values = stored.to_pylist()
    if not isinstance(parameter, Range) and pa.types.is_string(stored.type):
        known = list(parameter.values) if isinstance(parameter, Choice) else [parameter.value]
        if not all(isinstance(value, str) for value in known):
            native = {json.dumps(value, sort_keys=True): value for value in known}
            return [None if value is None else native.get(value) for value in values]
    return values  # type: ignore[no-any-return]


def table_of(schema: pa.Schema, columns: Mapping[str, Any], rows: int) -> pa.Table:
    """A table with every column of the schema, null where nothing is given; a lone value fills its column."""
    arrays = []
    for field in schema:
        given = columns.get(field.name)
        if given is None:
            arrays.append(pa.nulls(rows, field.type))
        elif isinstance(given, str):
            arrays.append(repeated(given, rows))
        elif isinstance(given, pa.Array | pa.ChunkedArray):
            arrays.append(given)
        else:
            arrays.append(column(given, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def masked(values: np.ndarray[Any, Any], missing: np.ndarray[Any, Any] | None) -> pa.Array:
    """Numbers as a column: NaN stays NaN, what is missing is null."""
    return column(values, pa.float64() if values.dtype.kind == "f" else pa.int64(), missing)


def write(path: pathlib.Path, tables: Iterable[pa.Table], schema: pa.Schema, pending: pathlib.Path) -> None:
    """Write a Parquet file that is there whole or not at all, also after a power cut.

    Args:
        path: Its place.
        tables: Its rows, in pieces.
        schema: Its columns.
        pending: The folder where it is until it is whole, on the same disk.
    """
    temporary = pending / f"{path.parent.name}.{path.name}.tmp"
    with open(temporary, "w+b", opener=opener) as file:
        sealable = schema.with_metadata(UNSEALED)
        writer = pq.ParquetWriter(file, sealable, write_page_checksum=True, version="2.6", **_CODEC)
        with writer:
            for piece in _row_groups(tables):
                writer.write_table(piece, row_group_size=ROW_GROUP)
        seal(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(path.parent)


def read(path: pathlib.Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A Parquet file, its checksums verified; of some columns those that it has.

    Raises:
        Damaged: It is named.
    """
    with _opened(path) as file:
        # To wake threads takes longer than to read a small file.
        table = file.read(columns, use_threads=file.metadata.num_rows > _FEW)
        for name in _NUMBERS & set(table.column_names):
            if table[name].null_count or numbers(table[name]).min(initial=0) < 0:
                raise ValueError(f"not every row has a {name}")
        return table


def check(path: pathlib.Path) -> None:
    """Read a Parquet file for nothing but its checksums, a piece at a time.

    Raises:
        Damaged: It is named.
    """
    with _opened(path) as file:
        for group in range(file.num_row_groups):
            file.read_row_group(group)


def schema_of(path: pathlib.Path) -> pa.Schema:
    """The columns of a Parquet file.

    Raises:
        Damaged: It is named.
    """
    with _opened(path) as file:
        return file.schema_arrow


def merged(paths: Sequence[pathlib.Path], schema: pa.Schema, newer: Sequence[pathlib.Path] = ()) -> Iterator[pa.Table]:
    """The rows of several files in the order of trial and epoch, in pieces.

    The rows in `newer` files, later files winning, replace those of the same trials.

    Trials end roughly in the order in which they began, so each row group covers a stretch of trials: groups are read
    in the order of their first trial, and what lies before the next one's first trial is passed on as soon as it is
    worth it. Memory holds the overlap and two groups, not the stage.
    """
    order = order_of(schema)
    groups = sorted(itertools.chain.from_iterable(map(_groups, paths)))
    held = table_of(schema, {}, 0)
    if newer:
        held = _last_by_trial(pa.concat_tables([conform(read(path), schema) for path in newer]))
    replaced = numbers(held["trial"])
    for i, (_, path, group) in enumerate(groups):
        with _opened(path) as file:
            rows = conform(file.read_row_group(group, use_threads=False), schema)
        if len(replaced):
            rows = rows.filter(column(~np.isin(numbers(rows["trial"]), replaced), pa.bool_()))
        held = pa.concat_tables([held, rows])
        if i + 1 < len(groups) and held.num_rows >= ROW_GROUP:
            before = numbers(held["trial"]) < groups[i + 1][0]
            yield held.filter(column(before, pa.bool_())).sort_by(order)
            held = held.filter(column(~before, pa.bool_()))
    yield held.sort_by(order)


def _last_by_trial(table: pa.Table) -> pa.Table:
    """The last row of each trial."""
    trials = numbers(table["trial"])
    _, backwards = np.unique(trials[::-1], return_index=True)
    return table.take(column(len(trials) - 1 - backwards, pa.int64()))


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly these columns: nulls for the ones that it lacks.

    Raises:
        UsageError: A column is of another type.
    """
    have = set(table.column_names)
    for f in schema:
        if f.name in have and table.schema.field(f.name).type != f.type:
            raise UsageError(f"the column {f.name!r} of a table holds {table.schema.field(f.name).type}, not {f.type}")
    arrays = [table[f.name] if f.name in have else pa.nulls(table.num_rows, f.type) for f in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def verified(file: pa.NativeFile) -> pq.ParquetFile:
    """A Parquet file whose checksums are verified: its footer's now, those of its pages as they are read.

    Raises:
        DAMAGE: It is damaged.
    """
    check_seal(file)
    file.seek(0)
    # Without a buffer that threads fill: the disk is near, and most files are small.
    found = pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False)
    # A page may stand for any number of equal rows: one of ours never does for more than it has to.
    if any(not 0 <= found.metadata.row_group(i).num_rows <= ROW_GROUP for i in range(found.num_row_groups)):
        raise ValueError(f"it has more than {ROW_GROUP:,} rows in one group")
    return found


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[pq.ParquetFile]:
    """A Parquet file whose checksums are verified, those of its pages as they are read.

    Raises:
        Damaged: It is named.
    """
    try:
        with pa.OSFile(str(path)) as file:
            found = verified(file)
            table = path.name.partition(".")[0] if path.suffix == ".ready" else path.parent.name
            check_columns(found.schema_arrow, table)
            yield found
    except FileNotFoundError:
        raise
    except DAMAGE as error:
        raise Damaged(f"{path} is damaged and is not read: {' '.join(str(error).split())[:200]}") from error


def _groups(path: pathlib.Path) -> list[tuple[int, pathlib.Path, int]]:
    """The row groups of a file: (lowest trial, from its statistics; the file; number of the group)."""
    with _opened(path) as file:
        metadata = file.metadata
        place = file.schema_arrow.get_field_index("trial")
    groups = [metadata.row_group(i).column(place).statistics for i in range(metadata.num_row_groups)]
    return [(s.min if s is not None and s.has_min_max else 0, path, i) for i, s in enumerate(groups)]


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in pieces of exactly `ROW_GROUP` rows, but for the last."""
    held: list[pa.Table] = []
    for table in tables:
        rows = pa.concat_tables([*held, table])
        whole = rows.num_rows - rows.num_rows % ROW_GROUP
        for start in range(0, whole, ROW_GROUP):
            yield rows.slice(start, ROW_GROUP).combine_chunks()
        held = [rows.slice(whole)]
    if held and held[0].num_rows:
        yield held[0].combine_chunks()
