"""What `ray submit` runs on the head, run here: a home directory with the project mounted in it."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from commands import sweep_file
from conftest import FOREIGN, sweep

pytestmark = pytest.mark.slow
PROJECT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path):
    """A head as `cluster.yaml` makes it, to which `ray submit` has uploaded its one file."""
    (tmp_path / "project").symlink_to(PROJECT)
    shutil.copy(PROJECT / "sweeps" / "head.py", tmp_path)
    sweep_file(tmp_path, sweep(stages=[{"name": "one", "trials": 4, "epochs": 1}]))
    return tmp_path


def submitted(home, *words):
    """Exit code and standard error of the command on the head."""
    environment = {k: v for k, v in os.environ.items() if k not in FOREIGN} | {"HOME": str(home)}
    command = [sys.executable, str(home / "head.py"), *map(str, words)]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stderr


def test_a_run_leaves_its_results_outside_of_the_project_and_says_how_to_fetch_them(home):
    code, said = submitted(home, "run", home / "sweep.toml", "--backend", "inline")
    assert code == 0, said
    assert said.splitlines()[-1] == "fetch    ray rsync-down cluster.yaml '~/sweep-results/' runs/"
    assert list((home / "sweep-results" / "sweep" / "trials").glob("*.parquet"))


@pytest.mark.parametrize("words", [("run", "no-such.toml"), ("run", "--no-such-flag"), ("run", "--help")])
def test_a_call_that_runs_nothing_has_nothing_to_fetch(home, words):
    code, said = submitted(home, *words)
    assert code == (0 if words[-1] == "--help" else 2)
    assert "fetch" not in said
    assert not (home / "sweep-results").exists()


def test_a_head_without_the_project_says_what_mounts_it(home):
    (home / "project").unlink()
    code, said = submitted(home, "run", home / "sweep.toml")
    assert code == 1
    assert said.count("\n") == 1
    assert 'file_mounts: {"~/project": "."}' in said
