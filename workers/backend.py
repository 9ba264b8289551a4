"""The seam: four verbs between the driver and the thing that owns the slots. Nothing above it knows what is below."""

from __future__ import annotations

from typing import Protocol

from workers.messages import Batch, Event


class BackendError(Exception):
    """The backend cannot start, or cannot go on; the text says why and what to do."""


class Backend(Protocol):
    """Owns slots; a slot runs one trial at a time, from the batches that it was given, in order.

    The contract, which `tests/workers/test_backends.py` checks against every implementation:

    - A slot announces itself with `Ready` before it can be submitted to, and again after a `Lost`.
    - Every trial of a submitted batch ends in exactly one `Ends`, unless its slot is `Lost` first; then no
      further word of that slot's batches is heard.
    - Reports of a trial arrive in order of epochs, and none after its end.
    - A trial that outlasts `Work.timeout_s` ends as TIMEOUT: at its next report, or with its worker.
    - A worker that dies before it was ever ready is an error of the installation: `wait` raises `BackendError`.
    """

    def submit(self, slot: int, batch: Batch) -> None:
        """Queue a batch on a slot that is up. Never blocks on training."""

    def wait(self, timeout_s: float) -> list[Event]:
        """What happened, in order; empty when nothing did within `timeout_s`. The only blocking call."""

    def kill(self, slot: int) -> None:
        """Stop what the slot runs: at its next report, by force if that does not come within a grace period."""

    def close(self) -> None:
        """Leave no process behind. Closing twice is harmless."""
