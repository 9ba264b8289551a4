"""A run's tables as pandas frames: `analysis.load("runs/x").trials`."""

from analysis.frames import Frames, load

__all__ = ["Frames", "load"]
