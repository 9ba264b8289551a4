"""Runs that the tests of the analysis read."""

import pathlib

import pytest
from conftest import run_sweep, sweep

import analysis

TESTS = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run of two stages with every kind of parameter; some of its trials diverge, some raise."""
    space = {
        "lr": {"log": [1e-5, 1e-2]},
        "units": {"int": [8, 64], "log": True},
        "update": ["sgd", "momentum"],
        "beta": {"uniform": [0.8, 1.0], "when": {"update": "momentum"}},
        "sizes": [[1, 2], [3]],
        "decay": 0.9,
    }
    stages = [{"name": "coarse", "trials": 90, "epochs": 2}, {"name": "fine", "trials": 30, "epochs": 4}]
    folder = tmp_path_factory.mktemp("runs") / "mixed"
    run_sweep(sweep(stages=stages, space=space) | {"train": f"{TESTS / 'trainers_export.py'}:mixed"}, folder)
    return folder


@pytest.fixture(scope="session")
def frames(run):
    loaded = analysis.load(run)
    assert set(loaded.trials["status"]) == {"completed", "stopped", "failed"}
    return loaded


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """A run in which nothing has ended yet."""
    folder = tmp_path_factory.mktemp("runs") / "empty"
    run_sweep(sweep("bowl", stages=[{"name": "coarse", "trials": 3, "epochs": 1}]), folder)
    for table in ("trials", "reports", "attempts"):
        for path in (folder / table).iterdir():
            path.unlink()
    return folder
