"""The local backend: one process a slot, on this machine, without a pool and without Ray.

A process that dies or hangs costs its own trial: it is replaced, and what it left running is killed with it.
"""

from __future__ import annotations

import contextlib
import glob
import json
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from typing import IO

from workers.backend import BackendError
from workers.beat import Beat
from workers.channel import Channel
from workers.gpus import environment, present
from workers.messages import Batch, Broken, Event, Lost, Ready, Results, Status, Work

GRACE_S = 3.0  #: between being asked to stop, or hung up on while idle, and being killed
OVERTIME_S = 1.0  #: past the time-out, before a trial that does not report is killed
_DUMP_S = 0.3  #: between asking for the Python stack and killing
_MOMENT_S = 1.0  #: between being hung up on while busy and being killed
_EXIT_S = 0.5  #: for a worker that has hung up to exit
_TICK_S = 0.1  #: how often clocks and dead processes are looked at
NATIVE_LIMIT = 4 << 20  #: bytes that a worker may write past Python before they are dropped
_MARK = "SWEEPS_WORKER"  # environment variable by which all that a worker has started can be found
_MAX_IDLE_DEATHS = 3  #: deaths of one slot in a row without any result: the installation is broken

# `-P` and the parent's path: the child sees the same modules, wherever it is started; but `workers` is this package,
# also where the user's folder, first in the path, has one of that name.
_BOOT = (
    "import sys, json, types; sys.path[:] = json.loads(sys.argv[1]); "
    "sys.modules['workers'] = ours = types.ModuleType('workers'); ours.__path__ = [sys.argv[2]]; "
    "from workers.child import main; main(*map(int, sys.argv[3:]))"
)
_HERE = os.path.dirname(os.path.abspath(__file__))
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(slots=True)
class _Worker:
    """A child process and what the driver knows of it."""

    slot: int
    process: subprocess.Popen[bytes]
    mark: str  # in the environment of the process and of all that it starts
    channel: Channel
    beat: Beat
    native: IO[bytes]  # what the process writes past Python: fault handler, C libraries
    ready: bool = False
    pending: int = 0  # batches submitted since it came up
    seen: tuple[int, float] = (-1, 0.0)  # the last beat that was read
    kill_at: float = math.inf  # monotonic clock
    dumped: bool = False
    late: tuple[int, float] | None = None  # the beat of the trial that it is killed for: it took too long

    @property
    def idle(self) -> bool:
        """Whether it is up and trains nothing."""
        return self.ready and self.beat.read()[0] < 0


