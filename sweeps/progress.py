"""What a person sees while a sweep runs: a region that redraws in place on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol, TextIO

from sweeps.snapshot import Snapshot
from sweeps.standing import done, leader, pace, plan, troubles
from sweeps.wording import clean, encodable, show_clock, show_count
from workers.messages import FAILURES

BEAT_S = 30.0  #: a sign of life is due when so much time has passed ...
BEAT_SHARE = 0.05  #: ... and so many of the trials have ended

_GREEN, _RED = "32", "31"

Line = tuple[str, str]  # colour, text


class View(Protocol):
    """Shows how a run stands."""

    def update(self, snapshot: Snapshot) -> None:
        """Show this moment; called at most about ten times a second."""

    def say(self, text: str) -> None:
        """Print one line that stays."""

    def close(self) -> None:
        """Leave the terminal clean. Closing twice is harmless."""


def open_view(stream: TextIO, *, colour: bool | None = None) -> View:
    """The view that fits a stream.

    Args:
        stream: Where to write, as a rule standard error.
        colour: False for none; None to ask the terminal and the environment.
    """
    terminal = stream.isatty()
    paint = has_colour(terminal, colour, os.environ)
    if not terminal or _is_dumb(os.environ):
        return Plain(stream, colour=paint)
    from sweeps.live import Live  # here, since it costs an import of rich

    return Live(stream, colour=paint)


def has_colour(terminal: bool, asked: bool | None, environ: Mapping[str, str]) -> bool:
    """Whether to use colours: as asked, else as NO_COLOR or FORCE_COLOR say, else on a terminal that has them."""
    if asked is not None:
        return asked
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or (terminal and not _is_dumb(environ))


def _is_dumb(environ: Mapping[str, str]) -> bool:
    return environ.get("TERM", "").lower() in ("dumb", "unknown")


@dataclass(frozen=True, slots=True)
class Told:
    """What a reader of the plain lines knows.

    Attributes:
        stage: The stage that began last; empty before the first.
        ended: It was said to have ended.
        best: The best trial, in words.
        leads: Stage and index of that trial.
        failures: Statuses of which an example was given.
        beat_s: When the last sign of life was.
        beat_done: Trials that had ended then.
    """

    stage: str = ""
    ended: bool = True
    best: str = ""
    leads: tuple[str, int] | None = None
    failures: frozenset[str] = frozenset()
    beat_s: float = 0.0
    beat_done: int = 0


def news(told: Told, now: Snapshot) -> tuple[list[Line], Told]:
    """What to tell a reader next, and what they know then: little enough to be read after a million trials."""
    lines: list[Line] = []
    stage, ended = f"{now.stage} {now.number}/{now.stages}", done(now) >= now.total
    if stage != told.stage:
        if not told.ended:
            lines.append(("", f"{told.stage} ended"))
        lines.append(("", f"{stage} begins: {_beginning(now)}"))
        told = replace(told, stage=stage, ended=False, beat_s=now.elapsed_s, beat_done=done(now))
    for status in FAILURES:
        if now.counts.get(status) and status not in told.failures:
            lines.append((_RED, f"{_example(now, status)} (more of these are only counted)"))
            told = replace(told, failures=told.failures | {status})
    if now.best is not None:
        best, leads = leader(now.metric, now.best), (now.best.stage, now.best.trial)
        # A trial that leads gets better with each epoch; that is told when something else is.
        if leads != told.leads or (ended and not told.ended and best != told.best):
            lines.append((_GREEN, f"best  {best}"))
            told = replace(told, best=best, leads=leads)
    if ended and not told.ended:
        lines.append(("", f"{stage} ended: {_ending(now)}"))
        told = replace(told, ended=True)
    if not ended and _beat_is_due(told, now):
        lines.append(("", f"{stage}  {_heartbeat(now)}"))
        told = replace(told, beat_s=now.elapsed_s, beat_done=done(now))
    return lines, told


def _beginning(now: Snapshot) -> str:
    before = f", {done(now):,} of them done" if done(now) else ""
    return f"{show_count(now.total, 'trial')}{before} · {plan(now)}"


def _ending(now: Snapshot) -> str:
    words = [words for _, words in troubles(now.counts)]
    return "  ".join([f"{now.counts.get('completed', 0):,} completed", *words])


def _heartbeat(now: Snapshot) -> str:
    best = [] if now.best is None else [f"best {now.metric} {now.best.value:.6g}"]
    return "  ".join([pace(now), *(words for _, words in troubles(now.counts)), *best])


def _example(now: Snapshot, status: str) -> str:
    """The newest trouble if it is of this status; when another one came in between, the number."""
    newest = now.newest or ""
    return newest if f" {status}: " in newest else f"{now.counts[status]:,} {status}"


def _beat_is_due(told: Told, now: Snapshot) -> bool:
    """Whichever is rarer: fast sweeps are not to write every second, nor slow ones every trial."""
    return now.elapsed_s - told.beat_s >= BEAT_S and done(now) - told.beat_done >= BEAT_SHARE * now.total


class Plain:
    """Lines for a log file, a pipe or a terminal that can do nothing else."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        """Begin with nothing told.

        Args:
            stream: Where to write.
            colour: Paint the lines that matter most.
        """
        self._stream = stream
        self._colour = colour
        self._told = Told()
        self._elapsed_s = 0.0

    def update(self, snapshot: Snapshot) -> None:
        """Write what is new; as a rule nothing."""
        self._elapsed_s = snapshot.elapsed_s
        lines, self._told = news(self._told, snapshot)
        self._write(lines)

    def say(self, text: str) -> None:
        """Write one line."""
        self._write([("", text)])

    def close(self) -> None:
        """Nothing: every line was complete."""

    def _write(self, lines: Iterable[Line]) -> None:
        encoding = self._stream.encoding or "utf-8"
        with suppress(OSError):  # nobody reads any longer: no reason to end a sweep
            for colour, text in lines:
                line = encodable(clean(f"{show_clock(self._elapsed_s)}  {text}"), encoding)
                painted = f"\x1b[{colour}m{line}\x1b[0m" if self._colour and colour else line
                self._stream.write(painted + "\n")
            self._stream.flush()
