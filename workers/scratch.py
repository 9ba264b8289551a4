"""A folder for as long as a process lives: one that was killed could not remove its own, so the next one does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile

_PREFIX = "sweeps-checkpoints-"


class Scratch:
    """A folder in the machine's temporary folder, for its owner alone.

    Attributes:
        folder: Where it is.
    """

    def __init__(self) -> None:
        """Make it, and remove those whose processes are gone."""
        for left in pathlib.Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            _remove_if_left(left)
        new = pathlib.Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))  # hidden from the next one until it is held
        self._lock = _locked(new)
        self.folder = new.rename(new.with_name(new.name.removeprefix(".")))

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def _locked(folder: pathlib.Path) -> int:
    """A descriptor that holds a folder until it is closed, or its process is gone.

    Raises:
        OSError: Another process holds it, or it cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove_if_left(folder: pathlib.Path) -> None:
    """Remove a folder of ours that no process holds."""
    with contextlib.suppress(OSError):  # somebody else's, held, or gone in this moment
        if folder.lstat().st_uid == os.getuid():
            descriptor = _locked(folder)
            shutil.rmtree(folder, ignore_errors=True)
            os.close(descriptor)
