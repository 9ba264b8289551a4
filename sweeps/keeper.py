"""Which checkpoints of ended trials are kept: those of the best, and of those that may still go on."""

from __future__ import annotations

import math
import pathlib
import sys
from collections.abc import Collection, Iterable

from workers.checkpoint import Checkpoint


class Keeper:
    """The checkpoints of a run."""

    def __init__(self, root: pathlib.Path) -> None:
        """Begin to look after them; all are kept until it is said how many shall be.

        Args:
            root: The folder of the checkpoints; it need not exist.
        """
        self._root = root
        self._count = sys.maxsize
        self._scores: dict[int, float] = {}  # of the ended trials whose checkpoints are kept

    def there(self) -> list[int]:
        """The trials that have a checkpoint, ended or not."""
        return [int(path.name) for path in self._root.glob("*") if path.name.isdecimal()]

    @property
    def needed(self) -> bool:
        """Whether there are any checkpoints."""
        return self._root.is_dir()

    def ended(self, trials: Iterable[tuple[int, float]], open: Collection[int] = ()) -> None:
        """Take in trials that ended and are stored.

        Args:
            trials: With their scores: lower is better, infinite if none may go on.
            open: Trials that train or may go on, whatever their scores.
        """
        for trial, score in trials:
            self._scores.pop(trial, None)
            if math.isinf(score):
                Checkpoint(self._root, trial).drop()
            elif Checkpoint(self._root, trial).folder.is_dir():
                self._scores[trial] = score
        self.narrow(self._count, open)

    def release(self, trials: Iterable[int]) -> None:
        """Leave alone the checkpoints of trials that go on: they count again when they have ended."""
        for trial in trials:
            self._scores.pop(trial, None)

    def narrow(self, count: int, open: Collection[int] = ()) -> None:
        """Keep the best, no more than so many from now on, and for now those that are open."""
        self._count = count
        for trial in sorted(self._scores, key=lambda trial: (self._scores[trial], trial))[count:]:
            if trial not in open:
                Checkpoint(self._root, trial).drop()
                del self._scores[trial]
