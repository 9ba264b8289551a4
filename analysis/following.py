"""A report that follows a run: written again every few seconds while a driver holds the run, and once more then."""

from __future__ import annotations

import fcntl
import pathlib
import time

from analysis.report import AGAIN, write_report
from sweeps.errors import UsageError

_SHARE = 4  # times what a writing takes is rested, so that the report takes little of the machine
_TRIES = 5  # in a row that may fail: a stage that ends replaces files while they are read


def held(folder: pathlib.Path) -> bool:
    """Whether a driver holds a run: it goes on."""
    try:
        with open(folder / ".lock", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock, or somebody else's: nothing to wait for
        return False
    return False


def follow(folder: pathlib.Path, out: pathlib.Path | None = None) -> None:
    """Write the report of a run while the run goes on, and its last state when it has ended or on Ctrl-C.

    Raises:
        UsageError: The report cannot be written, or the run cannot be read, several times in a row.
    """
    failed = 0
    try:
        while held(folder):
            began = time.monotonic()
            try:
                write_report(folder, out, live=True)
                failed = 0
            except UsageError:
                failed += 1
                if failed == _TRIES:
                    raise
            time.sleep(max(AGAIN, _SHARE * (time.monotonic() - began)))
    finally:
        write_report(folder, out)
