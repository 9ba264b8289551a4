"""The view in a notebook: one output of a cell that is updated in place. Imports IPython, which is there already."""

from __future__ import annotations

import html
from typing import Any

from IPython.display import display

from sweeps.live import frame
from sweeps.snapshot import Snapshot
from sweeps.wording import clean

WIDTH = 100  #: columns; a cell scrolls sideways where it is narrower
KEPT = 12  #: of the lines that were said, the newest


class Notebook:
    """Five lines that stand still, under the newest of the lines that stay."""

    def __init__(self) -> None:
        """Begin with nothing shown."""
        self._handle: Any = None
        self._said: list[str] = []
        self._lines: list[str] = []

    def update(self, snapshot: Snapshot) -> None:
        """Show this moment in the place of the last one."""
        self._lines = [line.plain.rstrip() for line in frame(snapshot, WIDTH)]
        self._show()

    def say(self, text: str) -> None:
        """Show one line above."""
        self._said = [*self._said, clean(text)][-KEPT:]
        self._show()

    def close(self) -> None:
        """Leave the last moment as it is."""

    def _show(self) -> None:
        """One bundle of text and HTML: a reader of the file sees what a person saw."""
        text = "\n".join([*self._said, *self._lines])
        page = f'<pre style="line-height: 1.3; margin: 0">{html.escape(text)}</pre>'
        bundle = {"text/plain": text, "text/html": page}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(bundle, raw=True)
