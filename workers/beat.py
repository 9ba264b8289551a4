"""What a worker is doing right now, in memory that its death does not take away.

Sixteen bytes shared by a worker and its driver: the driver can tell which trial was running when a worker died, and
for how long a trial has been running, without a message per trial.
"""

from __future__ import annotations

import mmap
import struct
import tempfile
import time

_BEAT = struct.Struct("<qd")


class Beat:
    """The trial that runs, -1 between two trials, and when it began."""

    def __init__(self, fd: int | None = None) -> None:
        """Share the memory behind a file descriptor, or make some.

        Args:
            fd: From the other side's `fileno`; None on the side that begins.
        """
        self._file = tempfile.TemporaryFile() if fd is None else None  # noqa: SIM115 - lives with this
        if self._file is not None:
            self._file.truncate(_BEAT.size)
            fd = self._file.fileno()
        assert fd is not None
        self._memory = mmap.mmap(fd, _BEAT.size)
        if self._file is not None:
            self.strike(-1)

    def fileno(self) -> int:
        """The file descriptor to hand to the other side."""
        assert self._file is not None
        return self._file.fileno()

    def strike(self, trial: int) -> None:
        """This trial begins now; -1 when one has ended."""
        _BEAT.pack_into(self._memory, 0, trial, time.monotonic())

    def read(self) -> tuple[int, float]:
        """(trial, seconds on the monotonic clock when it began). The two may be torn: believe it when read twice."""
        trial, since = _BEAT.unpack_from(self._memory, 0)
        return trial, since

    def close(self) -> None:
        """Let go of the memory; closing twice is harmless."""
        self._memory.close()
        if self._file is not None:
            self._file.close()
