"""A run, end to end, through the same door as the command."""

import conftest
import numpy as np
import pandas as pd
import pytest
from conftest import contents, run_sweep, sweep

from sweeps.errors import NothingToLearn, RunHeld, UsageError
from sweeps.settings import settings_from
from sweeps.store import Store

COLUMNS = ["stage", "trial", "status", "reason", "epochs", "best_epoch", "seed", "lr", "loss", "val_acc"]


def trials(folder):
    return pd.read_parquet(folder / "trials")


def test_a_run_stores_the_columns_of_the_contract(folder):
    ended, _ = run_sweep(sweep(), folder)
    assert ended.code == 0
    assert list(trials(folder).columns) == COLUMNS
    assert list(pd.read_parquet(folder / "reports").columns) == ["stage", "trial", "epoch", "loss", "val_acc"]
    assert len(trials(folder)) == 60
    assert len(pd.read_parquet(folder / "reports")) == 40 * 3 + 20 * 5


def test_the_fine_stage_searches_round_the_best_of_the_coarse_one(folder):
    run_sweep(sweep(), folder)
    table = trials(folder)
    coarse, fine = (table[table.stage == name] for name in ("coarse", "fine"))
    assert fine.lr.min() > coarse.lr.min()
    assert fine.lr.max() < coarse.lr.max()
    assert fine.val_acc.max() > coarse.val_acc.max()


@pytest.mark.parametrize(("backend", "slots"), [("local", 1), ("local", 2), ("local", 3)])
def test_the_bytes_do_not_depend_on_backend_and_slots(tmp_path, backend, slots):
    written = sweep("diverging")
    run_sweep(written, tmp_path / "inline")
    run_sweep(written, tmp_path / "other", backend=backend, slots=slots)
    assert contents(tmp_path / "other") == contents(tmp_path / "inline")


