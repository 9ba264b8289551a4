"""Values to Arrow's columns and back.

`pa.array`, `pa.scalar` and `to_numpy` look whether they are given a pandas object, and import pandas for that: half a
second before the first trial. So columns are made of their buffers here.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_DTYPES = {pa.int64(): np.int64, pa.float64(): np.float64, pa.bool_(): np.bool_, pa.timestamp("us", "UTC"): np.int64}


def column(values: Sequence[Any] | npt.NDArray[Any], kind: pa.DataType, missing: Any = None) -> pa.Array:
    """Values as a column.

    Args:
        values: The values; what is no text goes into a text column as JSON.
        kind: Type of the column: numbers, texts, or lists of texts.
        missing: (n,) true for null; None for null where a value is None.
    """
    count = len(values)
    if missing is None and not isinstance(values, np.ndarray) and None in values:
        missing = np.fromiter((value is None for value in values), np.bool_, count)
    gaps = missing is not None and missing.any()
    if gaps and missing.all():
        return pa.nulls(count, kind)
    valid = _bits(~missing) if gaps else None
    if pa.types.is_list(kind):
        lists = [value or () for value in values]
        texts = column(list(itertools.chain.from_iterable(lists)), kind.value_type)
        return pa.Array.from_buffers(kind, count, [valid, _ends([len(each) for each in lists])], children=[texts])
    if pa.types.is_string(kind):
        texts = [value if type(value) is str else _text(value) for value in values]
        data, lengths = _encoded("".join(texts)), [len(text) for text in texts]
        if len(data) != sum(lengths):
            lengths = [len(_encoded(text)) for text in texts]
        return pa.Array.from_buffers(kind, count, [valid, _ends(lengths), pa.py_buffer(data)])
    if gaps and not isinstance(values, np.ndarray):
        values = [0 if value is None else value for value in values]
    array: npt.NDArray[Any] = np.ascontiguousarray(values, _DTYPES[kind])
    bits = _bits(array) if pa.types.is_boolean(kind) else pa.py_buffer(array)
    return pa.Array.from_buffers(kind, count, [valid, bits])


def repeated(text: str, count: int) -> pa.Array:
    """A column of one and the same text."""
    encoded = _encoded(text)
    return pa.Array.from_buffers(
        pa.string(), count, [None, _ends([len(encoded)] * count), pa.py_buffer(encoded * count)]
    )


def numbers(stored: pa.ChunkedArray) -> npt.NDArray[Any]:
    """A column of numbers: floats with NaN for null, or whole numbers."""
    dtype = _DTYPES[stored.type]
    pieces: list[npt.NDArray[Any]] = [np.empty(0, dtype)]
    for chunk in stored.chunks:
        valid, data = chunk.buffers()
        rows = slice(chunk.offset, chunk.offset + len(chunk))
        if 0 < chunk.null_count == len(chunk):
            pieces.append(np.full(len(chunk), np.nan))
            continue
        values: npt.NDArray[Any] = np.frombuffer(data, dtype)[rows]
        if chunk.null_count:
            there = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")[rows]
            values = np.where(there, values, np.nan)
        pieces.append(values)
    return np.concatenate(pieces)


def chosen(table: pa.Table, name: str, values: Sequence[Any]) -> pa.Table:
    """The rows that have one of the values in a column."""
    return table.filter(pc.is_in(table[name], column(values, table.schema.field(name).type)))


def _text(value: Any) -> str:
    """What is no text, as it lies in a text column."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _encoded(text: str) -> bytes:
    """A text's bytes; half a surrogate pair, as of an odd file name, becomes `?`."""
    return text.encode("utf-8", "replace")


def _bits(flags: npt.NDArray[np.bool_]) -> pa.Buffer:
    """Flags, eight to a byte."""
    return pa.py_buffer(np.packbits(flags, bitorder="little"))


def _ends(lengths: Sequence[int]) -> pa.Buffer:
    """Where each of several things ends that lie one after the other."""
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(np.fromiter(lengths, np.int64, len(lengths)), out=ends[1:])
    if ends[-1] > np.iinfo(np.int32).max:
        raise OverflowError(f"{ends[-1]:,} bytes of text are too many for one column")
    return pa.py_buffer(ends.astype(np.int32))
