"""The code of a run's functions, as digests: whether a run that goes on still trains with what it began with."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import pathlib

from sweeps.imports import imported
from workers.command import is_command, placed
from workers.messages import Function
from workers.training import load


def digests(train: Function, setup: Function | None) -> dict[str, str]:
    """`sha256:...` of each function's code, by `train` and `setup`, and of what it imports, by `train/helpers.py`.

    The code is the file that the sweep file names and the modules of its project that it imports, or a function's own
    lines where a function was given: the script around it says what to search, and may say more later. What is not to
    be had is left out.
    """
    found: dict[str, str] = {}
    for role, function in (("train", train), ("setup", setup)):
        if function is not None:
            found |= {f"{role}{name}": _digest(code) for name, code in _codes(function).items()}
    return found


def _digest(code: bytes) -> str:
    """Of content alone, with line ends as on any machine: no path, no time."""
    return "sha256:" + hashlib.sha256(code.replace(b"\r\n", b"\n")).hexdigest()


def _codes(function: Function) -> dict[str, bytes]:
    """A function's own code, under no name, and that of the modules that it imports."""
    try:
        if function.payload is not None:
            return {"": inspect.getsource(load(function)).encode()}
        file, root = _place(function.source)
        names = {"": file} | {f"/{path.relative_to(root).as_posix()}": path for path in imported(file, root)}
        return {name: path.read_bytes() for name, path in names.items()}
    except (OSError, TypeError, ImportError, ValueError):  # built in, a callable object, a shell's own line
        return {}


def _place(source: str) -> tuple[pathlib.Path, pathlib.Path]:
    """The file that a function or a command is in, and the folder in which Python looks up what it imports.

    Raises:
        ImportError: There is no such file.
    """
    where = source.rpartition(":")[0]
    files: list[pathlib.Path] = []

    def kept(path: pathlib.Path) -> pathlib.Path:
        files.append(path)
        return path

    if is_command(source):
        placed(source, kept)
    elif where.endswith(".py"):
        files.append(pathlib.Path(where))
    elif (spec := importlib.util.find_spec(where)) and spec.has_location and spec.origin:
        file = pathlib.Path(spec.origin)
        return file, file.parents[where.count(".") + (file.stem == "__init__")]
    if not files:
        raise ImportError(f"{source} is not in a file")
    return files[0], files[0].parent