def test_global_generators_are_seeded_so_that_a_trial_does_not_depend_on_its_neighbours(tmp_path):
    written = sweep("global_random")
    run_sweep(written, tmp_path / "a")
    run_sweep(written, tmp_path / "b", backend="local", slots=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_finished_run_run_again_changes_nothing(folder):
    run_sweep(sweep(), folder)
    before = contents(folder, ("trials", "reports", "stages", "attempts"))
    ended, _ = run_sweep(sweep(), folder)
    assert ended.code == 0
    assert contents(folder, ("trials", "reports", "stages", "attempts")) == before


def test_more_trials_run_only_the_new_ones(tmp_path):
    small = [{"name": "coarse", "trials": 30, "epochs": 2}]
    large = [{"name": "coarse", "trials": 50, "epochs": 2}]
    run_sweep(sweep(stages=small), tmp_path / "grown")
    run_sweep(sweep(stages=large), tmp_path / "grown")
    run_sweep(sweep(stages=large), tmp_path / "at once")
    grown = contents(tmp_path / "grown", ("trials", "reports"))
    assert grown == contents(tmp_path / "at once", ("trials", "reports"))
    attempts = pd.read_parquet(tmp_path / "grown" / "attempts")
    assert not attempts.duplicated(["stage", "trial"]).any()


def test_a_changed_seed_is_refused_and_nothing_is_touched(folder):
    run_sweep(sweep(), folder)
    before = contents(folder)
    with pytest.raises(UsageError, match="seed was 0, is 1"):
        run_sweep(sweep(seed=1), folder)
    assert contents(folder) == before


def test_a_second_driver_is_refused_at_once(folder):
    space = settings_from(sweep(), conftest.TRAINERS.parent).space
    held = Store(folder, space)
    with pytest.raises(RunHeld, match="held by process"):
        Store(folder, space)
    held.close()
    Store(folder, space).close()


def test_a_rule_stops_a_trial_with_a_reason(folder):
    run_sweep(sweep("diverging"), folder)
    table = trials(folder)
    stopped = table[table.status == "stopped"]
    assert set(stopped.reason) == {"loss is nan at epoch 2"}
    assert (stopped.epochs == 2).all()
    assert (table[table.lr < 1e-3].status == "completed").all()


def test_nothing_finite_stops_the_run_and_keeps_the_stage(folder):
    with pytest.raises(NothingToLearn, match="none of the 40 trials reported a finite objective"):
        run_sweep(sweep("hopeless"), folder)
    table = trials(folder)
    assert len(table) == 40
    assert table.best_epoch.isna().all()
    assert set(table.status) == {"stopped"}


def test_an_exception_fails_its_trial_only_and_keeps_its_reports(folder):
    run_sweep(sweep("failing", stages=[{"name": "one", "trials": 30, "epochs": 5}]), folder)
    table = trials(folder)
    bad = table[table.status == "failed"]
    assert (bad.lr > 1e-3).all()
    assert (bad.epochs == 1).all()
    assert (bad.val_acc == 0.1).all()
    assert (table[table.status == "completed"].epochs == 2).all()
    traceback = pd.read_parquet(folder / "attempts").query("outcome == 'failed'").traceback.iloc[0]
    assert "in failing" in traceback
    assert "runner.py" not in traceback


def test_a_metric_that_comes_late_is_a_column_of_every_file(folder):
    run_sweep(sweep("late_metric"), folder)
    reports = pd.read_parquet(folder / "reports")
    assert reports.late.notna().sum() > 0
    assert reports[reports.epoch == 1].late.isna().all()
    assert "late" in trials(folder).columns


def test_conditional_parameters_are_null_and_not_passed_where_inactive(folder):
    space = {
        "lr": {"log": [1e-5, 1e-2]},
        "update": ["sgd", "momentum"],
        "beta": {"uniform": [0.8, 0.99], "when": {"update": "momentum"}},
    }
    run_sweep(sweep("conditional", space=space, stages=[{"name": "one", "trials": 30, "epochs": 1}]), folder)
    table = trials(folder)
    sgd = table[table["update"] == "sgd"]
    assert len(sgd)
    assert sgd.beta.isna().all()
    assert (sgd.beta_seen == 0.123).all()
    momentum = table[table["update"] == "momentum"]
    assert np.allclose(momentum.beta, momentum.beta_seen)


@pytest.mark.parametrize("trainer", ["bare_number", "takes_config", "with_data"])
def test_every_kind_of_trainer_reports(folder, trainer):
    setup = "load_number" if trainer == "with_data" else None
    ended, _ = run_sweep(sweep(trainer, setup=setup, stages=[{"name": "one", "trials": 5, "epochs": 1}]), folder)
    table = trials(folder)
    assert ended.code == 0
    assert (table.status == "completed").all()
    assert np.allclose(table.val_acc, 42.0 if trainer == "with_data" else table.lr)


@pytest.mark.parametrize(("trainer", "words"), [("silent", "reported nothing"), ("odd", "reported str")])
def test_what_is_no_report_fails_its_trial_with_a_reason(folder, trainer, words):
    run_sweep(sweep(trainer, stages=[{"name": "one", "trials": 3, "epochs": 1}]), folder)
    table = trials(folder)
    assert (table.status == "failed").all()
    assert table.reason.str.contains(words).all()


def test_prints_go_to_the_trials_own_log(folder):
    run_sweep(sweep("printing", stages=[{"name": "one", "trials": 4, "epochs": 1}]), folder, backend="local")
    table = trials(folder)
    for row in table.itertuples():
        text = (folder / "logs" / f"one-{row.trial}.log").read_text()
        assert text == f"hello from {row.lr:.3g}\nand from stderr\n"


def test_a_worker_that_dies_costs_its_own_trial_only(folder):
    stages = [{"name": "one", "trials": 40, "epochs": 3}]
    run_sweep(sweep("dying", stages=stages), folder, backend="local")
    table = trials(folder)
    lost = table[table.status == "lost"]
    assert (lost.lr > 3e-3).all()
    assert (table[table.lr <= 3e-3].status == "completed").all()
    assert lost.reason.str.contains("exited with code 7").all()
    attempts = pd.read_parquet(folder / "attempts")
    tries = attempts[attempts.outcome == "lost"].groupby("trial").attempt.apply(list)
    assert all(list(each) == [1, 2] for each in tries)


def test_a_trial_that_hangs_in_c_is_killed_and_its_slot_comes_back(folder):
    stages = [{"name": "one", "trials": 12, "epochs": 3}]
    written = sweep("hanging_in_c", stages=stages, stop={"timeout": "1s"}, run={"retries": 0})
    run_sweep(written, folder, backend="local")
    table = trials(folder)
    late = table[table.status == "timeout"]
    assert len(late)
    assert (late.lr > 3e-3).all()
    assert (table[table.lr <= 3e-3].status == "completed").all()
    attempts = pd.read_parquet(folder / "attempts")
    hung = attempts[attempts.outcome == "timeout"]
    assert hung.seconds.max() < 10
    assert hung.traceback.str.contains("hanging_in_c").all()
