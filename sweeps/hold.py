"""The folder of a run as somebody's: made for its owner, held by one driver."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import socket
from typing import IO

from sweeps.errors import RunHeld
from sweeps.tables import sync_folder


def make(folder: pathlib.Path) -> None:
    """Make a folder that only its owner may enter, and those above it, so that they outlast a power cut."""
    if not folder.is_dir():
        make(folder.parent)
        folder.mkdir(exist_ok=True, mode=0o700)
    with contextlib.suppress(PermissionError):  # of a folder that may be entered but not listed
        sync_folder(folder.parent)


def hold(folder: pathlib.Path) -> IO[str]:
    """The open lock file of a run; the kernel lets go of it when this process dies.

    Raises:
        RunHeld: Another driver has it.
    """
    lock = open(folder / ".lock", "a+", encoding="utf-8")  # noqa: SIM115 - held for the driver's life
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        owner = lock.read().strip() or "another driver"
        lock.close()
        raise RunHeld(f"{folder} is held by {owner}: wait for it, or stop it first") from None
    with contextlib.suppress(OSError):  # a full disk: the name of the owner is a courtesy
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        lock.flush()
    return lock
