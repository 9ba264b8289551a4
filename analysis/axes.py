"""Which parameters a picture is drawn over."""

from __future__ import annotations

from analysis.frames import Frames
from analysis.importance import importance
from sweeps.space import Range


def first_axes(frames: Frames) -> tuple[str, str]:
    """What `scatter` is drawn over unless told: the two searched ranges that matter most, in the order of the file.

    Where nobody can tell, the first two searched parameters; where there is one, it and the objective.
    """
    searched, space, metric = axes(frames), frames.settings.space, frames.objective.metric
    shares = importance(frames, frames.settings)
    whole = [name for name in shares.index if frames.trials[name].notna().all()]  # else trials would be left out
    ranked = [name for name in whole if isinstance(space.parameters[name], Range)]
    chosen = [name for name in searched if name in ranked[:2]] if len(ranked) > 1 else searched[:2]
    found = [*chosen, metric, metric]
    return found[0], found[1]


def axes(frames: Frames) -> list[str]:
    """Names of the searched parameters, ranges before choices, as declared."""
    space = frames.settings.space
    return sorted(space.searched, key=lambda name: not isinstance(space.parameters[name], Range))
