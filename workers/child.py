"""A worker process of the local backend: one slot, at the other end of a socket.

Started as a fresh interpreter that never imports the user's `__main__`, so a script without a guard works.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import socket
import sys
from types import FrameType

from workers.beat import Beat
from workers.channel import encode, receive
from workers.console import Console
from workers.messages import Broken, Ready, Results, Work
from workers.runner import Runner, Stopped
from workers.training import TrainerError, users_traceback

_PR_SET_PDEATHSIG = 1


class _Ending:
    """Turns SIGTERM into an end: at the next report while a batch runs, at once while there is none."""

    def __init__(self) -> None:
        self.asked = False
        self.busy = False
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if not self.busy:
            raise SystemExit(0)


def main(slot: int, sock_fd: int, beat_fd: int, parent: int) -> None:
    """Serve batches until the driver hangs up.

    Args:
        slot: Number of the slot.
        sock_fd: Connected socket to the driver.
        beat_fd: Memory shared with the driver.
        parent: Process id of the driver, whose death ends this process.
    """
    _die_with(parent)
    for fd in (sock_fd, beat_fd):  # what a trainer starts must not keep the driver waiting for an end of file
        os.set_inheritable(fd, False)
    # The real stderr is a file of the driver's: a segmentation fault, or SIGUSR1, leaves the Python stack there even
    # when C code holds the interpreter.
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=False)
    ending = _Ending()
    sock, beat, console = socket.socket(fileno=sock_fd), Beat(beat_fd), Console()
    with contextlib.suppress(EOFError, ConnectionError), contextlib.redirect_stdout(console):
        with contextlib.redirect_stderr(console):
            _serve(slot, sock, beat, console, ending)


def _serve(slot: int, sock: socket.socket, beat: Beat, console: Console, ending: _Ending) -> None:
    """Load the trainer, say ready, run batches."""
    work = receive(sock)
    assert isinstance(work, Work)

    def send(results: Results) -> None:
        sock.sendall(encode(results))

    try:
        runner = Runner(slot, work, send, console=console, began=beat.strike, stopping=lambda: ending.asked)
    except TrainerError as error:
        sock.sendall(encode(Broken(str(error))))
        return
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an import or `setup` raises
        sock.sendall(encode(Broken(f"a worker could not load the trainer or its data\n{users_traceback(error)}")))
        return
    sock.sendall(encode(Ready(slot, socket.gethostname(), os.getpid())))
    while True:
        batch = receive(sock)
        ending.busy = True
        try:
            runner.run(batch)
        except Stopped:
            runner.flush()
            return
        ending.busy = False
        if ending.asked:
            return


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its driver dies; elsewhere than on Linux a closed socket does it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
