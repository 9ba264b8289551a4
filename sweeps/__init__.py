"""Coarse-to-fine hyperparameter sweeps: `sweeps.run(...)` here, `sweeps run FILE` in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.api import run as run

__all__ = ["run"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`run`, imported when it is first used: `import sweeps` and `sweeps --help` stay light."""
    if name == "run":
        from sweeps.api import run

        return run
    raise AttributeError(f"module 'sweeps' has no attribute {name!r}")
