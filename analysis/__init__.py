"""A run's tables as pandas frames, and what they tell: `analysis.load("runs/x").best(5)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.comparison import compare as compare
    from analysis.frames import Frames as Frames
    from analysis.frames import load as load

__all__ = ["Frames", "compare", "load"]


def __getattr__(name: str) -> Any:
    """What there is, imported when first used: the command imports this package, and no pandas for a `--help`."""
    if name == "compare":
        import analysis.comparison

        return analysis.comparison.compare
    if name in __all__:
        import analysis.frames

        return getattr(analysis.frames, name)
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")
