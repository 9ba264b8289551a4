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
        try:
            from sweeps.api import run
        except ImportError as error:
            if (error.name or "").partition(".")[0] == "workers":
                raise ImportError(
                    "a folder or file of yours called 'workers' hides the package of that name that coarsefine needs: "
                    "rename it, or start from another folder with the command `sweeps`"
                ) from error
            raise
        return run
    raise AttributeError(f"module 'sweeps' has no attribute {name!r}")
