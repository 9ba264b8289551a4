"""A training script that is not ours to change, as a trainer.

It is started once a trial. Each line that it prints as a JSON object with a number in it is the report of an epoch;
whatever else it prints goes to the trial's log.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import inspect
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from typing import IO, Any

from workers.command import command_from

GRACE_S = 2.0  #: between asking a stopped trial's script to end and killing it
ENDING_S = 30.0  #: for a script that has reported its last epoch, to save what it has learnt
_KEPT = 100  # lines of its standard error that are told when it fails
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class ScriptFailed(Exception):
    """The script ended with an error; its own last words are in the notes."""


class Script:
    """A command as a trainer: called with a config, it gives one dict of metrics per epoch."""

    def __init__(self, written: str) -> None:
        """Read the command.

        Args:
            written: The words as in a shell, with parameters in braces.

        Raises:
            CommandError: It cannot be read, or there is no such program.
        """
        self._command = command_from(written)
        self.__name__ = self._command.name
        self.__signature__ = inspect.Signature(
            [
                inspect.Parameter(
                    name, inspect.Parameter.KEYWORD_ONLY, default=inspect.Parameter.empty if value is None else value
                )
                for name, value in self._command.parameters.items()
            ]
        )

    def __call__(self, **values: Any) -> Generator[dict[str, Any], None, None]:
        """The reports of one run of the script, as it prints them."""
        return _reports(self._command.filled(values), self.__name__, values.get("epochs"))


def report_of(line: str) -> dict[str, Any] | None:
    """The metrics that a printed line reports; None for a line of another kind."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    numbers = (isinstance(value, int | float) and not isinstance(value, bool) for value in found.values())
    return found if any(numbers) else None


def _reports(command: list[str], name: str, epochs: int | None) -> Generator[dict[str, Any], None, None]:
    """Run a command and give its reports; ends it when no more are asked for.

    Raises:
        ScriptFailed: It ended with an error.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONUNBUFFERED": "1"},  # an epoch is to be heard when it is printed
        start_new_session=True,  # what the script starts is killed with it
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    tail: collections.deque[str] = collections.deque(maxlen=_KEPT)
    errors = _copying(process.stderr, sys.stderr, tail)
    count = 0
    try:
        for line in process.stdout:
            metrics = report_of(line)
            if metrics is None:
                sys.stdout.write(line)
                continue
            count += 1
            yield metrics
        code = process.wait()
        errors.join(GRACE_S)
        if code:
            raise _failure(name, code, tail)
    finally:
        if count == epochs:
            rest = _copying(process.stdout, sys.stdout, None)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(ENDING_S)
            rest.join(GRACE_S)
        else:
            process.stdout.close()
        _end(process)
        errors.join(GRACE_S)


def _failure(name: str, code: int, tail: collections.deque[str]) -> ScriptFailed:
    """The error of a script that ended with one: its last line in the message, the lines before in the notes."""
    last = next((line.strip() for line in reversed(tail) if line.strip()), "")
    cause = f"exited with code {code}" if code > 0 else f"was killed by {signal.Signals(-code).name}"
    error = ScriptFailed(f"{name} {cause}" + (f": {last}" if last else ""))
    error.add_note("".join(tail).rstrip())
    return error


def _copying(stream: IO[str], target: Any, tail: collections.deque[str] | None) -> threading.Thread:
    """A thread that writes what comes from a stream to another one, keeps its end in `tail`, and closes it."""

    def copy() -> None:
        with stream:
            for line in stream:
                target.write(line)
                if tail is not None:
                    tail.append(line)

    thread = threading.Thread(target=copy, daemon=True)
    thread.start()
    return thread


def _end(process: subprocess.Popen[str]) -> None:
    """Leave nothing of a script running: asked first, then killed, with all that it started."""
    for sign, patience_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)


def _die_with_parent() -> None:
    """In the script's process, before it is the script: have the kernel kill it when the worker dies."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
