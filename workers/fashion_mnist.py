"""Fashion-MNIST from its four idx files, compressed or not. Anyone may import this."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from workers.datasets import Dataset, split

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
VALIDATION = 5_000
UNSIGNED_BYTE = 8  # the type code of idx files


def load(folder: str | Path) -> Dataset:
    """The 60,000 training images as 55,000 + 5,000 for validation, and the 10,000 for test.

    Pixels are the bytes of the files, 0 to 255, less the mean training image. MNIST's files have the
    same names and format.

    Args:
        folder: Where train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
            t10k-labels-idx1-ubyte are, each as it is or with .gz behind its name.

    Raises:
        FileNotFoundError: One of the four is missing.
        ValueError: One is truncated, damaged, or no idx file of bytes.

    Source: Xiao, Rasul & Vollgraf, "Fashion-MNIST: a novel image dataset", 2017; the idx format is LeCun's.
    """
    parts = ("train", "t10k")
    images = [_read(Path(folder) / f"{part}-images-idx3-ubyte") for part in parts]
    labels = [_read(Path(folder) / f"{part}-labels-idx1-ubyte") for part in parts]
    if [len(part) for part in images] != [len(part) for part in labels]:
        raise ValueError(f"Fashion-MNIST: images and labels in {folder} differ in number")
    return split(
        np.concatenate([part.reshape(len(part), -1) for part in images], dtype=np.float32),
        np.concatenate(labels, dtype=np.intp),
        validation=VALIDATION,
        test=len(images[1]),
        classes=CLASSES,
    )


def _read(path: Path) -> npt.NDArray[np.uint8]:
    """The array in an idx file: two zero bytes, type, dimensions, big-endian sizes, then the bytes."""
    zipped = path.with_name(f"{path.name}.gz")
    if not path.is_file() and not zipped.is_file():
        raise FileNotFoundError(f"Fashion-MNIST: {path} is missing, and so is {zipped.name}")
    try:
        content = path.read_bytes() if path.is_file() else gzip.decompress(zipped.read_bytes())
        zero, kind, dimensions = struct.unpack_from(">HBB", content)
        shape = struct.unpack_from(f">{dimensions}I", content, 4)
    except (gzip.BadGzipFile, EOFError, zlib.error, struct.error) as error:
        raise ValueError(f"Fashion-MNIST: {path} is truncated or damaged: {error}") from error
    start = 4 + 4 * dimensions
    if (zero, kind) != (0, UNSIGNED_BYTE) or len(content) != start + math.prod(shape):
        raise ValueError(f"Fashion-MNIST: {path} is truncated or no idx file of bytes")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
