"""Real runs whose trials leave the stage where they were born: of a search with `confirm`, and of `continue`."""

import re

import numpy as np
import pytest
from conftest import run_sweep, sweep

import analysis
from analysis import captions, figures
from analysis.frames import Frames
from analysis.histories import short_and_long
from analysis.phases import phases
from analysis.report import page, write_report
from analysis.stages import next_stanza, sweep_findings
from sweeps.reading import Run
from sweeps.summary import ranked

CONFIRMED, SEEDS, LONG, SHORT, WENT_ON = 3, 3, 9, 3, 4
SPACE = {"lr": {"log": [1e-5, 1e-2]}, "reg": {"uniform": [0.0, 1.0]}}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The folder of a search that confirms its best configs."""
    written = sweep("bowl", space=SPACE) | {"search": {"trainings": 12, "epochs": LONG, "confirm": CONFIRMED}}
    del written["stage"]
    folder = tmp_path_factory.mktemp("runs") / "searched"
    run_sweep(written, folder)
    return folder


@pytest.fixture(scope="module")
def continued(tmp_path_factory):
    """The folder of a sweep whose fine stage goes on with trials of the coarse one."""
    stages = [
        {"name": "coarse", "trials": 40, "epochs": SHORT},
        {"name": "fine", "trials": 10, "epochs": LONG, "continue": WENT_ON},
    ]
    folder = tmp_path_factory.mktemp("runs") / "continued"
    run_sweep(sweep("bowl", space=SPACE, stages=stages), folder)
    return folder


@pytest.fixture(scope="module")
def frames(searched):
    return analysis.load(searched)


@pytest.mark.parametrize("kind", ["searched", "continued"])
def test_the_best_are_those_that_the_command_names(kind, request):
    folder = request.getfixturevalue(kind)
    best = analysis.load(folder).best(1000)
    assert list(zip(best["stage"], best["trial"], strict=True)) == [
        (row["stage"], row["trial"]) for row in Run(folder).best(1000)
    ]
    assert len(best)


def test_confirmed_configs_lead_by_the_mean_over_their_new_seeds(frames):
    confirmed = frames.confirmed
    assert list(confirmed["seeds"]) == [SEEDS] * CONFIRMED
    assert list(confirmed["mean"]) == sorted(confirmed["mean"], reverse=True)
    assert list(frames.best(CONFIRMED).index) == list(confirmed.index)
    for index, told in confirmed.iterrows():
        config = frames.trials.loc[index, list(SPACE)]
        again = frames.trials[
            (frames.trials["stage"] == "confirm") & (frames.trials[list(SPACE)] == config).all(axis=1)
        ]
        assert told["mean"] == pytest.approx(again["val_acc"].mean())
        assert told["spread"] == pytest.approx(again["val_acc"].std())
    assert frames.best_params == {name: frames.trials.loc[confirmed.index[0], name] for name in SPACE}


def test_repeats_that_all_failed_confirm_nothing(frames):
    trials = frames.trials.assign(val_acc=frames.trials["val_acc"].where(frames.trials["stage"] != "confirm"))
    hopeless = Frames(trials, frames.reports, frames.stages, frames.attempts, frames.sweeps)
    assert hopeless.confirmed.empty
    assert hopeless.best(1)["val_acc"].iloc[0] == trials["val_acc"].max()


def test_a_stage_that_only_bears_the_name_confirms_nothing(folder):
    run_sweep(sweep("bowl", space=SPACE, stages=[{"name": "confirm", "trials": 20, "epochs": 1}]), folder)
    loaded = analysis.load(folder)
    assert loaded.confirmed.empty
    assert len(loaded.best(20)) == 20


def test_searches_that_are_loaded_together_are_confirmed_each_by_its_own(searched, continued, frames):
    both = analysis.load(searched, continued)
    assert list(both.confirmed["mean"]) == list(frames.confirmed["mean"])
    assert set(both.trials.loc[both.confirmed.index, "run"]) == {"searched"}


def test_stages_of_a_search_are_shown_together_and_those_of_a_sweep_one_by_one(frames, continued):
    first, later, confirm = phases(frames.settings)
    assert (first.name, confirm.name, confirm.region) == ("s00", "confirm", None)
    assert [*first.stages, *later.stages, *confirm.stages] == [stage.name for stage in frames.settings.stages]
    assert re.fullmatch(r"s01 to s\d\d", later.name)
    assert [phase.stages for phase in phases(analysis.load(continued).settings)] == [("coarse",), ("fine",)]


def test_the_scatter_of_a_search_has_its_first_and_its_last_region(frames):
    drawn = [trace.meta for trace in figures.scatter(frames).data if trace.meta]
    assert drawn == ["s00", phases(frames.settings)[1].stages[-1]]


def test_what_compares_budgets_of_stages_is_not_said_of_a_search(frames):
    said = {finding.name for finding in sweep_findings(frames, frames.settings)}
    assert "lead not known" not in said  # three seeds each
    assert said & {"lead within noise", "lead beyond noise"}
    assert not said & {"no gain", "more trials would pay", "trials enough", "short trials tell", "short trials mislead"}
    assert next_stanza(frames, frames.settings) == ""


def test_a_search_compares_its_first_rung_with_the_end(frames):
    rungs = frames.settings.search.layout(frames.settings.space).rungs
    early, _ = short_and_long(frames)
    longest = frames.reports.groupby(["stage", "trial"])["epoch"].max()
    assert len(early) == (longest > rungs[0]).sum()
    assert 0 < len(early) < len(frames.trials)


def test_trials_that_went_on_have_one_row_and_one_curve(continued):
    loaded = analysis.load(continued)
    coarse = loaded.trials[loaded.trials["stage"] == "coarse"]
    assert (coarse["epochs"] > SHORT).sum() == WENT_ON
    longest = coarse.loc[coarse["epochs"].idxmax()]
    curve = loaded.curves("val_acc", coarse.loc[[longest.name]])
    assert list(curve.index) == list(range(1, LONG + 1))
    assert np.nanmax(curve) == longest["val_acc"]


@pytest.mark.parametrize("kind", ["searched", "continued"])
def test_the_report_names_the_best_as_the_command_does(kind, request):
    folder = request.getfixturevalue(kind)
    text = page(folder)
    lines = [each.line("val_acc") for each in ranked(Run(folder), 10)]
    assert [text.count(f"<code>{line}</code>") for line in lines] == [1] * 10
    assert f'<code id="best">{lines[0]}</code>' in text


def test_the_lead_of_a_confirmed_config_is_that_of_its_mean(frames):
    first, second = frames.confirmed["mean"].iloc[:2]
    assert f"{first - second:.4g} ahead of the next config that was confirmed" in captions.margin(frames)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["searched", "continued"])
def test_every_picture_is_drawn_and_few_things_are_in_a_legend(kind, request, opened, tmp_path):
    tab = opened(write_report(request.getfixturevalue(kind), tmp_path / "report.html"))
    for plot in tab.locator(".plot").all():
        assert plot.locator(".main-svg").count() >= 1
        assert plot.locator(".legend .traces").count() <= 8
    if kind == "searched":
        assert "3 new seeds" in tab.locator("#best").inner_text()
