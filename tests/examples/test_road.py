"""Each example of a framework goes the whole road with the real library: check, plan, run, report, then longer."""

import json
import os
import pathlib
import subprocess
import sys

import pandas as pd
import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
BIN = pathlib.Path(sys.executable).parent
NAMES = ["numpy", "script", "sklearn", "forest", "torch", "jax", "lightning", "transformers"]
SMALL = [f"--set=stage.{each}" for each in ("coarse.trials=4", "fine.trials=2")]


def said(*command, cwd):
    """Standard output of a command that ends well."""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a large library is imported seven times, and a busy machine takes its time
@pytest.mark.parametrize("name", NAMES)
def test_an_example_goes_the_whole_road(name, tmp_path):
    sweep, run = EXAMPLES / f"digits_{name}.toml", f"digits_{name}"
    short = [*SMALL, *([] if name == "forest" else ["--set=stage.coarse.epochs=2", "--set=stage.fine.epochs=3"])]
    checked = {
        check["name"]: check for check in json.loads(said("sweeps", "check", sweep, "--json", cwd=tmp_path))["checks"]
    }
    assert checked["seed"]["verdict"] == "pass"
    assert "coarse: 4 trials of" in said("sweeps", "plan", sweep, *short, cwd=tmp_path)

    said("sweeps", "run", sweep, *short, "--slots", 1, cwd=tmp_path)
    trials = pd.read_parquet(tmp_path / "runs" / run / "trials")
    assert trials.stage.tolist() == ["coarse"] * 4 + ["fine"] * 2
    assert set(trials.status) <= {"completed", "stopped"}
    assert pathlib.Path(tmp_path, said("sweeps", "report", f"runs/{run}", cwd=tmp_path).strip()).is_file()

    epochs = 1 if name == "forest" else 4
    said(sys.executable, EXAMPLES / "longer.py", sweep, f"runs/{run}", epochs, cwd=tmp_path)
    (longer,) = pd.read_parquet(tmp_path / "runs" / f"{run}-longer" / "trials").to_dict("records")
    best = json.loads(said("sweeps", "best", f"runs/{run}", "--json", cwd=tmp_path))["best"][0]
    assert longer["epochs"] == epochs
    assert {key: longer[key] for key in best["config"]} == best["config"]


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_gives_the_one_command(name):
    source = (EXAMPLES / f"digits_{name}.py").read_text()
    assert f"sweeps run examples/digits_{name}.toml" in source.split('"""')[1].splitlines()


def test_no_example_of_a_framework_imports_anything_of_ours():
    for name in NAMES:
        source = (EXAMPLES / f"digits_{name}.py").read_text()
        assert not any(f"{word} {ours}" in source for word in ("import", "from") for ours in ("sweeps", "workers"))
