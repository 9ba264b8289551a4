"""GPUs on this machine, as a sweep asks for them. Devices are faked by CUDA_VISIBLE_DEVICES; no driver is asked."""

import pathlib

import pandas as pd
import pytest
from conftest import TRAINERS, run_sweep, sweep

from sweeps.errors import UsageError
from sweeps.planning import plan_lines
from sweeps.settings import settings_from
from workers.gpus import VISIBLE

MANY = [{"name": "one", "trials": 40, "epochs": 1}]


def asking(gpus, slots="auto"):
    """A sweep whose trials ask for GPUs."""
    written = sweep(stages=MANY, run={"gpus": gpus, "slots": slots})
    return written | {"train": f"{TRAINERS.parent / 'trainers_gpus.py'}:seeing"}


@pytest.fixture(autouse=True)
def devices(monkeypatch):
    monkeypatch.setenv(VISIBLE, "3,5")


@pytest.mark.parametrize(
    ("gpus", "slots", "found"), [(0.25, "auto", 8), (1, "auto", 2), (2, "auto", 1), (0.25, 3, 3), (1, 16, 2)]
)
def test_slots_follow_the_devices_and_never_exceed_them(gpus, slots, found):
    assert settings_from(asking(gpus, slots), TRAINERS.parent).slots == found


@pytest.mark.parametrize(
    ("gpus", "count", "memory"), [(0.5, 1, 0.45), (1, 1, None), (2, 2, None)], ids=["half", "one", "two"]
)
def test_each_trial_sees_its_own_devices_and_knows_its_memory(folder, gpus, count, memory):
    run_sweep(asking(gpus), folder, backend="local", slots="auto")
    trials = pd.read_parquet(folder / "trials")
    attempts = pd.read_parquet(folder / "attempts").set_index("trial")
    assert (trials.devices == count).all()
    assert trials.memory.isna().all() if memory is None else (trials.memory == memory).all()
    names = {0: 3.0, 1: 3.0 if count == 2 else 5.0}
    assert trials.device.tolist() == [names[attempts.slot[i] % 2] for i in trials.trial]


def test_without_a_request_nothing_is_hidden_and_the_plan_says_what_is_there(folder):
    settings = settings_from(asking(0), TRAINERS.parent)
    assert any(line.startswith("2 GPUs present, none requested: ") for line in plan_lines(settings, folder))
    run_sweep(asking(0), folder, backend="local")
    assert set(pd.read_parquet(folder / "trials").devices) == {2.0}


def test_the_plan_does_not_speak_of_gpus_that_are_requested_or_absent(folder, monkeypatch):
    assert "GPU" not in "".join(plan_lines(settings_from(asking(1), TRAINERS.parent), folder))
    monkeypatch.setenv(VISIBLE, "")
    assert "GPU" not in "".join(plan_lines(settings_from(asking(0), TRAINERS.parent), folder))


@pytest.mark.parametrize(
    ("gpus", "visible", "backend", "words"),
    [
        (0.5, "", "local", "a trial is to have 0.5 GPUs, and this machine has none to be seen"),
        (4, "3,5", "local", "a trial is to have 4 GPUs, and this machine has 2 of them to be seen"),
        (1, "3,5", "inline", "gpus are given to processes"),
    ],
)
def test_what_cannot_be_given_is_refused_before_anything_runs(folder, monkeypatch, gpus, visible, backend, words):
    monkeypatch.setenv(VISIBLE, visible)
    with pytest.raises(UsageError, match=words):
        run_sweep(asking(gpus), folder, backend=backend)
    assert not pathlib.Path(folder).exists()
