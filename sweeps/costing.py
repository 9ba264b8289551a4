"""What a sweep will take, in time and in memory, from one short run of its trainer. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.checking import Check, Verdict
from sweeps.settings import StageSettings
from sweeps.wording import show_count, show_duration
from workers.preflight import Tried


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a trial takes.

    Attributes:
        start_s: Before its first epoch.
        epoch_s: For an epoch.
    """

    start_s: float
    epoch_s: float

    def trial_s(self, epochs: int) -> float:
        """Seconds of a trial with this budget."""
        return self.start_s + self.epoch_s * epochs


def most_epochs(stages: Sequence[StageSettings]) -> int:
    """Epochs of a plan, at most: a trial that goes on is taken to come from the shortest stage before."""
    total = 0
    for i, stage in enumerate(stages):
        shortest = min((before.epochs for before in stages[:i]), default=stage.epochs)
        total += stage.trials * stage.epochs + stage.continued * max(stage.epochs - shortest, 0)
    return total


def pace(longer: Tried, shorter: Tried) -> Pace | None:
    """How long a trial takes, from two that differ in their budget only; None unless both came to their end."""
    if longer.error is not None or shorter.error is not None:
        return None
    more = len(longer.reports) - len(shorter.reports)
    if more <= 0:  # it comes to an end of its own: a larger budget would not make it longer
        return Pace(longer.seconds, 0.0)
    epoch_s = (longer.seconds - shorter.seconds) / more
    if epoch_s <= 0:  # too fast for the clock
        epoch_s = longer.seconds / len(longer.reports)
    return Pace(max(0.0, longer.seconds - epoch_s * len(longer.reports)), epoch_s)


def cost(
    found: Pace | None,
    loading_s: float,
    stages: Sequence[StageSettings],
    slots: int,
    timeout_s: float | None,
    budget_s: float | None,
) -> Check:
    """What the sweep will take, if its trials are like one in the middle of the space.

    Args:
        found: How long a trial takes.
        loading_s: Seconds until a worker process is ready.
        stages: The plan.
        slots: How many trials run at the same time.
        timeout_s: What one trial may take.
        budget_s: What the sweep may take.
    """
    name = "cost"
    if found is None:
        return Check(name, Verdict.UNKNOWN, "no trial came to its end")
    # A stage ends before the next one begins, and the last of its trials leave slots idle.
    waves = sum(math.ceil((stage.trials + stage.continued) / slots) * found.trial_s(stage.epochs) for stage in stages)
    wall_s = loading_s + waves
    trials, epochs = sum(stage.trials for stage in stages), most_epochs(stages)
    speed = f"{_time(found.epoch_s)} an epoch" if found.epoch_s else f"{_time(found.start_s)} a trial"
    plan = f"{show_count(trials, 'trial')} of {epochs:,} epochs" if found.epoch_s else show_count(trials, "trial")
    text = f"{speed}: {plan} take {_time(wall_s)} on {show_count(slots, 'slot')}"
    longest = max(stages, key=lambda stage: stage.epochs)
    trial_s = found.trial_s(longest.epochs)
    if timeout_s is not None and trial_s > timeout_s:
        text += f", and a trial of {longest.name!r} {_time(trial_s)}: more than its timeout of {_time(timeout_s)}"
        return Check(name, Verdict.FAIL, text)
    if budget_s is not None and wall_s > budget_s:
        return Check(name, Verdict.FAIL, f"{text}: more than the budget of {_time(budget_s)}")
    return Check(name, Verdict.PASS, text)


def memory(peak_bytes: int | None, slots: int, machine_bytes: int | None) -> Check:
    """Whether as many worker processes as there are slots fit into this machine."""
    name = "memory"
    if peak_bytes is None or machine_bytes is None:
        return Check(name, Verdict.UNKNOWN, "this system does not say how much memory a process has held")
    need = peak_bytes * slots
    text = f"{_size(peak_bytes)} a worker, {_size(need)} on {show_count(slots, 'slot')} of {_size(machine_bytes)}"
    return Check(name, Verdict.FAIL if need > machine_bytes else Verdict.PASS, text)


def _time(seconds: float) -> str:
    """`0.41 ms`, `2.3 s`, `7 min 20 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.2g} ms" if seconds < 0.1 else f"{seconds:.2g} s"
    return f"{seconds:.2g} s" if seconds < 10 else show_duration(seconds)


def _size(count: float) -> str:
    """`147 MB`, `16.8 GB`."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
