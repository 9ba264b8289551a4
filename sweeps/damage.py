"""The last flush of an unfinished stage, damaged by the disk: put out of the way, so that its trials run again.

A power cut on a disk that lies about syncing tears what was written last. Nothing is thrown away: its files go to the
folder `damaged/` of the run, for whoever wants to look.
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Sequence

from sweeps.errors import Damaged
from sweeps.private import FOLDER
from sweeps.tables import check
from workers.durable import sync_folder

_AWAY = "damaged"
_PART = re.compile(r"\.part-(\d+)\.parquet$")
_TABLES = {"trials", "reports", "attempts"}  # of every flush


def set_aside(files: Sequence[pathlib.Path], folder: pathlib.Path) -> str:
    """What to say of the last flush, whose files were moved away since one of them is damaged; empty when all is well.

    Args:
        files: Of a run, trials first: once those of a flush are gone, what is left of it counts as never written.
        folder: Of the run.
    """
    numbers = {path: int(found[1]) for path in files if (found := _PART.search(path.name))}
    last = max(numbers.values(), default=0)
    flush = [path for path, number in numbers.items() if number == last]
    # Where one of its tables is in the file of its stage already, it can be refused only as a whole.
    if not {path.parent.name for path in flush} >= _TABLES:
        return ""
    try:
        for path in flush:
            check(path)
    except Damaged as error:
        away = folder / _AWAY
        away.mkdir(exist_ok=True, mode=FOLDER)
        for path in flush:
            os.replace(path, away / f"{path.parent.name}.{path.name}")
            sync_folder(away)
            sync_folder(path.parent)
        sync_folder(folder)
        return f"{error}; what was stored with it is set aside in {away}, and its trials run again"
    return ""


def aside(folder: pathlib.Path) -> list[str]:
    """Names of the files that were set aside in a run, now or before."""
    return sorted(path.name for path in (folder / _AWAY).glob("*.parquet"))
