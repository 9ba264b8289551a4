"""What travels to the nodes of a cluster: the project that a sweep belongs to, and how its files are named there."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from workers.backend import BackendError
from workers.command import is_command, placed
from workers.messages import Function, Work

#: Never taken along: what is not code, and what is secret.
_EXCLUDES = (
    *(".git", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", "runs"),
    *(".env", ".env.*", "*.pem", "*.key", "id_*", ".ssh", ".aws", ".netrc", "*.parquet"),
)


def project_root(folder: pathlib.Path) -> pathlib.Path:
    """The folder that travels: the nearest one above the sweep file that is a project, or the sweep file's own.

    Of a submitted job it is the one that was submitted, which is where the job runs.
    """
    if _submitted():
        return pathlib.Path.cwd()
    folder = folder.resolve()
    for place in (folder, *folder.parents):
        if place != pathlib.Path.home() and any((place / mark).exists() for mark in ("pyproject.toml", ".git")):
            return place
    return folder


def portable(work: Work, root: pathlib.Path) -> Work:
    """The work with files named from the root of what travels.

    Raises:
        BackendError: One of them lies outside of it.
    """

    def inside(path: pathlib.Path) -> pathlib.Path:
        if not path.is_relative_to(root):
            raise BackendError(f"{path} lies outside of {root}, which is what travels to the cluster: move it there")
        return path.relative_to(root)

    return _renamed(work, inside)


def unpacked(work: Work, folder: pathlib.Path) -> Work:
    """Portable work with files named by their place on the node where it was unpacked."""
    return _renamed(work, lambda path: folder / path)


def luggage(root: pathlib.Path, results: pathlib.Path) -> dict[str, Any]:
    """Ray's runtime environment that brings the project, and this package, to every node.

    Args:
        root: What travels.
        results: The run's folder, which does not.
    """
    folder = results.resolve().parent
    left = [f"/{folder.relative_to(root)}"] if folder != root and folder.is_relative_to(root) else []
    # This package travels too: a node may have another version of it, or none.
    ours = {"py_modules": [str(pathlib.Path(__file__).parent)], "excludes": [*_EXCLUDES, *left]}
    return ours if _submitted() else {"working_dir": str(root), **ours}


def _submitted() -> bool:
    """Whether this process was started by `ray job submit` with a working folder, which Ray takes to the nodes."""
    job = os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR")
    return job is not None and "working_dir" in json.loads(job).get("runtime_env", {})


def _renamed(work: Work, rename: Callable[[pathlib.Path], pathlib.Path]) -> Work:
    """The work with other names for the files of its functions."""

    def moved(function: Function) -> Function:
        if function.payload is None and is_command(function.source):
            return replace(function, source=placed(function.source, rename))
        where, _, name = function.source.rpartition(":")
        if function.payload is not None or not where.endswith(".py"):
            return function
        return replace(function, source=f"{rename(pathlib.Path(where))}:{name}")

    return replace(work, train=moved(work.train), setup=None if work.setup is None else moved(work.setup))
