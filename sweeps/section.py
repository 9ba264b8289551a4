"""A table of a sweep file, read key by key: what is wrong in it is said with its place."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.errors import UsageError
from sweeps.values import is_number
from workers.training import did_you_mean

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Section:
    """A table of the sweep file: knows its keys, and says where a wrong one is.

    Every method raises UsageError where the value is not what it should be.
    """

    def __init__(self, where: str, written: Any, known: Sequence[str]) -> None:
        """Check the keys.

        Args:
            where: What the table is called, for messages.
            written: The table.
            known: The keys that it may have.
        """
        if not isinstance(written, Mapping):
            raise UsageError(f"{where} must be a table, found {type(written).__name__}")
        self._where, self._written = where, written
        for key in written:
            if key not in known:
                raise UsageError(f"{where}: unknown key {key!r}{did_you_mean(str(key), known)}")

    def table(self, key: str) -> Mapping[str, Any]:
        """A table inside; empty when it is not there."""
        value = self._written.get(key, {})
        if not isinstance(value, Mapping):
            raise UsageError(f"[{key}] must be a table, found {value!r}")
        return value

    def text(self, key: str, wanted: str = "", default: Any = ...) -> Any:
        """A text."""
        value = self._written.get(key, default)
        if value is ...:
            raise UsageError(f"{self._where}: {key!r} is missing: {wanted}")
        if value is not default and (not isinstance(value, str) or not value):
            raise UsageError(f"{self._where}: {key} must be a text, found {value!r}")
        if value is not default and not value.isprintable():
            raise UsageError(f"{self._where}: {key} has characters in it that cannot be seen: {value!a}")
        return value

    def whole(self, key: str, default: Any = ..., least: int = 1, most: int = 2**63 - 1) -> Any:
        """A whole number from `least` to `most`."""
        value = self._written.get(key, default)
        if value is ...:
            raise UsageError(f"{self._where}: {key!r} is missing: a whole number from {least}")
        if value is not default and (isinstance(value, bool) or not isinstance(value, int)):
            raise UsageError(f"{self._where}: {key} must be a whole number, found {value!r}")
        if value is not default and not least <= value <= most:
            raise UsageError(f"{self._where}: {key} must be from {least} to {most}, found {value}")
        return value

    def seconds(self, key: str) -> float | None:
        """A duration: a number of seconds, or a text such as "90s", "10m", "1h30m"."""
        value = self._written.get(key)
        return None if value is None else _seconds(f"{self._where}: {key}", value)

    def get(self, key: str, default: Any) -> Any:
        """Whatever is written, for the caller to check."""
        return self._written.get(key, default)

    def size(self, key: str) -> int | None:
        """An amount of memory in bytes, written as "512M" or "4G"."""
        value = self._written.get(key)
        if value is None:
            return None
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT])i?B?", value) if isinstance(value, str) else None
        kib = 0.0 if found is None else float(found[1]) * 1024 ** "KMGT".index(found[2])
        if not 1 <= kib < 2**50:
            raise UsageError(f'{self._where}: {key} must be an amount such as "512M" or "4G", found {value!r}')
        return int(kib) * 1024


def _seconds(where: str, value: Any) -> float:
    """A duration in seconds."""
    if is_number(value) and value > 0:
        return float(value)
    if isinstance(value, str):
        parts = re.findall(r"(\d+(?:\.\d+)?)\s*([smhd])\s*", value)
        total = sum(float(number) * _UNITS[unit] for number, unit in parts)
        if 0 < total < math.inf and re.fullmatch(r"(\d+(?:\.\d+)?\s*[smhd]\s*)+", value):
            return total
    raise UsageError(f'{where} must be a duration above zero, such as "90s", "10m" or "1h30m"; found {value!r}')
