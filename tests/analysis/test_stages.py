"""What a sweep as a whole is said to show, on sweeps that were run."""

import functools
import itertools
import tomllib

import numpy as np
import pytest
from conftest import TRAINERS, run_sweep, sweep
from hypothesis import given
from hypothesis import strategies as st

import analysis
from analysis.stages import best_of, next_stanza, rank_correlation, sweep_findings
from sweeps.settings import settings_from

COARSE = {"name": "coarse", "trials": 100, "epochs": 3}
FINE = {"name": "fine", "trials": 40, "epochs": 6}


def of(trainer, **keys):
    """The keys of a sweep of one of `tests/trainers_findings.py`."""
    return sweep(**keys) | {"train": f"{TRAINERS.parent / 'trainers_findings.py'}:{trainer}"}


def after(written, folder):
    """Frames and settings of a sweep that was run."""
    run_sweep(written, folder)
    return analysis.load(folder), settings_from(written, TRAINERS.parent)


def findings(written, folder):
    """Its findings by name."""
    return {finding.name: finding for finding in sweep_findings(*after(written, folder))}


def test_best_values_at_an_edge_of_the_search_are_told_with_the_edge(folder):
    found = findings(sweep(space={"lr": {"log": [1e-7, 1e-4]}}, stages=[COARSE]), folder)
    assert "lr of 10 of the 10 best trials" in found["best at the edge of the range"].evidence
    assert "above 0.0001" in found["best at the edge of the range"].advice


def test_an_optimum_inside_the_range_is_no_edge(folder):
    found = findings(sweep(space={"lr": {"log": [1e-5, 1e-1]}}, stages=[COARSE]), folder)
    assert not {"best at the edge of the range", "best at the limit", "best beside divergence"} & set(found)


def test_a_limit_is_told_from_an_edge(folder):
    space = {"lr": {"log": [1e-7, 1e-4], "limits": [1e-9, 1e-4]}}
    found = findings(sweep(space=space, stages=[COARSE]), folder)
    assert "best at the limit" in found
    assert "best at the edge of the range" not in found


def test_best_values_beside_divergence_need_no_wider_range(folder):
    found = findings(
        of("steep", seed=1, space={"lr": {"log": [1e-5, 1e-1]}}, stages=[{**COARSE, "trials": 200}]), folder
    )
    assert "past which trials diverge" in found["best beside divergence"].evidence
    assert "best at the edge of the range" not in found


def test_where_trials_diverge_is_told(folder):
    found = findings(sweep("diverging", space={"lr": {"log": [1e-5, 1e-1]}}, stages=[COARSE]), folder)
    assert "lr above 0.00" in found["trials diverge"].evidence
    assert found["trials diverge"].severity == "problem"


def test_a_range_that_was_moved_between_stages_is_told_with_the_stored_evidence(folder):
    found = findings(sweep(space={"lr": {"log": [1e-7, 1e-4]}}, stages=[COARSE, FINE]), folder)
    assert found["range moved"].evidence.startswith("fine: best lr of 10 of the 10 best trials")


def test_a_few_trials_say_nothing(folder):
    found = findings(sweep(stages=[{**COARSE, "trials": 5}]), folder)
    assert "too few trials to say" in found
    assert all(finding.severity != "problem" for finding in found.values())


def test_a_sweep_that_has_only_begun_has_no_findings(folder):
    frames, settings = after(sweep(stages=[COARSE]), folder)
    none = analysis.Frames(
        *(table.iloc[:0] for table in (frames.trials, frames.reports, frames.stages, frames.attempts))
    )
    assert sweep_findings(none, settings) == []
    assert next_stanza(none, settings) == ""


def test_more_epochs_are_advised_while_the_best_still_improve(folder):
    found = findings(sweep(stages=[{**COARSE, "epochs": 5}]), folder)
    assert "10 of the 10 best" in found["the best still improve"].evidence


def test_short_trials_that_rank_as_long_ones_do_are_told(folder):
    found = findings(sweep(stages=[COARSE, FINE]), folder)
    assert "epoch 3, where coarse ends, with epoch 6: 1.00" in found["short trials tell"].evidence


def test_short_trials_that_mislead_are_told(folder):
    found = findings(of("crossing", stages=[COARSE, {**FINE, "epochs": 10}]), folder)
    assert found["short trials mislead"].severity == "hint"


def test_without_repeats_the_lead_is_not_known_and_with_them_it_is_measured(tmp_path):
    found = findings(sweep(stages=[COARSE]), tmp_path / "a")
    assert "lead not known" in found
    repeats = [{"lr": lr} for lr in (1e-4, 1e-3)] * 10
    found = findings(sweep(stages=[{"name": "repeats", "trials": 20, "epochs": 3, "include": repeats}]), tmp_path / "c")
    assert "lead beyond noise" in found


def test_problems_come_first(folder):
    severities = [f.severity for f in sweep_findings(*after(sweep(space={"lr": {"log": [1e-7, 1e-4]}}), folder))]
    assert severities == sorted(severities, key=["problem", "hint", "good to know"].index)


@pytest.mark.parametrize("declare", [sweep, functools.partial(of, "steep")])
def test_the_stanza_goes_on_where_the_sweep_ended(folder, declare):
    written = declare(space={"lr": {"log": [1e-5, 1e-1]}}, stages=[COARSE])
    stanza = next_stanza(*after(written, folder))
    longer = {**written, "stage": [*written["stage"], *tomllib.loads(stanza)["stage"]]}
    ended, _ = run_sweep(longer, folder)
    assert ended.code == 0
    assert set(analysis.load(folder).trials["stage"]) == {"coarse", "next-1"}


def test_the_stanza_of_a_hopeless_sweep_says_why_there_is_none(folder):
    stanza = next_stanza(*after(sweep("hopeless", stages=[COARSE]), folder))
    assert stanza.startswith("# none of the 100 trials")
    assert tomllib.loads(stanza) == {}


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=4), st.integers(1, 3), st.sampled_from([0.1, 0.5, 0.9]))
def test_the_best_of_a_few_draws_has_the_quantiles_of_all_draws(scores, draws, quantile):
    lowest = np.sort([min(drawn) for drawn in itertools.product(scores, repeat=draws)])
    at = best_of(np.array(scores), draws, quantile)
    assert np.mean(lowest <= at) >= quantile - 1e-9
    assert np.mean(lowest < at) <= quantile + 1e-9


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=20, unique=True))
def test_ranks_agree_with_themselves_and_not_with_their_reverse(values):
    a = np.array(values)
    assert rank_correlation(a, a) == pytest.approx(1.0)
    assert rank_correlation(a, -a) == pytest.approx(-1.0)
