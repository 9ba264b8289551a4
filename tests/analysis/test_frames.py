"""The frames of a run: what they hold, at any moment, and what they answer."""

import math
import shutil
import subprocess
import sys

import duckdb
import numpy as np
import pandas as pd
import polars
import pytest
from conftest import run_sweep, sweep
from hypothesis import given
from hypothesis import strategies as st

import analysis
from analysis.frames import Frames, configs_of
from sweeps.errors import UsageError
from sweeps.reading import Run
from sweeps.settings import settings_from

VALUES = st.lists(st.sampled_from([0.1, 0.5, 0.9, math.nan, math.inf, -math.inf]), max_size=12)


def framed(values, mode="max"):
    """The frames of a run whose trials have these objectives."""
    settings = settings_from(sweep(mode=mode), None)
    trials = pd.DataFrame({"stage": "coarse", "trial": range(len(values)), "lr": 1e-3, "val_acc": values})
    return Frames(trials, trials, trials, trials, {"x": settings})


def test_frames_hold_the_tables_as_they_are_stored(run, frames):
    for table in ("trials", "reports", "attempts"):
        stored = pd.read_parquet(run / table)
        pd.testing.assert_frame_equal(getattr(frames, table), stored)
    assert frames.stages["stage"].tolist() == ["coarse", "fine"]


@given(VALUES, st.sampled_from(["max", "min"]), st.integers(1, 12))
def test_the_best_are_finite_and_in_order_and_ties_go_to_the_earliest(values, mode, count):
    best = framed(values, mode).best(count)
    sign = -1 if mode == "max" else 1
    expected = sorted((sign * v, i) for i, v in enumerate(values) if math.isfinite(v))[:count]
    assert best["trial"].tolist() == [i for _, i in expected]


def test_the_best_trials_are_those_that_the_command_prints(run, frames):
    best = frames.best(7)
    assert list(zip(best["stage"], best["trial"], strict=True)) == [(r["stage"], r["trial"]) for r in Run(run).best(7)]


def test_duckdb_and_polars_find_the_same_best_trials(run, frames):
    best = frames.best(5)[["stage", "trial"]].values.tolist()
    table = f"'{run}/trials/*.parquet'"
    asked = f"SELECT stage, trial FROM {table} WHERE isfinite(val_acc) ORDER BY val_acc DESC LIMIT 5"
    assert [list(row) for row in duckdb.sql(asked).fetchall()] == best
    trials = polars.read_parquet(run / "trials").filter(polars.col("val_acc").is_finite())
    found = trials.sort("val_acc", descending=True).select("stage", "trial").head(5)
    assert [list(row) for row in found.rows()] == best


def test_configs_are_what_the_trainer_was_given(run, frames):
    trials = frames.trials
    assert configs_of(trials, frames.settings.space) == Run(run).configs(Run(run).table("trials"))
    for config in configs_of(trials, frames.settings.space):
        assert config["sizes"] in ([1, 2], [3])
        assert type(config["units"]) is int
        assert ("beta" in config) == (config["update"] == "momentum")


def test_the_best_params_can_be_passed_to_the_trainer(frames):
    best = frames.best(1).iloc[0]
    params = frames.best_params
    assert params["lr"] == best["lr"]
    assert set(params) - {"beta"} == {"lr", "units", "update", "sizes", "decay"}


def test_without_a_finite_result_there_are_no_best_params():
    with pytest.raises(UsageError, match="no trial has reported a finite val_acc"):
        framed([math.nan]).best_params  # noqa: B018


def test_a_curve_is_a_column_with_a_row_per_epoch(frames):
    curves = frames.curves("val_acc", frames.best(3))
    assert curves.shape == (4, 3)
    for stage, trial in curves:
        rows = frames.reports[(frames.reports.stage == stage) & (frames.reports.trial == trial)]
        assert curves[stage, trial].dropna().tolist() == rows["val_acc"].tolist()


def test_all_curves_of_the_objective_are_given_unless_told(frames):
    curves = frames.curves()
    assert curves.shape == (4, len(frames.trials))
    assert np.nansum(curves.to_numpy()) == pytest.approx(frames.reports["val_acc"].sum())


