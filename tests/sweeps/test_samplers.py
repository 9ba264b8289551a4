"""A stage whose configs a sampler of Optuna proposes: asked of it as any user of Optuna would, told of all before."""

import json
import pathlib
import sys

import numpy as np
import optuna
import pandas as pd
import pytest
from commands import sweep_file
from conftest import contents, run_sweep, sweep
from lives import live, live_on

from sweeps import stage
from sweeps.errors import UsageError
from sweeps.settings import settings_from

SAVING = pathlib.Path(__file__).parents[1] / "trainers_saving.py"
LR = {"lr": {"log": [1e-5, 1e-2]}}
MIXED = LR | {
    "size": {"int": [8, 64], "log": True},
    "shape": [[1, 2], [3], True, 1],
    "inner": {"uniform": [0.0, 1.0], "when": {"shape": [True]}},
    "kept": 5,
}


def staged(method, count=2, trials=6, **keys):
    """The keys of a sweep: a coarse stage, then stages by a method."""
    later = [{"name": f"by-{i}", "trials": trials, "epochs": 2, "method": method} for i in range(count)]
    return sweep(stages=[{"name": "coarse", "trials": 8, "epochs": 2}, *later], **keys)


def ran(written, folder):
    """The trials of a sweep."""
    assert run_sweep(written, folder)[0].code == 0
    return pd.read_parquet(folder / "trials").set_index(["stage", "trial"])


def by_hand(sampler, trials, seed):
    """The learning rates that the sampler asks for, stage after stage, told what the sweep was told."""
    study = optuna.create_study(direction="minimize", sampler=sampler(seed=int(seed)))
    distributions = {"lr": optuna.distributions.FloatDistribution(1e-5, 1e-2, log=True)}
    for row in trials.loc["coarse"].itertuples():
        params = {"lr": row.lr}
        study.add_trial(optuna.create_trial(value=-row.val_acc, params=params, distributions=distributions))
    for name in ("by-0", "by-1"):
        asked = [study.ask(distributions) for _ in trials.loc[name].lr]
        yield [trial.params["lr"] for trial in asked]
        for trial, score in zip(asked, trials.loc[name].val_acc, strict=True):
            study.tell(trial, -score)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("sampler", [optuna.samplers.TPESampler, optuna.samplers.QMCSampler])
def test_it_proposes_what_ask_and_tell_by_hand_do(folder, sampler):
    trials = ran(staged(f"optuna:{sampler.__name__}", seed=7), folder)
    words = np.random.SeedSequence(7).generate_state(1)
    assert list(by_hand(sampler, trials, words[0])) == [trials.loc[name].lr.tolist() for name in ("by-0", "by-1")]


def test_a_sampler_that_learns_comes_nearer_to_the_best(folder):
    trials = ran(staged("optuna:TPESampler", trials=20), folder)
    away = np.abs(np.log10(trials.lr) + 3).groupby("stage").median()
    assert away["by-1"] < away["by-0"]


def test_every_kind_of_parameter_is_asked_for_as_it_is_declared(folder):
    trials = ran(
        staged("optuna:TPESampler", trials=20, space=MIXED) | {"train": f"{pathlib.Path(__file__)}:mixed"}, folder
    ).loc["by-1"]
    assert trials["size"].between(8, 64).all()
    assert {json.dumps(json.loads(value)) for value in trials["shape"]} <= {"[1, 2]", "[3]", "true", "1"}
    assert (trials.inner.notna() == (trials["shape"] == "true")).all()
    assert trials.inner.notna().any()
    assert (trials.kept == 5).all()


def mixed(lr, size, shape, kept, inner=None):
    """True is best, with an inner parameter of its own."""
    assert isinstance(size, int)
    assert (inner is not None) == (shape is True)
    return {"val_acc": float(shape is True) - (inner or 0.0)}


def test_its_region_says_who_proposed_and_reaches_as_far_as_was_tried(folder):
    moved = sweep(
        space={"lr": {"log": [1e-6, 1e-5]}},  # the best is at 1e-3
        stages=[
            {"name": "coarse", "trials": 100, "epochs": 2},
            {"name": "fine", "trials": 60, "epochs": 2},
            {"name": "asked", "trials": 5, "epochs": 2, "method": "optuna:TPESampler"},
        ],
    )
    trials = ran(moved, folder)
    row = pd.read_parquet(folder / "stages").set_index("stage").loc["asked"]
    assert row.evidence.tolist() == ["TPESampler of Optuna, told of 160 trials"]
    highest = trials.lr[["coarse", "fine"]].max()
    assert json.loads(row.region)["lr"]["log"] == [1e-6, highest]
    assert highest > 1e-5


def test_trials_that_diverge_do_not_stop_it(folder):
    trials = ran(staged("optuna:TPESampler") | {"train": sweep("diverging")["train"]}, folder)
    assert {"stopped", "completed"} <= set(trials.status)


def test_interrupted_again_and_again_it_ends_with_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "FLUSH_S", 0.0)
    written = staged("optuna:TPESampler", trials=3, space={"lr": {"log": [1e-3, 1e-1]}}) | {"train": f"{SAVING}:saving"}
    for number, each in enumerate(written["stage"][1:], 1):
        each |= {"epochs": 2 + number, "continue": 2}  # what is known of a trial grows, what is told of it does not
    live(written, tmp_path / "calm")
    assert live_on(written, tmp_path / "x", 0, most=8) > 3
    assert contents(tmp_path / "x") == contents(tmp_path / "calm")


# --- refused before anything runs


@pytest.mark.parametrize(
    ("method", "text"),
    [
        ("optuna:TPSampler", "Optuna has no sampler 'TPSampler'; did you mean 'TPESampler'?"),
        ("optuna:GridSampler", "method = 'optuna:GridSampler' cannot be used here: it wants more than a seed"),
        ("optuna:BruteForceSampler", "method = 'optuna:BruteForceSampler' cannot be used here: "),
    ],
)
def test_a_sampler_that_cannot_be_used_is_refused(call, tmp_path, method, text):
    sweep_file(tmp_path, staged(method))
    ended = call("run", "sweep.toml", "--backend", "inline")
    assert ended.code == 2
    assert text in ended.err
    assert not (tmp_path / "runs").exists()


def test_without_optuna_the_line_says_how_to_get_it(call, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    sweep_file(tmp_path, staged("optuna:TPESampler"))
    ended = call("run", "sweep.toml", "--backend", "inline")
    assert ended.code == 2
    assert "method = 'optuna:TPESampler' needs Optuna: pip install optuna" in ended.err


def test_the_first_stage_has_nothing_to_tell():
    first = staged("optuna:TPESampler")
    first["stage"] = first["stage"][1:]
    with pytest.raises(UsageError, match="needs results to learn from"):
        settings_from(first, pathlib.Path())
