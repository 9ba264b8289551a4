"""The backend without processes: one slot, in this process, so that a debugger stops where the trainer does.

It cannot kill what hangs in it, and a trainer that takes the process down takes the driver with it.
"""

from __future__ import annotations

import math
import os
import socket
from collections import deque
from collections.abc import Callable

from threadpoolctl import threadpool_limits

from workers.messages import Batch, Event, Lost, Ready, Status, Work
from workers.runner import Runner, Stopped


class Inline:
    """One slot in this process; `wait` runs one batch."""

    def __init__(self, work: Work, *, stopping: Callable[[], bool] = lambda: False) -> None:
        """Load the trainer and call `setup`.

        Args:
            work: What all trials have in common.
            stopping: Asked at each report whether to give up what runs.
        """
        self._queue: deque[Batch] = deque()
        self._events: list[Event] = []
        # The number of threads is in the last bits of what they add up, and a run's bytes do not say where it ran.
        # A process of its own is told when it starts; this one has loaded its libraries, and the trainer may load more.
        self._threads = work.threads
        with threadpool_limits(self._threads):
            self._runner = Runner(0, work, self._events.append, stopping=stopping)
        self._announce()

    def submit(self, slot: int, batch: Batch) -> None:
        """Queue a batch."""
        self._queue.append(batch)

    def wait(self, timeout_s: float) -> list[Event]:
        """What happened; runs the next batch when there is nothing to tell."""
        if not self._events and self._queue:
            try:
                with threadpool_limits(self._threads):
                    self._runner.run(self._queue.popleft())
            except Stopped:
                self._runner.flush()
                self.kill(0)
        events = list(self._events)
        self._events.clear()
        return events

    def kill(self, slot: int) -> None:
        """Forget what is queued; nothing runs while the driver has the process."""
        self._queue.clear()
        self._events.append(Lost(0, Status.LOST, -1, math.nan, math.nan, "stopped"))
        self._announce()

    def close(self) -> None:
        """Forget what is queued."""
        self._queue.clear()

    def _announce(self) -> None:
        self._events.append(Ready(0, socket.gethostname(), os.getpid()))
