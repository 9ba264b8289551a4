"""The files that a trial leaves for its own continuation: committed with a yield, whole or not at all.

    checkpoints/000000000017/work/      what the trainer sees and writes
    checkpoints/000000000017/000012/    what it was at the yield of epoch 12: `files/` and `reports.json`

A commit is a copy, not a link: a trainer may write into its files in place. The reports so far lie in it, so that a
trial that goes on needs nothing from elsewhere, and a digest of each file, so that none is taken for what it was not.
Reading one runs no code: it is JSON, and the files are the trainer's.

What is there was written for the epoch it was committed with. So a commit is made when files have changed and at no
other yield, or a trainer that writes now and then would be taken to be further than its files are.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pathlib
import shutil
import stat
import tarfile
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from workers.durable import sync_folder, sync_tree
from workers.messages import Metrics

_WORK, _NEW, _FILES, _REPORTS = "work", ".new", "files", "reports.json"
_RACY_NS = 50_000_000  #: a file this young may be written again without its time stamp telling

_Signature = tuple[tuple[str, int, int, int], ...]
_Digests = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Saved:
    """What a commit holds beside its files.

    Attributes:
        epoch: The epoch whose yield it was committed with; 0 when there is no commit.
        reports: The reports up to it.
    """

    epoch: int = 0
    reports: tuple[Metrics, ...] = ()


class Checkpoint:
    """The folder of one trial's checkpoint.

    Attributes:
        folder: Where it is; made by `restore` and by `unpack`.
        work: The folder in it that the trainer is given.
    """

    def __init__(self, root: pathlib.Path, trial: int) -> None:
        """Name the folder; nothing is touched.

        Args:
            root: Where the checkpoints of a run are.
            trial: The trial's identity.
        """
        self.folder = root / f"{trial:012d}"
        self.work = self.folder / _WORK
        self._seen: _Signature = ()
        self._digests: _Digests = {}  # of what was seen
        self._settled = True  # no file could have been written since without its time stamp telling

    def restore(self) -> Saved:
        """What the last whole commit holds; `work` then holds its files and nothing else.

        Raises:
            OSError: There is no room for it, or the folder cannot be written.
        """
        self._make()
        _clear(self.work)
        _clear(self.folder / _NEW)
        for commit in reversed(self._commits()):
            saved = _read(commit)
            if saved is not None:
                shutil.copytree(commit / _FILES, self.work, symlinks=True)
                self._look()
                return saved
        self.work.mkdir(mode=0o700)
        return Saved()

    def commit(self, epoch: int, reports: list[Metrics]) -> None:
        """Keep what is in `work` with the reports so far; nothing happens when it has not changed.

        An emptied folder is no checkpoint: a trainer would start anew from it.

        Raises:
            OSError: It cannot be copied; the last commit stays.
        """
        if not self._look():
            return
        if not self._digests:
            for old in self._commits():
                _remove(old)
            return
        new = self.folder / _NEW
        _clear(new)
        shutil.copytree(self.work, new / _FILES, symlinks=True)
        told = {"epoch": epoch, "reports": [dict(metrics) for metrics in reports], "files": dict(self._digests)}
        body = json.dumps(told)
        (new / _REPORTS).write_text(f"{zlib.crc32(body.encode()):08x}\n{body}", "utf-8")
        self._put(new, f"{epoch:06d}")

    def packed(self, after: int = 0) -> tuple[int, bytes | None]:
        """The epoch of the last commit past `after` and the commit as it travels between machines; None if none is."""
        commit = max(self._commits(), default=None)
        if commit is None or int(commit.name) <= after:
            return after, None
        buffer = io.BytesIO()
        try:
            with tarfile.open(fileobj=buffer, mode="w") as tar:
                tar.add(commit, commit.name)
        except FileNotFoundError:
            return after, None
        if not (commit / _REPORTS).exists():  # the trial runs, and has just put another one in its place
            return after, None
        return int(commit.name), buffer.getvalue()

    def unpack(self, packed: bytes) -> None:
        """Take over a commit from another machine, unless what is here is as new.

        Raises:
            OSError: There is no room for it, or the folder cannot be written.
        """
        self._make()
        new = self.folder / _NEW
        _clear(new)
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            tar.extractall(new, filter="tar")
        (name,) = os.listdir(new)
        if not any(int(commit.name) >= int(name) and _read(commit) is not None for commit in self._commits()):
            self._put(new / name, name)
        _clear(new)

    def drop(self) -> None:
        """Remove everything."""
        for commit in self._commits():
            _remove(commit)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self) -> None:
        """The folder, and the one above it, for their owner alone."""
        if self.folder.is_symlink():  # a stranger's run may lead elsewhere
            self.folder.unlink()
        for folder in (self.folder.parent, self.folder):  # `parents=True` would leave out the mode
            folder.mkdir(mode=0o700, exist_ok=True)

    def _look(self) -> bool:
        """Whether the files differ from those that were seen last, and see them."""
        signature = _signature(self.work)
        if signature == self._seen and self._settled:
            return False
        newest = max((changed for *_, changed in signature), default=0)
        self._seen, self._settled = signature, newest < time.time_ns() - _RACY_NS
        before, self._digests = self._digests, _digests(self.work)
        return self._digests != before

    def _put(self, new: pathlib.Path, name: str) -> None:
        """Make a commit durable, and put it in the place of those before it."""
        sync_tree(new)
        before = self._commits()
        _remove(self.folder / name)  # one that is damaged
        new.rename(self.folder / name)
        sync_folder(self.folder)
        for old in before:
            if old.name != name:
                _remove(old)

    def _commits(self) -> list[pathlib.Path]:
        """The commits that are there, oldest first: more than one only after a death in between."""
        if not self.folder.is_dir():
            return []
        found = [path for path in self.folder.iterdir() if path.name.isdecimal() and not path.is_symlink()]
        return sorted(found, key=lambda path: int(path.name))


def _read(commit: pathlib.Path) -> Saved | None:
    """What a commit holds; None when it is damaged, or its removal has begun."""
    try:
        checksum, _, body = (commit / _REPORTS).read_text("utf-8").partition("\n")
        if int(checksum, 16) != zlib.crc32(body.encode()):
            return None
        told = json.loads(body)
        if told["files"] != _digests(commit / _FILES):
            return None
        return Saved(told["epoch"], tuple(told["reports"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remove(commit: pathlib.Path) -> None:
    """Remove a commit; half removed it is none. What cannot be removed is in nobody's way."""
    if commit.is_symlink():
        commit.unlink()
        return
    (commit / _REPORTS).unlink(missing_ok=True)
    shutil.rmtree(commit, ignore_errors=True)


def _clear(folder: pathlib.Path) -> None:
    """Remove a folder and all that is in it, or whatever has its name."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _found(folder: pathlib.Path) -> list[tuple[str, pathlib.Path, os.stat_result]]:
    """Name, path and status of what lies in a folder and the folders in it, but for the folders themselves."""
    found = [(str(path.relative_to(folder)), path, path.lstat()) for path in sorted(folder.rglob("*"))]
    return [each for each in found if not stat.S_ISDIR(each[2].st_mode)]


def _signature(folder: pathlib.Path) -> _Signature:
    """What tells without reading them whether files have changed: nobody can set a file's time of change."""
    return tuple((name, each.st_ino, each.st_size, each.st_ctime_ns) for name, _, each in _found(folder))


def _digests(folder: pathlib.Path) -> dict[str, str]:
    """What is in each file, or where it leads to."""
    return {name: _digest(path, status.st_mode) for name, path, status in _found(folder)}


def _digest(path: pathlib.Path, mode: int) -> str:
    """What is in a file, or where a link leads to."""
    if stat.S_ISLNK(mode):
        return f"-> {path.readlink()}"
    if not stat.S_ISREG(mode):
        return "no file"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
