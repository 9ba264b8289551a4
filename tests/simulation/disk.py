"""A disk that can die, refuse, and forget what was never synced; everything above it is the real code.

A real folder (on a memory disk, as a rule) lies below. While a `Disk` is entered, each operation that changes
something in that folder passes through it, whoever asks for it: the functions of `os` and `open` themselves are hooked.
Beside the folder the disk keeps what a power cut would leave for sure: the bytes of each file when it was synced last,
and the names of each folder when that was synced last.
"""

import builtins
import contextlib
import io
import os
import shutil
from unittest import mock


class Died(BaseException):
    """The process is dead: no handler of an `Exception` hears of it, and what `finally` does reaches no disk."""


class Node:
    """A file, or a folder, whatever its names are.

    Attributes:
        durable: Its bytes after a power cut for sure; None for a folder.
        dirty: It has bytes that were not synced.
    """

    def __init__(self, durable):
        self.durable = durable
        self.dirty = False


def _calm(number, kind):
    """The plan under which nothing happens."""


class Disk:
    """A folder under watch.

    Attributes:
        log: Every operation so far: (kind, path below the root).
        dead: Nothing reaches the disk any more.
        plan: Asked before each operation with its number and kind: None, an `OSError` to refuse it with, or one of
            "before", "torn" and "after", which is when the process dies.
    """

    def __init__(self, root, plan=_calm):
        self.root = str(root)
        self.plan = plan
        self.log = []
        self.dead = False
        self._files = []
        self._handles = {}  # what a file descriptor is of
        self._live, self._durable = {}, {}
        for folder, folders, files in os.walk(self.root):
            self._live |= {os.path.join(folder, name): Node(None) for name in folders}
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    self._live[os.path.join(folder, name)] = Node(file.read())
        self._durable = dict(self._live)
        self._real = {name: getattr(os, name) for name in ("fsync", "replace", "unlink", "mkdir", "open")}
        self._open, self._remove_all = builtins.open, shutil.rmtree

    def __enter__(self):
        self._hooks = contextlib.ExitStack()
        hooks = {(os, name): getattr(self, "_" + name) for name in ("fsync", "replace", "unlink", "mkdir")}
        hooks |= {(os, "rename"): self._replace, (os, "remove"): self._unlink, (os, "open"): self._open_descriptor}
        hooks |= {(builtins, "open"): self._open_file, (io, "open"): self._open_file}
        hooks |= {(shutil, "rmtree"): self._rmtree}
        for (module, name), hook in hooks.items():
            self._hooks.enter_context(mock.patch.object(module, name, hook))
        return self

    def __exit__(self, *ending):
        self.revive()
        self._hooks.close()

    def revive(self):
        """Another process has come to life; what the dead one had open the kernel has closed."""
        self.dead = True
        for file in reversed(self._files):
            file.close()
        self.dead, self.plan = False, _calm
        self._files.clear()
        self._handles.clear()

    def cut_power(self, rng):
        """Leave on the disk what a power cut might: of everything that was not synced some, in no order, and torn."""
        chosen = {}
        for path in sorted({**self._live, **self._durable}):
            now, then = self._live.get(path), self._durable.get(path)
            node = now if now is then or rng.random() < 0.5 else then
            if node is not None and node not in chosen.values():
                chosen[path] = node
        for path, node in self._durable.items():  # a rename is one step: the file has its old name or its new one
            if node not in chosen.values() and node in self._live.values():
                chosen[path] = node
        texts = {path: self._after_a_cut(path, node, rng) for path, node in chosen.items() if node.durable is not None}
        for name in os.listdir(self.root):
            path = os.path.join(self.root, name)
            self._remove_all(path) if os.path.isdir(path) else self._real["unlink"](path)
        folders = {self.root} | {path for path, node in chosen.items() if node.durable is None}
        chosen = {path: node for path, node in chosen.items() if self._is_below(path, folders)}
        for path, node in sorted(chosen.items()):
            if node.durable is None:
                self._real["mkdir"](path)
            else:
                node.durable, node.dirty = texts[path], False
                with self._open(path, "wb") as file:
                    file.write(texts[path])
        self._live, self._durable = dict(chosen), dict(chosen)

    def _is_below(self, path, folders):
        """Whether all folders above a path have survived."""
        parent = os.path.dirname(path)
        return parent in folders and (parent == self.root or self._is_below(parent, folders))

    def _after_a_cut(self, path, node, rng):
        """A file's bytes after a power cut: all, what was synced, a part, or a part and zeros."""
        where = next((name for name, other in self._live.items() if other is node), None)
        if not node.dirty or where is None:
            return node.durable
        with self._open(where, "rb") as file:
            full = file.read()
        size = int(rng.random() * (len(full) + 1))  # one draw, however long: the lock's words have a process number
        return rng.choice([full, node.durable, full[:size], full[:size] + bytes(len(full) - size)])

    def _step(self, kind, path, act, torn=None):
        """Carry out one operation, as the plan says."""
        if self.dead:
            raise Died
        fate = self.plan(len(self.log), kind)
        self.log.append((kind, path[len(self.root) + 1 :]))
        if isinstance(fate, OSError):
            fate.filename = path
            raise fate
        if fate in ("before", "torn"):
            self.dead = True
            if fate == "torn" and torn is not None:
                torn()
            raise Died
        result = act()
        if fate == "after":
            self.dead = True
            raise Died
        return result

    def _is_ours(self, path):
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self.root + "/")

    def _fsync(self, descriptor):
        node = self._handles.get(descriptor)
        if node is None:
            return self._real["fsync"](descriptor)
        return self._step("fsync", self._path_of(node), lambda: self._sync(node))

    def _path_of(self, node):
        return node if isinstance(node, str) else next(path for path, other in self._live.items() if other is node)

    def _sync(self, node):
        """Make a file's bytes or a folder's names durable."""
        if isinstance(node, Node):
            with self._open(self._path_of(node), "rb") as file:
                node.durable, node.dirty = file.read(), False
            return
        for path in [path for path in self._durable if path not in self._live and path.rpartition("/")[0] == node]:
            del self._durable[path]
        for path, other in self._live.items():
            if self._durable.get(path) is not other and path.rpartition("/")[0] == node:
                for old in [old for old, known in self._durable.items() if known is other and old != path]:
                    del self._durable[old]
                self._durable[path] = other

    def _replace(self, source, target, **keys):
        if not self._is_ours(target):
            return self._real["replace"](source, target, **keys)
        source, target = os.fspath(source), os.fspath(target)

        def act():
            self._real["replace"](source, target)
            self._live[target] = self._live.pop(source)

        return self._step("rename", target, act)

    def _unlink(self, path, **keys):
        if not self._is_ours(path):
            return self._real["unlink"](path, **keys)
        path = os.fspath(path)

        def act():
            self._real["unlink"](path)
            self._live.pop(path, None)

        return self._step("unlink", path, act)

    def _rmtree(self, path, ignore_errors=False, **keys):
        if not self._is_ours(path):
            return self._remove_all(path, ignore_errors, **keys)
        path = os.fspath(path)

        def act():
            self._remove_all(path, ignore_errors)
            for name in [name for name in self._live if name == path or name.startswith(path + "/")]:
                del self._live[name]

        with contextlib.suppress(OSError) if ignore_errors else contextlib.nullcontext():
            return self._step("rmtree", path, act)

    def _mkdir(self, path, mode=0o777, **keys):
        if not self._is_ours(path) or os.path.isdir(path):
            return self._real["mkdir"](path, mode, **keys)
        path = os.fspath(path)

        def act():
            self._real["mkdir"](path, mode)
            self._live[path] = Node(None)

        return self._step("mkdir", path, act)

    def _open_descriptor(self, path, flags, *arguments, **keys):
        descriptor = self._real["open"](path, flags, *arguments, **keys)
        if self._is_ours(path) or os.fspath(path) == self.root:
            self._handles[descriptor] = os.fspath(path) if os.path.isdir(path) else self._live.get(os.fspath(path))
        return descriptor

    def _open_file(self, path, mode="r", buffering=-1, encoding=None, errors=None, newline=None, **keys):
        if not self._is_ours(path) or not set(mode) & set("wax+"):
            return self._open(path, mode, buffering, encoding, errors, newline, **keys)
        path = os.fspath(path)

        def act():
            file = _File(self, path, mode.replace("b", "").replace("t", ""))
            self._files.append(file)
            node = self._live.setdefault(path, Node(b""))
            node.dirty = node.dirty or "w" in mode
            file.node = self._handles[file.fileno()] = node
            return file

        file = self._step("create", path, act)
        buffered = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(file)
        self._files.append(buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline))
        return self._files[-1]


class _File(io.FileIO):
    """A file that writes through a disk."""

    def __init__(self, disk, path, mode):
        super().__init__(path, mode)
        self.disk, self.path = disk, path

    def write(self, data):
        if self.disk.dead:
            return len(data)  # what a dead process has in its buffers goes nowhere

        def act():
            self.node.dirty = True
            return super(_File, self).write(data)

        def torn():
            self.node.dirty = True
            super(_File, self).write(memoryview(data)[: len(data) // 2])

        return self.disk._step("write", self.path, act, torn)
