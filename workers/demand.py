"""What one slot takes up of a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Demand:
    """What one slot takes up.

    Attributes:
        cpus: Cores.
        gpus: GPUs, may be a fraction.
        memory: Bytes; None for not stated.
        resources: Custom resources of the cluster.
    """

    cpus: int = 1
    gpus: float = 0.0
    memory: int | None = None
    resources: Mapping[str, float] = field(default_factory=dict)

    def words(self) -> str:
        """`1 CPU, 0.5 GPU`."""
        parts = [f"{self.cpus} CPU"] + ([f"{self.gpus:g} GPU"] if self.gpus else [])
        parts += [f"{self.memory / 2**30:.3g} GiB"] if self.memory else []
        return ", ".join(parts + [f"{amount:g} {name}" for name, amount in self.resources.items()])
