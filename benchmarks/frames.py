"""How long it takes to load a large run and to find its best trials, and how much memory.

    python benchmarks/frames.py [TRIALS]

makes a run of a million no-op trials with five reports each (about a minute), and reads it in a fresh interpreter.
"""

from __future__ import annotations

import pathlib
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
print(f"{len(frames.trials):,} trials, {len(frames.reports):,} reports: {seconds:.1f} s on the clock,"
      f" {usage.ru_utime + usage.ru_stime:.1f} s of processor, {usage.ru_maxrss / 1024:.0f} MB at most")
"""


def main() -> None:
    """Make the run, read it."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "train.py").write_text(TRAINER)
        (folder / "sweep.toml").write_text(SWEEP.format(trials=trials))
        command = pathlib.Path(sys.executable).with_name("sweeps")
        subprocess.run([command, "run", "sweep.toml"], cwd=folder, check=True, capture_output=True)
        subprocess.run([sys.executable, "-c", READ, folder / "runs" / "sweep"], check=True)


if __name__ == "__main__":
    main()
