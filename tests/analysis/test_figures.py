"""Figures from frames: what is drawn is what is in the tables."""

import dataclasses
import json
import math
import pathlib

import numpy as np
import pandas as pd
import pytest
from conftest import run_sweep, sweep
from hypothesis import given
from hypothesis import strategies as st

import analysis
from analysis import figures
from analysis.axes import first_axes
from analysis.frames import TooLittle
from analysis.histories import _busy_until, busy_share, short_and_long
from analysis.style import span, text, thinned

TRIALS = 120


def points(figure, *names):
    """All (x, y, row) of the traces that know their trials."""
    return [
        (x, y, row, trace.name)
        for trace in figure.data
        if trace.customdata is not None and (not names or trace.name in names)
        for x, y, row in zip(trace.x, trace.y, trace.customdata, strict=True)
    ]


@pytest.mark.parametrize(("x", "y"), [(None, None), ("units", "lr"), ("update", "val_acc"), ("beta", "sizes")])
def test_a_point_of_the_scatter_lies_where_its_trial_does(frames, x, y):
    figure = figures.scatter(frames, x, y)
    found = points(figure, "coarse", "fine", "diverged", "no result")
    assert sorted(row for _, _, row, _ in found) == list(range(TRIALS))
    for across, up, row, name in found:
        trial = frames.trials.iloc[row]
        for value, column in ((across, x or "lr"), (up, y or "units")):
            stored = trial[column]
            assert value is None if pd.isna(stored) else value == (text(stored) if isinstance(stored, str) else stored)
        assert (name == "diverged") == (trial["status"] == "stopped")
        assert name in ("diverged", trial["stage"])


def test_the_regions_of_all_stages_are_drawn_into_the_scatter(frames):
    drawn = {trace.meta: trace for trace in figures.scatter(frames).data if trace.meta}
    assert set(drawn) == {"coarse", "fine"}
    for stage, region in frames.regions.items():
        lr, units = region.space.parameters["lr"], region.space.parameters["units"]
        assert set(drawn[stage].x) == {lr.low, lr.high}
        assert set(drawn[stage].y) == {units.low, units.high}


def test_the_scatter_is_drawn_over_the_two_ranges_that_matter_most(tmp_path):
    space = {"idle": {"uniform": [0.0, 1.0]}, "reg": {"uniform": [0.0, 50.0]}, "lr": {"log": [1e-5, 1e-1]}}
    written = sweep(space=space, stages=[{"name": "one", "trials": 200, "epochs": 1}])
    run_sweep(written | {"train": f"{pathlib.Path(__file__).parents[1] / 'trainers_findings.py'}:idle"}, tmp_path / "x")
    assert first_axes(analysis.load(tmp_path / "x")) == ("reg", "lr")


def test_the_best_trial_is_ringed(frames):
    (ring,) = points(figures.scatter(frames), "best")
    assert frames.trials.iloc[ring[2]]["val_acc"] == frames.trials["val_acc"].max()


def test_logarithmic_parameters_have_logarithmic_axes(frames):
    figure = figures.scatter(frames, "lr", "beta")
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.yaxis.type == "linear"
    assert figures.axis_plot(frames, "update").layout.xaxis.type == "category"