class Processes:
    """Slots as child processes."""

    def __init__(self, work: Work, slots: int) -> None:
        """Start one process a slot; they announce themselves through `wait`.

        Args:
            work: What all trials have in common.
            slots: How many processes.
        """
        self._work = work
        self._devices = present(os.environ) if work.gpus else ()
        self._selector = selectors.DefaultSelector()
        self._idle_deaths = dict.fromkeys(range(slots), 0)
        self._workers: dict[int, _Worker] = {}
        for slot in range(slots):
            self._start(slot)

    def submit(self, slot: int, batch: Batch) -> None:
        """Send a batch to a slot that is up."""
        worker = self._workers[slot]
        worker.pending += 1
        worker.channel.send(batch)

    def wait(self, timeout_s: float) -> list[Event]:
        """What happened within `timeout_s`, as soon as something did."""
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            events = self._gather(max(0.0, min(left, _TICK_S)))
            if events or left <= 0:
                return events

    def kill(self, slot: int) -> None:
        """Ask a slot to stop at its next report, and kill it after a grace period."""
        worker = self._workers[slot]
        if worker.kill_at == math.inf or worker.late is not None:
            worker.kill_at, worker.late = time.monotonic() + GRACE_S, None
            with contextlib.suppress(ProcessLookupError):
                worker.process.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Hang up, give idle workers their grace for their own clean-up, such as a logger's, kill what is left.

        What still trains or loads is not to be waited for, but it may be about to end.
        """
        workers, self._workers = list(self._workers.values()), {}
        for worker in workers:
            self._selector.unregister(worker.channel)
            worker.channel.close()
        began = time.monotonic()
        for worker in workers:
            deadline = began + (GRACE_S if worker.idle else _MOMENT_S)
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            _kill_group(worker.process)
            _kill_marked(worker.mark)
            worker.process.wait()
            worker.native.close()
            worker.beat.close()
        self._selector.close()

    def _start(self, slot: int) -> None:
        """Start the process of a slot and send it its work."""
        ours, theirs = socket.socketpair()
        beat, native = Beat(), tempfile.TemporaryFile()  # noqa: SIM115 - lives with the worker
        mark = uuid.uuid4().hex
        numbers = (slot, theirs.fileno(), beat.fileno(), os.getpid())
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOT, json.dumps(sys.path), _HERE, *map(str, numbers)],
            stdin=subprocess.DEVNULL,
            stdout=native,
            stderr=native,
            pass_fds=(theirs.fileno(), beat.fileno()),
            start_new_session=True,  # its own group: Ctrl-C is the driver's to hear, and a kill is whole
            env={
                **os.environ,
                **dict.fromkeys(_THREADS, str(self._work.threads)),
                **environment(slot, self._devices, self._work.gpus, os.environ),
                _MARK: mark,
            },
        )
        theirs.close()
        worker = _Worker(slot, process, mark, Channel(ours), beat, native)
        self._workers[slot] = worker
        self._selector.register(worker.channel, selectors.EVENT_READ, worker)
        worker.channel.send(self._work)

    def _gather(self, timeout_s: float) -> list[Event]:
        """Read what has come, write what is left to write, look after clocks and the dead."""
        for worker in self._workers.values():
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.channel.wants_to_write else 0)
            self._selector.modify(worker.channel, wanted, worker)
        events: list[Event] = []
        for key, mask in self._selector.select(timeout_s):
            if mask & selectors.EVENT_WRITE:
                key.data.channel.push()
            if mask & selectors.EVENT_READ:
                self._read(key.data, events)
        now = time.monotonic()
        for worker in list(self._workers.values()):
            self._watch(worker, now)
            if worker.process.poll() is not None or worker.channel.ended:
                self._bury(worker, events)
        return events

    def _read(self, worker: _Worker, events: list[Event]) -> None:
        """Take in what a worker has sent."""
        for message in worker.channel.pull():
            if isinstance(message, Broken):
                raise BackendError(message.text)
            if isinstance(message, Ready):
                worker.ready = True
            elif isinstance(message, Results):
                self._idle_deaths[worker.slot] = 0
            events.append(message)

    def _watch(self, worker: _Worker, now: float) -> None:
        """Kill a worker whose trial is over time, or whose grace has run out; keep what it writes within bounds."""
        if os.fstat(worker.native.fileno()).st_blocks * 512 > NATIVE_LIMIT:
            os.ftruncate(worker.native.fileno(), 0)  # it writes on behind the hole
        beat, previous, limit_s = worker.beat.read(), worker.seen, self._work.timeout_s
        worker.seen = beat
        trial, since = beat
        over = limit_s is not None and trial >= 0 and beat == previous and now > since + limit_s + OVERTIME_S
        if over and worker.kill_at == math.inf:
            worker.late, worker.kill_at = beat, now + _DUMP_S
        elif worker.late is not None and worker.late != beat:  # it came to its end after all: the next is innocent
            worker.late, worker.kill_at, worker.dumped = None, math.inf, False
        if now >= worker.kill_at - _DUMP_S and not worker.dumped:
            worker.dumped = True
            with contextlib.suppress(ProcessLookupError):
                worker.process.send_signal(signal.SIGUSR1)  # the fault handler writes where it is
        if now >= worker.kill_at:
            _kill_group(worker.process)

    def _bury(self, worker: _Worker, events: list[Event]) -> None:
        """Hear a dead worker's last words, tell of its loss, start another in its place."""
        if worker.channel.ended:  # it may be on its way out: a kill now would hide why
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(_EXIT_S)
        _kill_group(worker.process)
        code = worker.process.wait()
        _kill_marked(worker.mark)
        self._read(worker, events)
        self._selector.unregister(worker.channel)
        worker.channel.close()
        native = _tail(worker.native)
        beat = worker.beat.read()
        worker.beat.close()
        del self._workers[worker.slot]
        if not worker.ready:
            raise BackendError(f"a worker process could not start ({_cause(code)})\n{native}".rstrip())
        self._idle_deaths[worker.slot] += 1
        if self._idle_deaths[worker.slot] > _MAX_IDLE_DEATHS + 1 and not worker.pending:
            raise BackendError(f"worker processes keep dying without work ({_cause(code)})\n{native}".rstrip())
        trial, since = beat if worker.late in (None, beat) else (-1, math.nan)
        seconds = time.monotonic() - since if trial >= 0 else math.nan
        if worker.late == beat:
            status, reason = Status.TIMEOUT, f"ran longer than {self._work.timeout_s:g} s without a report: killed"
        else:
            status, reason = Status.LOST, f"the worker process {_cause(code)}"
        events.append(Lost(worker.slot, status, trial, time.time() - seconds, seconds, reason, native or None))
        self._start(worker.slot)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a worker with everything that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _kill_marked(mark: str) -> None:
    """Kill what a worker had started and what left its group: daemons of daemons."""
    sign = f"{_MARK}={mark}".encode()
    for path in glob.glob("/proc/[0-9]*/environ"):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            if sign in file.read():
                os.kill(int(path.split("/")[2]), signal.SIGKILL)


def _cause(code: int) -> str:
    """A process's end in words."""
    if code >= 0:
        return f"exited with code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


def _tail(native: IO[bytes], size: int = 20_000) -> str:
    """The end of what a process wrote past Python; closes the file."""
    end = native.seek(0, os.SEEK_END)
    native.seek(max(0, end - size))
    text = native.read().decode("utf-8", "replace").strip("\0 \n")
    native.close()
    return text
