"""What is imported when: nothing heavy before it is needed, and Ray by nobody who runs on this machine."""

import subprocess
import sys

import pandas as pd
import pytest
from commands import paced, sweep_file
from trainers_paced import HEAVY

FOREIGN = {"ray", "pandas", "plotly", "matplotlib", "rich", "optuna"}  # nothing here needs them
PROBE = f"""
import atexit, sys
atexit.register(lambda: print(*[name for name in {HEAVY} if name in sys.modules], file=sys.stderr))
"""
COMMAND = "sys.argv = {}\nfrom sweeps.cli import main\nmain()"


def imported(code, folder):
    """Which heavy modules a fresh interpreter has imported when it has run some code."""
    ended = subprocess.run([sys.executable, "-c", PROBE + code], cwd=folder, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return set(ended.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("code", ["import sweeps", "import sweeps.cli", "import workers"])
def test_an_import_is_light(tmp_path, code):
    assert imported(code, tmp_path) == set()


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"], ["init"]])
def test_what_needs_no_tables_is_light(tmp_path, arguments):
    assert imported(COMMAND.format(["sweeps", *arguments]), tmp_path) == set()


def test_the_probe_sees_what_is_imported(tmp_path):
    assert {"pandas", "pyarrow", "numpy"} <= imported("import analysis.frames", tmp_path)


@pytest.mark.parametrize("backend", ["auto", "local", "inline"])
def test_a_run_on_this_machine_imports_neither_ray_nor_pandas_in_driver_or_worker(tmp_path, backend):
    sweep_file(tmp_path, paced("curious", stages=[{"name": "one", "trials": 6, "epochs": 1}]))
    run = COMMAND.format(["sweeps", "run", "sweep.toml", "--backend", backend])
    assert imported(run, tmp_path).isdisjoint(FOREIGN)
    trials = pd.read_parquet(tmp_path / "runs" / "sweep" / "trials")
    assert (trials.status == "completed").all()
    seen = {name for name in HEAVY if (trials[f"has_{name}"] == 1).any()}
    assert "numpy" in seen
    assert seen.isdisjoint(FOREIGN if backend == "inline" else FOREIGN | {"pyarrow"})
