"""What a trial prints, kept apart by trial and bounded, so that it can travel with the reports."""

from __future__ import annotations

import io

LIMIT = 256 * 1024  #: characters kept of one trial; a trainer that prints for ever must not fill a disk


class Console(io.TextIOBase):
    """A text stream that stands in for `sys.stdout` and `sys.stderr` of a worker.

    Attributes:
        trial: The trial that is running; -1 before the first one (imports, set-up).
    """

    def __init__(self) -> None:
        self.trial = -1
        self._kept = 0
        self._pieces: list[tuple[int, str]] = []

    def begin(self, trial: int) -> None:
        """What is printed from here on belongs to this trial."""
        self.trial = trial
        self._kept = 0

    def writable(self) -> bool:
        """True: the stream can be written to."""
        return True

    def write(self, text: str) -> int:
        """The number of characters taken, which is all of them; past the limit they are dropped."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        room = LIMIT - self._kept
        if room >= 0:
            cut = text if len(text) <= room else text[:room] + "\n[cut: this trial printed too much]\n"
            self._pieces.append((self.trial, cut))
            self._kept += len(text)
        return len(text)

    def take(self) -> list[tuple[int, str]]:
        """(trial, text) since the last time, one piece per trial, in the order of the first words."""
        if not self._pieces:
            return []
        pieces, self._pieces = self._pieces, []  # at once: a thread of the trainer may print meanwhile
        joined: dict[int, list[str]] = {}
        for trial, text in pieces:
            joined.setdefault(trial, []).append(text)
        return [(trial, "".join(texts)) for trial, texts in joined.items()]
