"""The view on a terminal: five lines that redraw in place. Imports rich."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.control import Control
from rich.live import Live as Region
from rich.segment import ControlType
from rich.text import Text

from sweeps.snapshot import Snapshot
from sweeps.standing import done, leader, pace, plan, troubles
from sweeps.wording import clean, encodable, show_clock, sparkline

NARROW = 60  #: columns below which words take the place of the bar and the curve
LONGEST = 2_000  #: characters of a message that are looked at; no terminal shows more on a line

_STYLES = {"failed": "bold red", "timeout": "red", "lost": "red", "stopped": "yellow"}


class Live:
    """A region of five lines at the bottom of a terminal.

    Draws in the caller's thread only, and only when it is called.
    """

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        """Begin with nothing on the screen.

        Args:
            stream: The terminal.
            colour: Use its colours.
        """
        self._stream = stream
        self._console = Console(
            file=stream,
            force_terminal=True,
            force_interactive=True,
            color_system="standard" if colour else None,
            no_color=not colour,
        )
        self._region = Region(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,  # results are data, and may go elsewhere
            redirect_stderr=stream is sys.stderr,  # a library's warning lands above the region, not in it
            vertical_overflow="crop",
        )
        self._lines: list[Text] = []
        self._closed = False

    def update(self, snapshot: Snapshot) -> None:
        """Redraw the region."""
        if self._closed:
            return
        with self._drawing():
            self._lines = frame(snapshot, self._console.width)
            for line in self._lines:
                line.plain = encodable(line.plain, self._console.encoding)
            self._region.start()
            self._region.update(Text("\n", no_wrap=True).join(self._lines), refresh=True)

    def say(self, text: str) -> None:
        """Print one line above the region."""
        with self._drawing():
            line = Text(encodable(clean(text), self._console.encoding))
            self._console.print(line, soft_wrap=True)

    def close(self) -> None:
        """Erase the region and show the cursor again."""
        self._closed = True
        with self._drawing():
            self._region.stop()
            self._lines = []

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        """All that is written inside goes out at once, to the terminal as wide as it is now."""
        try:
            with self._console:
                self._fit()
                yield
        except OSError:  # the terminal is gone: no reason to end a sweep
            self._console.quiet = True

    def _fit(self) -> None:
        """Take over the size of the terminal; if it became narrower, go to where the region begins now.

        Most terminals break lines that have become too long into two, which pushes the cursor down.
        """
        columns, lines = _size(self._stream)
        broken = broken_lines(self._lines, columns)
        if columns < self._console.width and broken:
            self._console.control(Control(*((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1)) * broken))
        self._console.size = (columns, lines)


def frame(snapshot: Snapshot, width: int) -> list[Text]:
    """The five lines of the region, none wider than `width` columns."""
    wide = width >= NARROW
    curve = () if snapshot.best is None else snapshot.best.curve
    best = "nothing yet" if snapshot.best is None else leader(snapshot.metric, snapshot.best)
    headline = _labelled(f"{snapshot.stage}  ", f"{snapshot.number}/{snapshot.stages} · {plan(snapshot)}")
    return [
        _line(headline, show_clock(snapshot.elapsed_s), width),
        _line(_progress(snapshot, min(width // 5, 30) if wide else 0), "", width),
        _line(_labelled("best    ", best, "bold green"), sparkline(curve, width // 8 if wide else 0), width),
        _line(_labelled("newest  ", snapshot.newest or "no stop or failure"), "", width),
        _line(_labelled("hint    ", snapshot.hint or "none yet"), "", width),
    ]


def broken_lines(lines: Sequence[Text], columns: int) -> int:
    """How many more rows the lines take on a terminal that has become so narrow and breaks them."""
    return sum(max(line.cell_len - 1, 0) // columns for line in lines)


def _progress(snapshot: Snapshot, width: int) -> Text:
    """The bar and what belongs to it. The bar's width is the terminal's matter alone, so that nothing jumps about."""
    full = width * min(done(snapshot), snapshot.total) // max(snapshot.total, 1)
    text = Text.assemble(("█" * full, "green"), ("░" * (width - full), "dim"), "  " if width else "", pace(snapshot))
    for status, words in troubles(snapshot.counts):
        text.append("  ").append(words, _STYLES[status])
    return text


def _labelled(label: str, words: str, style: str = "bold") -> Text:
    """A label and what it names, safe to show."""
    return Text.assemble((clean(label[:LONGEST]), style), clean(words[:LONGEST]))


def _line(left: Text, right: str, width: int) -> Text:
    """`left`, cut with an ellipsis where it would meet `right` at the end of the line."""
    if not right:
        left.truncate(width, overflow="ellipsis")
        return left
    left.truncate(max(width - cell_len(right) - 2, 1), overflow="ellipsis", pad=True)
    left.append("  ").append(right)
    left.truncate(width)
    return left


def _size(stream: TextIO) -> tuple[int, int]:
    """Columns and lines of a terminal; the classic ones for a terminal that does not tell."""
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except OSError:
        columns, lines = 0, 0
    return columns or 80, lines or 24
