"""Which checkpoints of ended trials are kept: those of the best, since no others may go on."""

from __future__ import annotations

import heapq
import math
import pathlib
from collections.abc import Iterable

from workers.checkpoint import Checkpoint


class Keeper:
    """The checkpoints of a run."""

    def __init__(self, root: pathlib.Path, count: float) -> None:
        """Begin to look after them.

        Args:
            root: The folder of the checkpoints; it need not exist.
            count: How many ended trials keep theirs; infinite while any of them may go on.
        """
        self._root = root
        self._count = count
        self._kept: list[tuple[float, int]] = []  # a heap, the worst first: (-score, -trial)

    def there(self) -> list[int]:
        """The trials that have a checkpoint, ended or not."""
        return [int(path.name) for path in self._root.glob("*") if path.name.isdecimal()]

    @property
    def needed(self) -> bool:
        """Whether there are any checkpoints."""
        return self._root.is_dir()

    def ended(self, trials: Iterable[tuple[int, float]]) -> None:
        """Take in trials that ended and are stored, with their scores: lower is better, infinite if none may go on."""
        for trial, score in trials:
            if not Checkpoint(self._root, trial).folder.is_dir():
                continue
            if math.isinf(score):
                Checkpoint(self._root, trial).drop()
                continue
            self.release([trial])
            heapq.heappush(self._kept, (-score, -trial))
        self.narrow(self._count)

    def release(self, trials: Iterable[int]) -> None:
        """Leave alone the checkpoints of trials that go on: they count again when they have ended."""
        gone = {-trial for trial in trials}
        self._kept = [pair for pair in self._kept if pair[1] not in gone]
        heapq.heapify(self._kept)

    def narrow(self, count: float) -> None:
        """Keep no more than so many from now on."""
        self._count = count
        while len(self._kept) > self._count:
            _, trial = heapq.heappop(self._kept)
            Checkpoint(self._root, -trial).drop()
