"""The driver's memory in one run of very many no-op trials: its resident set at every 100,000 trials that have ended.

    .venv/bin/python benchmarks/memory.py [TRIALS] [BACKEND]

Then the same run again with 1,000 trials more: how long until the first of them has begun, and the memory that took.
Each in a process of its own, without pandas.
"""

import pathlib
import resource
import subprocess
import sys
import tempfile
import time

from sweeps.launch import launch, reference
from sweeps.settings import settings_from
from sweeps.snapshot import Snapshot

HERE = pathlib.Path(__file__).resolve()
STEP = 100_000
MORE = 1_000
EPOCHS = 5


def train(lr, reg, *, epochs, seed):
    """A trial that does nothing but report."""
    for epoch in range(1, epochs + 1):
        yield {"loss": 1.0 / epoch, "val_acc": lr * epoch}


def resident_mib() -> float:
    """What this process holds in memory now."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


class Gauge:
    """A view that prints memory instead of progress."""

    def __init__(self) -> None:
        """Begin to count."""
        self._began = time.time()
        self._next = 0
        self._first: int | None = None

    def update(self, snapshot: Snapshot) -> None:
        """Print a line for each so many trials, and one when the first has ended."""
        ended = sum(snapshot.counts.values())
        if self._first is None:
            self._first = ended
            self._next = -(-ended // STEP) * STEP
        elif ended > self._first >= 0:
            print(
                f"{'first trials after':>18} {time.time() - self._began:8.1f} s {resident_mib():8.0f} MiB", flush=True
            )
            self._first = -1
        if ended >= self._next:
            print(f"{ended:>18,} {time.time() - self._began:8.1f} s {resident_mib():8.0f} MiB", flush=True)
            self._next += STEP

    def say(self, text: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


def one(folder: str, trials: int, backend: str) -> None:
    """Run so many trials, or what is left of them."""
    settings = settings_from(
        {
            "train": f"{HERE}:train",
            "metric": "val_acc",
            "mode": "max",
            "space": {"lr": {"log": [1e-6, 1e-3]}, "reg": {"log": [1e-5, 1e5]}},
            "stage": [{"name": "only", "trials": trials, "epochs": EPOCHS}],
        },
        HERE.parent,
    )
    launch(settings, reference(settings.train, settings.folder), None, pathlib.Path(folder), backend, Gauge())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{'stage closed':>18} {'':>10} {resident_mib():8.0f} MiB; {peak:.0f} MiB at the peak", flush=True)


def main() -> None:
    """Print the two runs' memory."""
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], int(sys.argv[3]), sys.argv[4])
        return
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    backend = sys.argv[2] if len(sys.argv) > 2 else "local"
    with tempfile.TemporaryDirectory() as place:
        for count, what in ((trials, "a run"), (trials + MORE, f"the same run, {MORE:,} trials more")):
            print(f"{what} of {trials:,} trials, {backend} backend")
            subprocess.run([sys.executable, str(HERE), "--one", f"{place}/x", str(count), backend], check=True)


if __name__ == "__main__":
    main()
