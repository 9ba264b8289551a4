"""How a run stands, in words: the phrases that the live view and the plain one share."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sweeps.snapshot import Best, Snapshot
from sweeps.wording import show_config, show_count, show_duration, show_rate
from workers.messages import FAILURES, Status

TROUBLES = (*FAILURES, Status.STOPPED.word)  #: statuses worth a word, the worst first


def done(snapshot: Snapshot) -> int:
    """Trials of the stage that ended."""
    return sum(snapshot.counts.values())


def plan(snapshot: Snapshot) -> str:
    """`5 epochs · maximise val_acc · 2 slots`; no slots before the first is up."""
    aim = "maximise" if snapshot.mode == "max" else "minimise"
    words = [show_count(snapshot.epochs, "epoch"), f"{aim} {snapshot.metric}"]
    return " · ".join(words + ([show_count(snapshot.slots, "slot")] if snapshot.slots else []))


def pace(snapshot: Snapshot) -> str:
    """`31/48  6.1 trials/s  eta 3 s`."""
    total = f"{snapshot.total:,}"
    eta = show_duration(math.nan if snapshot.eta_s is None else snapshot.eta_s)
    return f"{done(snapshot):>{len(total)},}/{total}  {show_rate(snapshot.rate, 'trial')}  eta {eta}"


def troubles(counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Status and words, `2 failed`, for each way of not completing that was seen."""
    return [(status, f"{counts[status]:,} {status}") for status in TROUBLES if counts.get(status)]


def leader(metric: str, best: Best) -> str:
    """`val_acc 0.9733  coarse 17  lr 0.0214  reg 3.1e-05`."""
    return f"{metric} {best.value:.6g}  {best.stage} {best.trial}  {show_config(best.config)}"
