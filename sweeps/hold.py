"""The folder of a run as somebody's: made for its owner, held by one driver."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import pathlib
import socket
from typing import IO

from sweeps.errors import RunHeld, UsageError
from sweeps.private import FOLDER, opener
from sweeps.wording import clean
from workers.durable import sync_folder

_LONGEST = 200  # bytes; file systems take 255


def place(out: pathlib.Path, name: str, afresh: bool = False) -> pathlib.Path:
    """The folder of the run of that name, below `out`.

    Args:
        out: Folder of runs.
        name: Of the run; one plain name of a folder.
        afresh: Where there is such a run, the folder of a new one: the first of name-2, name-3, ... that is free.

    Raises:
        UsageError: The name leads elsewhere, or cannot be read on a terminal.
    """
    size = len(name.encode("utf-8", "replace"))
    if not name.isprintable() or name in ("", ".", "..") or "/" in name or name.startswith("-") or size > _LONGEST:
        raise UsageError(f"a run cannot be called {clean(name)!r}: give it the --name of a folder to be in {out}")
    if not afresh:
        return out / name
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(folder for folder in (out / each for each in names) if not os.path.lexists(folder))


def make(folder: pathlib.Path) -> None:
    """Make a folder that only its owner may enter, and those above it, so that they outlast a power cut."""
    if not folder.is_dir():
        make(folder.parent)
        folder.mkdir(exist_ok=True, mode=FOLDER)
    with contextlib.suppress(PermissionError):  # of a folder that may be entered but not listed
        sync_folder(folder.parent)


def hold(folder: pathlib.Path) -> IO[str]:
    """The open lock file of a run; the kernel lets go of it when this process dies.

    Raises:
        RunHeld: Another driver has it.
    """
    lock = open(folder / ".lock", "a+", encoding="utf-8", opener=opener)  # noqa: SIM115 - held for the driver's life
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
