"""Checkpoints that hold an epoch and nothing else: an empty folder of its name, where a real one would be.

What a simulated trial reports is known beforehand, so the epoch is all that its continuation needs. They lie in the
run's folder, on its disk, so that it is the driver's own code that removes them.
"""

import contextlib
import os

from workers.checkpoint import Checkpoint


class Commits:
    """The checkpoints of a run."""

    def __init__(self, root):
        """Name the folder; nothing is touched."""
        self._root = root

    def there(self):
        """The epoch of each trial's checkpoint."""
        trials = [int(name) for name in os.listdir(self._root)] if self._root.is_dir() else []
        return {trial: epoch for trial in sorted(trials) if (epoch := self.epoch(trial))}

    def epoch(self, trial):
        """The epoch of a trial's checkpoint; 0 where there is none."""
        folder = Checkpoint(self._root, trial).folder
        return max(map(int, os.listdir(folder)), default=0) if folder.is_dir() else 0

    def put(self, trial, epoch):
        """Put a checkpoint in the place of an earlier one; it stays as it was where the disk refuses."""
        folder, before = Checkpoint(self._root, trial).folder, self.epoch(trial)
        with contextlib.suppress(OSError):
            if not before:
                os.makedirs(folder / f"{epoch:06d}")
            elif before < epoch:
                os.rename(folder / f"{before:06d}", folder / f"{epoch:06d}")
