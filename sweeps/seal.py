"""A checksum of a Parquet file's footer, in the footer.

Parquet's own checksums are of pages only, and a flipped bit in what says where the pages are would drop rows or rename
a column in silence.
"""

from __future__ import annotations

import os
import zlib
from typing import Any

_NAME, _BLANK = "footer.crc32", b"0" * 8
_BEFORE = _NAME.encode() + b"\x18\x08"  # as it lies in the footer: its name, then a text of 8 bytes
UNSEALED = {_NAME: _BLANK.decode()}  #: metadata that a file needs so that it can be sealed


def seal(file: Any) -> None:
    """Write the checksum into the footer of a file that is otherwise done."""
    start, footer = _footer(file)
    file.seek(start + footer.rindex(_BEFORE) + len(_BEFORE))
    file.write(b"%08x" % zlib.crc32(footer))


def check_seal(file: Any) -> None:
    """Raise ValueError when the footer is not what was sealed; one without a seal is another program's."""
    _, footer = _footer(file)
    before, name, rest = footer.rpartition(_BEFORE)
    if name and rest[:8] != b"%08x" % zlib.crc32(before + name + _BLANK + rest[8:]):
        raise ValueError("the checksum of its footer does not match")


def _footer(file: Any) -> tuple[int, bytes]:
    """Where a Parquet file's footer starts, and the footer."""
    file.seek(0, os.SEEK_END)
    end = max(file.tell() - 8, 0)
    file.seek(end)
    start = max(end - int.from_bytes(file.read(4), "little"), 0)
    file.seek(start)
    return start, file.read(end - start)
