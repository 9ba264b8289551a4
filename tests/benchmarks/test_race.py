"""What is raced on CIFAR-10 is the reference network, also where its training goes on from a checkpoint."""

import importlib.util
import pathlib

import pytest

from workers import reference

RACE = pathlib.Path(__file__).parents[2] / "benchmarks" / "race.py"
CONFIG = {"lr": 1e-3, "reg": 0.1, "hidden": 10, "decay": 0.9}


@pytest.fixture(scope="module")
def race():
    spec = importlib.util.spec_from_file_location("race", RACE)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    return benchmark


@pytest.fixture
def log(monkeypatch, tmp_path):
    """Where the trainers note what they do."""
    monkeypatch.setenv("RACE_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.mark.parametrize("update", ["sgd", "momentum", "nesterov", "rmsprop", "adam"])
def test_a_training_in_two_pieces_is_the_reference_in_one(race, log, tmp_path, update):
    data, config = reference.load_digits(), CONFIG | {"update": update}
    pieces = [
        report["val_acc"]
        for epochs in (2, 5)
        for report in race.train(**config, epochs=epochs, seed=1, data=data, checkpoint=tmp_path)
    ]
    assert pieces == [report["val_acc"] for report in reference.train(**config, epochs=5, seed=1, data=data)]
    assert [float(line.split()[1]) for line in log.read_text().splitlines()] == pieces
