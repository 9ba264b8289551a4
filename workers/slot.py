"""A slot of a cluster as the driver knows it: its actor, what it has to do, whether it is up. Knows nothing of Ray."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from workers.messages import Batch, Event, Lost, Ready, Results


@dataclass(slots=True)
class Slot:
    """An actor and what the driver knows of it.

    `life` tells the answers of this actor from those of its dead predecessors.
    """

    life: int
    actor: Any = None
    asked: bool = False  # a step is on its way
    up: bool = False  # it has said ready, and no word of its death has come since
    pending: dict[int, int] = field(default_factory=dict)  # trials without an end, by batch
    outbox: list[Batch] = field(default_factory=list)
    kill: bool = False
    kill_at: float = float("inf")
    idle_since: float = 0.0
    host: str = ""
    deaths: int = 0  # in a row, before it was up

    def take(self, batch: Batch) -> None:
        """Take in a batch that goes with the next call."""
        self.outbox.append(batch)
        self.pending[batch.id] = len(batch.trials)

    def hear(self, event: Event) -> None:
        """Take in what an event means for what is left to do."""
        if isinstance(event, Ready):
            self.up, self.kill_at, self.host, self.deaths = True, float("inf"), event.host, 0
        elif isinstance(event, Lost):
            self.forget()
            self.up = False
        elif isinstance(event, Results) and event.batch in self.pending:
            self.pending[event.batch] -= len(event.ends.trial)
            if not self.pending[event.batch]:
                del self.pending[event.batch]

    def forget(self) -> None:
        """Nothing is left to do: what there was died with its process."""
        self.pending.clear()
        self.outbox.clear()
