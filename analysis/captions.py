"""What the pictures show, in words: the text alternative of each, and the sentence under it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.frames import Frames
from analysis.histories import busy_share, short_and_long, short_budget
from analysis.phases import phases
from analysis.stages import rank_correlation
from analysis.style import DIVERGES
from sweeps.space import Range
from sweeps.wording import clean, show_count, show_value

_BEST = 10


def margin(frames: Frames) -> str:
    """How far the best trial is ahead of the next ones."""
    confirmed = frames.confirmed["mean"]
    if len(confirmed) > 1:
        gap = abs(float(confirmed.iloc[0] - confirmed.iloc[1]))
        ahead = f"{show_value(gap)} ahead of" if gap else "tied with"
        return f"The mean over new seeds, {ahead} the next config that was confirmed."
    best, metric = frames.best(_BEST), frames.objective.metric
    if len(best) < 2:
        return "No other trial has a finite result to compare it with."
    gaps = (best[metric].iloc[0] - best[metric]).abs()
    ahead = f"{show_value(float(gaps.iloc[1]))} ahead of the second-best trial"
    if gaps.iloc[1] == 0:
        ahead = f"tied with {show_count(int((gaps == 0).sum()) - 1, 'other trial')}"
    further = f" and {show_value(float(gaps.iloc[-1]))} ahead of the {_BEST}th" if len(best) == _BEST else ""
    return f"{ahead[0].upper()}{ahead[1:]}{further}."


def scatter(frames: Frames) -> str:
    """Where the best trials lie, and where trials diverge."""
    best, ranges = frames.best(_BEST), _ranges(frames)
    said = [f"{clean(name)} from {_ends(best[name])}" for name in ranges if best[name].notna().any()]
    words = (
        f"The best {show_count(len(best), 'trial')} of {len(frames.trials):,} have {' and '.join(said)}."
        if said
        else ""
    )
    diverged = frames.trials[frames.trials["status"] == DIVERGES]
    if len(diverged):
        lie = f", with {clean(ranges[0])} from {_ends(diverged[ranges[0]])}" if ranges else ""
        words += f" {show_count(len(diverged), 'trial')} diverged{lie}."
    return words.strip() or "No trial has a finite result."


def axis(frames: Frames, name: str) -> str:
    """Where the best trials lie on one axis, of what was searched."""
    best = frames.best(_BEST)[name].dropna()
    if best.empty:
        return f"{clean(name)} is not active in the best trials."
    if isinstance(frames.settings.space.parameters[name], Range):
        return f"{clean(name)}: best trials from {_ends(best)}, of {_ends(frames.trials[name])} searched."
    counts = best.value_counts()
    shares = ", ".join(f"{count} have {clean(show_value(value))}" for value, count in counts.items())
    return f"{clean(name)}: of the best {len(best)}, {shares}."


def best_so_far(frames: Frames) -> str:
    """When the best came."""
    metric, ordered = frames.objective.metric, frames.best(len(frames.trials))
    firsts = {
        phase.name: ordered[ordered["stage"].isin(phase.stages)][metric].head(1) for phase in phases(frames.settings)
    }
    said = ", ".join(f"{name} {show_value(float(first.iloc[0]))}" for name, first in firsts.items() if len(first))
    return f"The best {clean(metric)} by stage: {said}."


def pace(frames: Frames) -> str:
    """How long a trial took."""
    seconds = frames.attempts["seconds"].dropna()
    return f"A trial took {show_value(seconds.median())} s, by the median; the longest {show_value(seconds.max())} s."


def curves(frames: Frames) -> str:
    """At which epochs the best trials were best."""
    rows = frames.best(5).itertuples()
    epochs = ", ".join(f"{row.stage}/{row.trial} at epoch {row.best_epoch:.0f} of {row.epochs}" for row in rows)
    return f"The best trials peaked: {epochs}." if epochs else "No trial has a finite result."


def stops(frames: Frames) -> str:
    """When trials were stopped."""
    stopped = frames.trials[frames.trials["status"] == DIVERGES]
    if stopped.empty:
        return "No trial was stopped."
    return f"{show_count(len(stopped), 'trial')} stopped, half of them by epoch {stopped['epochs'].median():.0f}."


def parallel(frames: Frames) -> str:
    """What the picture of all parameters is good for."""
    return "Each line is a trial. Where the blue lines meet, a parameter matters; where they spread, it does not."


def importance(frames: Frames) -> str:
    """What the shares say."""
    return f"The share of what is good in {clean(frames.objective.metric)} that each parameter accounts for."


def agreement(frames: Frames) -> str:
    """Whether the short budget ranks trials as the long one does."""
    early, late = short_and_long(frames)
    rho = np.nan_to_num(rank_correlation(np.asarray(early, np.float64), np.asarray(late, np.float64)))
    short = show_count(short_budget(frames), "epoch")
    return (
        f"Rank correlation {rho:.2f} over {show_count(len(early), 'trial')} between the best within {short} and in the"
        " end; the dotted line is no change."
    )


def utilisation(frames: Frames) -> str:
    """How busy the slots were."""
    return f"{busy_share(frames):.0%} of the slots' time went into trials; the dashed line is all slots."


def _ranges(frames: Frames) -> list[str]:
    """The first two searched ranges."""
    space = frames.settings.space
    return [name for name in space.searched if isinstance(space.parameters[name], Range)][:2]


def _ends(column: pd.Series[Any]) -> str:
    """`0.001 to 0.1`."""
    return f"{show_value(column.min())} to {show_value(column.max())}"
