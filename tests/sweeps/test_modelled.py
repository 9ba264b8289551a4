"""A stage given by hand may leave it to a model of the earlier results what it tries."""

import contextlib
import pathlib

import numpy as np
import pandas as pd
import pytest
from conftest import TRAINERS, contents, run_sweep, sweep

from sweeps.modelled import modelled, seen
from sweeps.settings import settings_from
from sweeps.store import Store

COARSE = {"name": "coarse", "trials": 24, "epochs": 2}
FINE = {"name": "fine", "trials": 12, "epochs": 4, "method": "model"}
SAVING = TRAINERS.with_name("trainers_saving.py")


def run(folder, trainer="bowl", stages=(COARSE, FINE), **keys):
    """The keys of a sweep that was run."""
    written = sweep(trainer, space={"lr": {"log": [1e-6, 1e-1]}}, stages=list(stages)) | keys
    run_sweep(written, folder)
    return written


def of(folder, stage):
    """The trials of a stage."""
    table = pd.read_parquet(folder / "trials")
    return table[table.stage == stage]


@contextlib.contextmanager
def opened(written, folder):
    """The settings and the store of a run."""
    settings = settings_from(written, pathlib.Path())
    store = Store(folder, settings.space)
    yield settings, store
    store.close()


def test_most_of_what_it_proposes_is_near_the_best(tmp_path):
    run(tmp_path / "x")
    away = {name: np.abs(np.log10(of(tmp_path / "x", name).lr) + 3) for name in ("coarse", "fine")}
    assert away["fine"].median() < away["coarse"].median() / 4


def test_where_trials_die_little_is_proposed(tmp_path):
    run(tmp_path / "x", "failing")
    assert (of(tmp_path / "x", "coarse").lr > 1e-3).sum() > 5
    assert (of(tmp_path / "x", "fine").lr > 1e-3).mean() < 0.35


def test_its_stage_tells_the_method_and_why_the_region_is_what_it_is(tmp_path):
    run(tmp_path / "x")
    row = pd.read_parquet(tmp_path / "x/stages").set_index("stage").loc["fine"]
    assert row.method == "model"
    assert any("round the" in sentence for sentence in row.evidence)


def test_the_bytes_do_not_depend_on_the_slots(tmp_path):
    written = run(tmp_path / "x", stages=(COARSE, FINE, {**FINE, "name": "finest", "epochs": 6}))
    run_sweep(written, tmp_path / "y", backend="local", slots=3)
    assert contents(tmp_path / "y") == contents(tmp_path / "x")


def test_a_proposal_does_not_change_when_trials_have_gone_on_since(tmp_path):
    written = run(tmp_path / "x", stages=(COARSE, FINE | {"continue": 5}), train=f"{SAVING}:saving")
    assert (of(tmp_path / "x", "coarse").epochs == 4).sum() == 5
    with opened(written, tmp_path / "x") as (settings, store):
        again = modelled(store, settings.space, settings.objective, settings.seed, settings.stages, 1)
    assert again.columns["lr"] == of(tmp_path / "x", "fine").lr.tolist()


@pytest.mark.parametrize("trainer", ["bowl", "failing", "diverging"])
def test_it_sees_of_each_trial_the_score_after_every_budget_so_far(tmp_path, trainer):
    """Nothing where a trial was not trained so far, and the worst from where it died."""
    longer = {"name": "longer", "trials": 6, "epochs": 3}
    written = run(tmp_path / "x", trainer, (COARSE, longer))
    rungs = [2, 3]
    with opened(written, tmp_path / "x") as (settings, store):
        results = seen(store, settings.space, settings.objective, rungs, 2)
    table = pd.read_parquet(tmp_path / "x/trials")
    told = pd.read_parquet(tmp_path / "x/reports").set_index(["stage", "trial", "epoch"]).val_acc.to_dict()
    unknown = {"completed": np.nan, "failed": np.inf, "stopped": np.inf}
    expected = [
        [-told.get((row.stage, row.trial, rung), -unknown[row.status]) for rung in rungs] for row in table.itertuples()
    ]
    assert results.columns["lr"] == table.lr.tolist()
    np.testing.assert_array_equal(results.values, expected)