@given(st.integers(4, 200))
def test_what_is_thinned_keeps_the_best_and_loses_no_more_than_it_must(frames, most):
    rows = thinned(frames, most)
    assert len(rows) == min(most, TRIALS)
    assert rows.index.is_unique
    assert set(frames.best(most // 4).index) <= set(rows.index)


@pytest.mark.parametrize("name", ["lr", "units", "update", "beta", "sizes"])
def test_the_best_of_a_bucket_is_a_trial_and_one_of_them_is_the_best_of_all(frames, name):
    best = next(trace for trace in figures.axis_plot(frames, name).data if trace.name == "best of each bucket")
    assert set(best.y) <= set(frames.trials["val_acc"])
    assert max(best.y) == frames.trials[frames.trials[name].notna()]["val_acc"].max()


def test_where_less_is_better_the_best_of_a_bucket_is_the_least(tmp_path):
    run_sweep(sweep(metric="loss", mode="min", stages=[{"name": "one", "trials": 40, "epochs": 1}]), tmp_path / "x")
    frames = analysis.load(tmp_path / "x")
    best = next(trace for trace in figures.axis_plot(frames, "lr").data if trace.name == "best of each bucket")
    edges = np.linspace(*np.log(frames.trials["lr"].agg(["min", "max"])), 11)
    bucket = np.clip(np.digitize(np.log(frames.trials["lr"]), edges) - 1, 0, 9)
    assert list(best.y) == frames.trials.groupby(bucket)["loss"].min().tolist()


@pytest.mark.parametrize("over", ["trials", "time"])
def test_the_best_so_far_only_gets_better_and_ends_at_the_best(frames, over):
    (line,) = figures.best_so_far(frames, over).data
    assert list(line.y) == sorted(line.y)
    assert line.y[-1] == frames.trials["val_acc"].max()
    assert list(line.x) == sorted(line.x)
    assert over == "time" or line.x[-1] == TRIALS


def test_stopped_curves_are_cut_where_the_trial_was_and_the_best_are_drawn_whole(frames):
    figure = figures.learning_curves(frames, best=3)
    named = {trace.name: trace for trace in figure.data}
    for row in frames.best(3).itertuples():
        rows = frames.reports[(frames.reports.stage == row.stage) & (frames.reports.trial == row.trial)]
        assert list(named[f"{row.stage}/{row.trial}"].y) == rows["val_acc"].tolist()
    crosses = next(trace for trace in figure.data if trace.mode == "markers")
    stopped = frames.trials[frames.trials["status"] == "stopped"]
    assert sorted(crosses.customdata) == stopped.index.tolist()
    assert sorted(crosses.x) == sorted(stopped["epochs"])


def test_no_line_leads_from_one_curve_to_the_next(frames):
    for trace in figures.learning_curves(frames, "loss").data:
        epochs, rows = trace.x, trace.customdata
        for i in range(1, len(epochs)):
            if trace.mode == "lines" and None not in (epochs[i - 1], epochs[i]):
                assert rows[i] == rows[i - 1]
                assert epochs[i] == epochs[i - 1] + 1


def test_a_line_through_all_parameters_has_a_gap_where_one_is_not_active(frames):
    figure = figures.parallel(frames)
    axes = list(figure.layout.xaxis.ticktext)
    assert set(axes) == {"lr", "units", "beta", "update", "sizes", "val_acc"}
    width = len(axes) + 1
    lines = np.concatenate([np.reshape(trace.y, (-1, width)) for trace in figure.data])
    assert len(lines) == frames.trials["val_acc"].notna().sum()
    gaps = np.isnan(lines[:, axes.index("beta")])
    assert gaps.sum() == frames.trials["beta"].isna().sum()
    assert np.isnan(lines[:, -1]).all()
    there = lines[:, :-1][~np.isnan(lines[:, :-1])]
    assert there.min() >= 0
    assert there.max() <= 1


def test_coarse_against_fine_compares_the_same_trials_at_both_budgets(frames):
    early, late = short_and_long(frames)
    assert len(early) == len(late) >= 10
    for stage, trial in early.index:
        curve = frames.curves()[stage, trial]
        assert early[stage, trial] == curve[:2].max()
        assert late[stage, trial] == curve.max()
    assert len(figures.agreement(frames).data[1].x) == len(early)


def test_budgets_that_few_trials_outlived_are_not_compared(tmp_path):
    run_sweep(sweep(stages=[{"name": "one", "trials": 30, "epochs": 2}]), tmp_path / "x")
    with pytest.raises(TooLittle, match="0 did"):
        figures.agreement(analysis.load(tmp_path / "x"))


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9)), min_size=1, max_size=20), st.floats(0, 20))
def test_busy_time_is_what_ran_before(attempts, time):
    begun, done = (np.array(column) for column in zip(*[(a, a + b) for a, b in attempts], strict=True))
    expected = np.sum(np.clip(time, begun, done) - begun)
    assert _busy_until(begun, done, np.array([time])) == pytest.approx([expected], abs=1e-9)


def test_slots_are_never_busier_than_they_are_many(frames):
    line = figures.utilisation(frames).data[0]
    slots = len(frames.attempts[["host", "slot"]].drop_duplicates())
    assert max(line.y) <= slots + 1e-6
    assert 0 < busy_share(frames) <= 1
    assert np.mean(line.y[:-1]) == pytest.approx(busy_share(frames) * slots)


@pytest.mark.parametrize(
    "draw",
    [
        figures.scatter,
        lambda frames: figures.axis_plot(frames, "lr"),
        figures.best_so_far,
        figures.learning_curves,
        figures.parallel,
        figures.agreement,
        figures.utilisation,
        figures.importance_plot,
    ],
)
def test_where_there_is_nothing_to_draw_the_figure_says_so(empty, draw):
    with pytest.raises(TooLittle):
        draw(analysis.load(empty))


def test_the_importance_of_parameters_is_drawn_in_shares(frames):
    (bars,) = figures.importance_plot(frames).data
    assert set(bars.y) <= {"lr", "units", "update", "beta", "sizes"}
    assert list(bars.x) == sorted(bars.x)
    assert all(0 <= share <= 1 for share in bars.x)


def test_figures_are_json_without_what_json_has_not(frames):
    trials = frames.trials.assign(val_acc=frames.trials["val_acc"].where(frames.trials["trial"] % 2 == 0, math.inf))
    odd = dataclasses.replace(frames, trials=trials)
    for draw in (figures.scatter, figures.best_so_far, figures.learning_curves, figures.parallel):
        json.loads(draw(odd).to_json(), parse_constant=lambda name: pytest.fail(name))


def test_markup_in_a_name_is_shown_and_not_obeyed():
    assert text("<a href='x'>\n</a>") == "&lt;a href='x'&gt; &lt;/a&gt;"
    assert text("x" * 100).endswith("…")


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=30))
def test_a_span_is_of_finite_values_and_holds_the_middle(values):
    found, finite = span(np.array(values)), [value for value in values if math.isfinite(value)]
    assert (found is None) == (not finite)
    if found is not None:
        assert min(finite) <= found[0] <= np.median(finite) <= found[1] <= max(finite)


def test_a_span_leaves_out_a_loss_that_blew_up():
    assert span(np.array([2.3, 2.2, 1.9, 1.5, 1.2, 1.0, 0.9, 0.8, 0.7, 0.6, 1e30])) == (0.6, 2.3)
