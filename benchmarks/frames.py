"""How long it takes to load a large run and to find its best trials, and how much memory.

    python benchmarks/frames.py [TRIALS]

makes a run of a million no-op trials with five reports each (about a minute), and reads it five times, each time in a
fresh interpreter.
"""

from __future__ import annotations

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

TRAINER = """
def noop(lr, reg, *, epochs):
    for epoch in range(epochs):
        yield {"loss": lr, "val_acc": reg}
"""
SWEEP = """
train = "train.py:noop"
metric = "val_acc"
mode = "max"

[space]
lr = {{ log = [1e-6, 1.0] }}
reg = {{ log = [1e-6, 1.0] }}

[[stage]]
name = "coarse"
trials = {trials}
epochs = 5
"""
READ = """
import resource, sys, time
start = time.perf_counter()
import analysis
frames = analysis.load(sys.argv[1])
best = frames.best(10)
seconds = time.perf_counter() - start
usage = resource.getrusage(resource.RUSAGE_SELF)
assert len(best) == 10
print(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
"""
REPEATS = 5


def main() -> None:
    """Make the run, read it."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "train.py").write_text(TRAINER)
        (folder / "sweep.toml").write_text(SWEEP.format(trials=trials))
        command = pathlib.Path(sys.executable).with_name("sweeps")
        subprocess.run([command, "run", "sweep.toml"], cwd=folder, check=True, capture_output=True)
        read = [sys.executable, "-c", READ, folder / "runs" / "sweep"]
        told = [subprocess.run(read, check=True, capture_output=True, text=True).stdout.split() for _ in range(REPEATS)]
    print(f"{trials:,} trials, {REPEATS} times, at a load of {os.getloadavg()[0]:.1f}: median (least to most)")
    for name, column in zip(("s on the clock", "s of processor", "MB at most"), zip(*told, strict=True), strict=True):
        values = sorted(map(float, column))
        print(f"{statistics.median(values):.2f} {name} ({values[0]:.2f} to {values[-1]:.2f})")


if __name__ == "__main__":
    main()
