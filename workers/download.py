"""Downloads of files whose checksum is known. Anyone may import this."""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 20  # bytes
PATIENCE = 60.0  # seconds without a byte
BAR = 30  # columns of a full progress bar


def download(url: str, target: Path, checksum: str) -> Path:
    """`target`, which then holds what `url` serves; not fetched again if it does already.

    It appears all at once or not at all. Progress is shown on standard error if that is a terminal.

    Args:
        url: http or https.
        target: The file to write; its folder is made if need be.
        checksum: "algorithm:hexadecimal digest", with an algorithm that hashlib knows.

    Raises:
        OSError: The server could not be reached or refused, or `target` could not be written.
        ValueError: What came has another checksum; nothing is left behind.
    """
    algorithm, _, expected = checksum.partition(":")
    if target.is_file():
        with target.open("rb") as file:
            if hashlib.file_digest(file, algorithm).hexdigest() == expected:
                return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            found = _copy(url, file, algorithm)
        if found != expected:
            raise ValueError(f"{url} has {algorithm} {found}, not {expected}: not kept")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def _copy(url: str, file: BinaryIO, algorithm: str) -> str:
    """Writes what `url` serves to `file`; its digest."""
    digest = hashlib.new(algorithm)
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as response:
            size = int(response.headers.get("Content-Length", 0))
            while chunk := response.read(CHUNK):
                file.write(chunk)
                digest.update(chunk)
                _show_progress(url, file.tell(), size)
    except urllib.error.URLError as error:
        raise OSError(f"cannot download {url}: {error.reason}") from error
    return digest.hexdigest()


def _show_progress(url: str, done: int, size: int) -> None:
    """Redraws the progress bar; shows bytes alone where the server did not tell the size."""
    if not sys.stderr.isatty():
        return
    filled = BAR * done // size if size else 0
    end = "\n" if done == size else ""
    name = url.rpartition("/")[2]
    print(f"\r{name} [{'=' * filled:{BAR}}] {done / 1e6:.0f} MB", end=end, file=sys.stderr, flush=True)
