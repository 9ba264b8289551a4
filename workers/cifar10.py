"""CIFAR-10 from its standard folder, in the binary or the python layout, fetched there if wanted.

No pickle is ever loaded: the python layout is read by an interpreter of the few opcodes in its files, which
fills lists, tuples and dicts and calls nothing, whatever the file says. Anyone may import this.
"""

from __future__ import annotations

import pickletools
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workers.datasets import Dataset, split
from workers.download import download

Bytes = npt.NDArray[np.uint8]

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
CHECKSUM = "md5:c32a1d4ab5d03f1284b67883e8d87530"  # as published on the data set's page

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
IMAGES = 10_000  # per batch
PIXELS = 3072  # 32 x 32 red, then green, then blue
VALIDATION = 1_000

BINARY = "cifar-10-batches-bin"
PYTHON = "cifar-10-batches-py"


def load(folder: str | Path) -> Dataset:
    """The 50,000 training images as 49,000 + 1,000 for validation, as in CS231n, and the 10,000 for test.

    Pixels are the bytes of the files, 0 to 255, less the mean training image; they are not scaled further, so
    that CS231n's ranges for learning rate and initialisation hold. Takes 740 MB.

    Args:
        folder: cifar-10-batches-bin, cifar-10-batches-py, or the folder that one of them is in.

    Raises:
        FileNotFoundError: There is no CIFAR-10, or one of its six batches is missing.
        ValueError: A batch is truncated or damaged.

    Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
    """
    paths, read = _find(Path(folder))
    x = np.empty((len(paths) * IMAGES, PIXELS), np.float32)
    y = np.empty(len(x), np.intp)
    for i, path in enumerate(paths):
        rows = slice(i * IMAGES, (i + 1) * IMAGES)
        labels, pixels = read(path)
        if labels.shape != (IMAGES,) or pixels.shape != (IMAGES, PIXELS) or labels.max() >= len(CLASSES):
            raise ValueError(f"CIFAR-10: {path} is damaged: not {IMAGES:,} images of {PIXELS:,} bytes")
        y[rows], x[rows] = labels, pixels
    return split(x, y, validation=VALIDATION, test=IMAGES, classes=CLASSES)


def fetch(folder: str | Path) -> Path:
    """The folder of CIFAR-10's binary layout, below `folder`, after downloading and unpacking it there.

    The archive (170 MB) stays; with it in place nothing is downloaded.

    Raises:
        OSError: The download failed.
        ValueError: What came is not the archive.
    """
    archive = download(URL, Path(folder) / URL.rpartition("/")[2], CHECKSUM)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return Path(folder) / BINARY


Reader = Callable[[Path], tuple[Bytes, Bytes]]
"""Takes the path of a batch; gives labels (n,) and pixels (n, 3072)."""


def _find(folder: Path) -> tuple[list[Path], Reader]:
    """The paths of the six batches, and what reads them."""
    readers: tuple[tuple[str, Reader], ...] = ((".bin", _read_binary), ("", _read_pickle))
    for place in (folder, folder / BINARY, folder / PYTHON):
        for suffix, reader in readers:
            paths = [place / f"{batch}{suffix}" for batch in BATCHES]
            missing = [path for path in paths if not path.is_file()]
            if not missing:
                return paths, reader
            if len(missing) < len(paths):
                raise FileNotFoundError(f"CIFAR-10: {missing[0]} is missing")
    raise FileNotFoundError(
        f"CIFAR-10: no {BINARY} or {PYTHON} in {folder}; "
        f"python -c 'import workers.cifar10 as c; c.fetch(\"{folder}\")' downloads it there"
    )


def _read_binary(path: Path) -> tuple[Bytes, Bytes]:
    records = np.fromfile(path, np.uint8)
    if len(records) != IMAGES * (1 + PIXELS):
        raise ValueError(f"CIFAR-10: {path} is truncated: {len(records):,} of {IMAGES * (1 + PIXELS):,} bytes")
    records = records.reshape(IMAGES, 1 + PIXELS)
    return records[:, 0], records[:, 1:]


def _read_pickle(path: Path) -> tuple[Bytes, Bytes]:
    try:
        batch = _interpret(path.read_bytes())
        *_, shape, kind, by_columns, pixels = batch["data"].state
        if kind.arguments[0] != "u1":
            raise ValueError("pixels are not bytes")
        labels = np.frombuffer(bytes([*batch["labels"]]), np.uint8)
        flat = np.frombuffer(pixels.encode("latin-1"), np.uint8)
        return labels, flat.reshape(shape, order="F" if by_columns else "C")
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"CIFAR-10: {path} is truncated or damaged: {error}") from error


@dataclass
class _Recipe:
    """How a pickle wants an object made: what it would call, with what, and what state the result gets."""

    function: str
    arguments: tuple[Any, ...]
    state: tuple[Any, ...] = ()


_MARK = object()


def _interpret(pickled: bytes) -> dict[str, Any]:
    """The dict in a protocol 2 pickle of Python 2, with strings as latin-1 text and objects as recipes.

    Raises:
        ValueError: It is cut short, or uses an opcode that no batch of CIFAR-10 needs.
        LookupError, TypeError, AttributeError: Its opcodes do not fit together.
    """
    stack: list[Any] = []
    memo: dict[Any, Any] = {}

    def since_mark() -> list[Any]:
        start = len(stack) - 1 - stack[::-1].index(_MARK)
        items = stack[start + 1 :]
        del stack[start:]
        return items

    for opcode, argument, _ in pickletools.genops(pickled):
        match opcode.name:
            case "PROTO" | "STOP":
                pass
            case "SHORT_BINSTRING" | "BINSTRING" | "BININT" | "BININT1" | "BININT2" | "GLOBAL" | "NONE":
                stack.append(argument)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode.name == "NEWTRUE")
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "MARK":
                stack.append(_MARK)
            case "EMPTY_LIST":
                stack.append([])
            case "APPENDS":
                items = since_mark()
                stack[-1].extend(items)
            case "EMPTY_DICT":
                stack.append({})
            case "SETITEMS":
                items = since_mark()
                # Strings, or a TypeError: to hash a very deep tuple would overflow the C stack.
                keys = [sys.intern(key) for key in items[::2]]
                stack[-1].update(zip(keys, items[1::2], strict=True))
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(opcode.name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "REDUCE":
                stack[-2:] = [_Recipe(*stack[-2:])]
            case "BUILD":
                stack[-1].state = stack.pop()
            case name:
                raise ValueError(f"unexpected {name} in a pickle")
    batch: dict[str, Any] = stack.pop()
    return batch
