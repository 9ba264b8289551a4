"""The modules of a project that a Python file imports, found by reading alone: no code runs.

What is imported under a name that is put together while it runs is not found.
"""

from __future__ import annotations

import ast
import pathlib
import warnings
from collections.abc import Iterator

_INSTALLED = ("site-packages", "dist-packages")


def imported(file: pathlib.Path, root: pathlib.Path) -> list[pathlib.Path]:
    """The files in and below a folder that a file imports, directly or by way of one another.

    Args:
        file: A Python file in the folder or below.
        root: The folder in which absolute names are looked up; of libraries nothing is found.
    """
    if root.name in _INSTALLED:
        return []
    found, unread = {file}, [file]
    while unread:
        names = _names(unread.pop(), root)
        new = {path for name in names for path in _files(name, root)} - found
        found |= new
        unread += new
    return sorted(found - {file})


def _names(file: pathlib.Path, root: pathlib.Path) -> Iterator[tuple[str, ...]]:
    """The names that a file imports, in their pieces; of `from a import b` also a.b, which may be a module."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of its escapes: the interpreter says that
            tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    package = file.parent.relative_to(root).parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield tuple(alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            base = (*above, *(node.module.split(".") if node.module else ()))
            yield base
            for alias in node.names:
                yield (*base, alias.name)


def _files(name: tuple[str, ...], root: pathlib.Path) -> Iterator[pathlib.Path]:
    """The files that an import of a name runs: of each of its packages, and its own."""
    place = root
    for piece in name:
        place = place / piece
        for path in (place / "__init__.py", place.with_name(f"{piece}.py")):
            if path.is_file():
                yield path
                break
