"""The code of a run's functions, as digests: whether a run that goes on still trains with what it began with."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import pathlib

from workers.command import is_command, placed
from workers.messages import Function
from workers.training import load


def digests(train: Function, setup: Function | None) -> dict[str, str]:
    """`sha256:...` of each function's code, by `train` and `setup`; without those whose code is not to be had.

    The code is the file that the sweep file names, or a function's own lines where a function was given: the script
    around it says what to search, and may say more later. What these import is not looked at.
    """
    found = {"train": _digest(train), "setup": None if setup is None else _digest(setup)}
    return {name: digest for name, digest in found.items() if digest is not None}


def _digest(function: Function) -> str | None:
    """Of content alone, with line ends as on any machine: no path, no time."""
    try:
        code = _code(function)
    except (OSError, TypeError, ImportError, ValueError):  # built in, a callable object, a shell's own line
        return None
    return None if code is None else "sha256:" + hashlib.sha256(code.replace(b"\r\n", b"\n")).hexdigest()


def _code(function: Function) -> bytes | None:
    """The bytes of a function's file, or of its own lines."""
    if function.payload is not None:
        return inspect.getsource(load(function)).encode()
    if is_command(function.source):
        files: list[pathlib.Path] = []
        placed(function.source, lambda path: files.append(path) or path)  # type: ignore[func-returns-value]
        return files[0].read_bytes() if files else None
    where = function.source.rpartition(":")[0]
    if where.endswith(".py"):
        return pathlib.Path(where).read_bytes()
    spec = importlib.util.find_spec(where)
    return pathlib.Path(spec.origin).read_bytes() if spec and spec.has_location and spec.origin else None
