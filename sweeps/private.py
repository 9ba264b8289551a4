"""The files of a run are its owner's alone, whatever the umask, and lie in its folder: none is a link to elsewhere."""

from __future__ import annotations

import os
import pathlib
import stat

from sweeps.errors import UsageError
from sweeps.layout import CONTINUED

FOLDER = 0o700  #: mode of every folder of a run
_FILE = 0o600
_FOLDERS = ("trials", "reports", "attempts", "stages", CONTINUED, ".pending", "logs", "checkpoints", "damaged")
_MANY = ("logs", "checkpoints")  # files for each trial: opened one by one, and never through a link
_FILES = ("sweep.toml", ".sweep.toml.tmp", ".lock")


def opener(path: str, flags: int) -> int:
    """A descriptor for `open(..., opener=opener)`: a new file is its owner's alone, and no link is followed."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE)


def refuse_links(folder: pathlib.Path) -> None:
    """Raise when something in a run's folder stands for a thing elsewhere, or has no end: a link, a pipe, a device.

    The folder may come from a stranger, and through a link we would read or write what is not the run's.

    Raises:
        UsageError: Such a thing has the name of a file or a folder of the run; it is named.
    """
    for name in (*_FOLDERS, *_FILES):
        _check(folder / name)
    for name in _FOLDERS:
        if name not in _MANY and (folder / name).is_dir():
            for path in (folder / name).iterdir():
                if path.suffix == ".parquet" or name == ".pending":
                    _check(path)


def _check(path: pathlib.Path) -> None:
    """Raise unless it is a file, a folder, or not there."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        found = "a link" if stat.S_ISLNK(mode) else "no file"
        raise UsageError(f"{path} is {found}: the folder of a run is to hold files of its own")