def test_a_metric_that_nobody_reported_is_a_clear_mistake(frames):
    for metric in ("accuracy", "epoch", "stage"):
        with pytest.raises(UsageError, match=metric):
            frames.curves(metric)


def test_several_runs_stand_side_by_side(run, frames, tmp_path):
    other = tmp_path / "other"
    run_sweep(sweep(), other)
    both = analysis.load(run, other)
    assert both.trials.columns[0] == both.reports.columns[0] == "run"
    assert both.trials.groupby("run").size().to_dict() == {"mixed": 120, "other": 60}
    assert both.best(1)["run"].item() == max(
        ("mixed", "other"), key=lambda name: both.trials[both.trials.run == name]["val_acc"].max()
    )
    alone = frames if both.best(1)["run"].item() == "mixed" else analysis.load(other)
    assert both.best_params == alone.best_params
    assert set(both.curves().columns.get_level_values("run")) == {"mixed", "other"}
    with pytest.raises(UsageError, match="one run"):
        both.settings  # noqa: B018


def test_runs_of_the_same_name_are_told_apart_by_their_folders(run, tmp_path):
    shutil.copytree(run, tmp_path / "mixed")
    assert set(analysis.load(run, tmp_path / "mixed").trials["run"]) == {str(run), str(tmp_path / "mixed")}


def test_runs_that_do_not_optimise_the_same_are_refused(run, tmp_path):
    run_sweep(sweep(metric="loss", mode="min"), tmp_path / "other")
    with pytest.raises(UsageError, match="do not optimise the same"):
        analysis.load(run, tmp_path / "other")


def test_the_same_run_twice_and_no_run_at_all_are_refused(run, tmp_path):
    with pytest.raises(UsageError, match="twice"):
        analysis.load(run, run)
    with pytest.raises(UsageError, match="holds no run"):
        analysis.load(tmp_path)
    with pytest.raises(UsageError, match="folder of a run"):
        analysis.load()


def test_while_it_runs_reports_without_their_trials_are_left_out(run, tmp_path):
    shutil.copytree(run, tmp_path / "x")
    (tmp_path / "x" / "trials" / "001-fine.parquet").unlink()  # reports of a flush are stored before its trials
    going = analysis.load(tmp_path / "x")
    assert set(going.trials["stage"]) == set(going.reports["stage"]) == {"coarse"}
    assert len(going.reports) == going.trials["epochs"].sum()


def test_trials_without_their_reports_are_not_read_as_if_they_had_none(run, tmp_path):
    shutil.copytree(run, tmp_path / "x")
    (tmp_path / "x" / "reports" / "001-fine.parquet").unlink()  # as in the moment in which a stage ends
    with pytest.raises(UsageError, match="keeps changing"):
        analysis.load(tmp_path / "x")


def test_a_run_in_which_nothing_has_ended_has_empty_frames(empty):
    frames = analysis.load(empty)
    assert frames.trials.empty
    assert frames.best(3).empty
    assert "0 trials" in frames._repr_html_()


def test_regions_are_those_that_the_stages_drew_from(frames):
    for stage, region in frames.regions.items():
        lr = frames.trials[frames.trials.stage == stage]["lr"]
        assert region.space.parameters["lr"].low <= lr.min()
        assert lr.max() <= region.space.parameters["lr"].high


def test_a_notebook_shows_counts_and_the_best_and_obeys_no_markup(frames):
    trials = frames.trials.assign(reason="<script>alert(1)</script>")
    shown = Frames(trials, frames.reports, frames.stages, frames.attempts, {"<b>x</b>": frames.settings})._repr_html_()
    assert "120 trials" in shown
    assert f"{frames.best(1)['trial'].item()}</td>" in shown
    assert "<script>" not in shown
    assert "<b>" not in shown


def test_the_import_of_the_package_brings_no_pandas():
    code = "import sys, analysis; assert 'pandas' not in sys.modules; analysis.load; assert 'pandas' in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
    with pytest.raises(AttributeError, match="nothing"):
        analysis.nothing  # noqa: B018
