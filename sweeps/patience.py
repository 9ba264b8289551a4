"""A full disk: the run waits for room, and says so."""

from __future__ import annotations

import time
from collections.abc import Callable

from sweeps.interrupts import Interrupts
from sweeps.progress import View
from sweeps.stage import Halt

LOOK_S = 3.0  #: between two tries to write
_SAY_S = 60.0
_TICK_S = 0.1


class Patience:
    """Waits for room, as long as nobody asks the run to end."""

    def __init__(self, view: View, interrupts: Interrupts, sleep: Callable[[float], None] = time.sleep) -> None:
        """Prepare for a full disk.

        Args:
            view: Is told of it, now and then.
            interrupts: Tells when somebody asks for an end.
            sleep: Lets seconds pass.
        """
        self._view = view
        self._interrupts = interrupts
        self._sleep = sleep
        self._said_s = -_SAY_S

    def __call__(self, error: OSError) -> None:
        """Wait a little before the next try.

        Args:
            error: Why the last one failed.

        Raises:
            Halt: The run was asked to end; what waits to be stored is lost, and runs again.
        """
        if time.monotonic() - self._said_s >= _SAY_S:
            self._said_s = time.monotonic()
            self._view.say(f"{error.strerror}: {error.filename}: nothing is lost; the run goes on when there is room")
        for _ in range(round(LOOK_S / _TICK_S)):
            if self._interrupts.asked:
                raise Halt(130, "interrupted; the disk is full: the last trials are not stored and run again")
            self._sleep(_TICK_S)
