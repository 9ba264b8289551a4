"""What to try next: a pure function of what was seen."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps import cube
from sweeps.proposal import Results, propose, ranking
from sweeps.regions import MAX_MOVES, Region
from sweeps.space import Choice, Fixed, Range, Space

LR = Space({"lr": Range(1e-5, 1e-1, log=True), "reg": Range(0.0, 1.0)})
MIXED = Space(
    {
        "lr": Range(1e-5, 1e-1, log=True),
        "width": Range(1, 6, integer=True),
        "update": Choice(("sgd", "momentum"), (1.0, 1.0)),
        "beta": Range(0.8, 0.99),
        "decay": Fixed(0.9),
    },
    {"beta": {"update": ("momentum",)}},
)


def seen(space, score, count=40, rungs=1, seed=0):
    """Results of configs spread evenly, each with a score that all rungs share."""
    columns = cube.configs(space, cube.even(space, count, np.random.default_rng(seed)))
    configs = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return Results(columns, np.tile(np.array([score(config) for config in configs], float).reshape(-1, 1), rungs))


def bowl(at):
    return lambda config: (np.log10(config["lr"] / at)) ** 2 + config.get("reg", 0.0) / 10


def proposed(space, results, count=8, stage=1, seed=0, domain=None, rungs=(9,)):
    return propose(domain or Region(space), results, rungs, seed, stage, count)


def test_the_first_stage_covers_the_space_evenly():
    found = propose(Region(LR), Results({n: [] for n in LR.names}, np.empty((0, 1))), (9,), 0, 0, 64)
    at = cube.positions(LR, found.columns)
    for j in range(2):
        assert np.histogram(at[:, j], 8, (0, 1))[0].min() >= 6
    assert found.region.space == LR


def test_a_proposal_is_a_function_of_its_arguments():
    results = seen(MIXED, bowl(1e-3))
    assert proposed(MIXED, results).columns == proposed(MIXED, results).columns
    assert proposed(MIXED, results).columns != proposed(MIXED, results, seed=1).columns
    assert proposed(MIXED, results).columns != proposed(MIXED, results, stage=2).columns


@pytest.mark.parametrize("at", [1e-4, 1e-2])
def test_proposals_gather_where_scores_are_best(at):
    found = proposed(LR, seen(LR, bowl(at)), 20)
    near = np.abs(np.log10(np.array(found.columns["lr"]) / at)) < 0.5
    assert 0.4 < near.mean() < 1.0  # a quarter of the whole space, and every second one looks further away
    part = found.region.space.parameters["lr"]
    assert 1e-5 <= part.low < at < part.high <= 1e-1
    assert part.high / part.low < 0.9e4  # of four decades; a bold one may lie at an end
    assert found.domain.space == LR


@pytest.mark.parametrize("end", [1e-5, 1e-1])
def test_the_very_end_of_a_range_is_proposed_where_scores_are_best_there(end):
    space = LR.narrowed({"lr": Range(1e-5, 1e-1, log=True, limits=(1e-5, 1e-1))})
    found = proposed(space, seen(space, lambda config: abs(np.log10(config["lr"] / end))), 20)
    assert end in np.array(found.columns["lr"]).round(8)


@settings(max_examples=8)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(0, 60))
def test_every_proposal_lies_in_the_space_and_conditions_hold(seed, count, known):
    results = seen(MIXED, bowl(1e-3), known, seed=seed)
    columns = proposed(MIXED, results, count, seed=seed).columns
    assert all(len(column) == count for column in columns.values())
    assert all(1e-5 <= lr <= 1e-1 for lr in columns["lr"])
    assert all(isinstance(width, int) and 1 <= width <= 6 for width in columns["width"])
    assert set(columns["decay"]) == {0.9}
    for update, beta in zip(columns["update"], columns["beta"], strict=True):
        assert (beta is None) == (update == "sgd")
        assert beta is None or 0.8 <= beta <= 0.99


def test_the_better_choice_is_proposed_more_often():
    found = proposed(MIXED, seen(MIXED, lambda config: 5.0 * (config["update"] == "sgd") + bowl(1e-3)(config)), 20)
    assert found.columns["update"].count("momentum") > 14


def test_the_region_moves_away_from_where_trials_diverge_and_the_range_is_not_moved_there():
    space = LR.narrowed({"lr": Range(1e-5, 1e-1, log=True)})
    results = seen(space, lambda c: np.inf if c["lr"] > 1e-2 else -np.log10(c["lr"]), 60)
    found = proposed(space, results, 20)
    assert np.mean(np.array(found.columns["lr"]) > 1e-2) < 0.3
    assert found.domain.space.parameters["lr"].high == 1e-1
    assert any("diverge" in sentence for sentence in found.region.evidence)


def edge(**limits):
    return LR.narrowed({"lr": Range(1e-5, 1e-3, log=True, **limits)})


def test_a_range_is_moved_where_the_best_crowd_its_edge_and_half_of_the_batch_tries_what_is_new():
    space = edge()
    found = proposed(space, seen(space, bowl(1e-1), 60), 20)
    moved = found.domain.space.parameters["lr"]
    assert moved.high == pytest.approx(1e-2, rel=0.01)
    assert moved.low == 1e-5
    assert 8 <= np.sum(np.array(found.columns["lr"]) > 1e-3) <= 18
    assert found.domain.moves == {"lr.high": 1}
    assert any("range moved to" in sentence for sentence in found.region.evidence)


def test_a_range_stays_within_its_limits():
    space = edge(limits=(1e-6, 2e-3))
    found = proposed(space, seen(space, bowl(1e-1), 60), 20)
    assert found.domain.space.parameters["lr"].high == 2e-3
    again = proposed(space, seen(found.domain.space, bowl(1e-1), 60), 20, domain=found.domain)
    assert again.domain.space.parameters["lr"].high == 2e-3
    assert any("is its limit" in sentence for sentence in again.region.evidence)


def test_a_range_is_moved_so_often_and_no_more():
    space = edge()
    domain = Region(space, (), {"lr.high": MAX_MOVES})
    found = proposed(space, seen(space, bowl(1e-1), 60), 20, domain=domain)
    assert found.domain.space.parameters["lr"].high == 1e-3


def test_a_range_is_moved_also_when_all_trials_lie_at_its_edge_and_the_scores_still_fall_there():
    """Then there is nothing to compare a crowd with: a search that learns has come to such a place."""
    space = edge()
    near = seen(space.narrowed({"lr": Range(6e-4, 1e-3, log=True)}), bowl(1e-1), 40)
    found = proposed(space, near, 20)
    assert found.domain.space.parameters["lr"].high == pytest.approx(1e-2, rel=0.01)
    assert any("the surface falls there" in sentence for sentence in found.region.evidence)


def test_an_optimum_within_the_range_moves_nothing():
    for seed in range(4):
        found = proposed(LR, seen(LR, bowl(1e-3), 60, seed=seed), 20, seed=seed)
        assert found.domain.space == LR


def test_scores_of_longer_trainings_count_for_more():
    """After one epoch high learning rates look best; after nine, low ones do."""
    columns = seen(LR, bowl(1e-3), 60).columns
    exponent = np.log10(np.array(columns["lr"]))
    long = np.where(np.arange(60) % 3 == 0, (exponent + 4) ** 2, np.nan)
    found = proposed(LR, Results(columns, np.c_[10 + (exponent + 2) ** 2, long]), 20, rungs=(1, 9))
    assert np.median(np.log10(np.array(found.columns["lr"]))) == pytest.approx(-4, abs=0.4)


def test_noise_does_not_draw_the_search_away_from_the_best():
    rng = np.random.default_rng(0)
    results = seen(LR, bowl(1e-3), 80)
    noisy = Results(results.columns, results.values + rng.normal(size=results.values.shape) * 0.5)
    found = proposed(LR, noisy, 20)
    assert np.median(np.abs(np.log10(np.array(found.columns["lr"])) + 3)) < 0.7


def test_equal_scores_are_no_reason_to_fail():
    found = proposed(LR, seen(LR, lambda config: 1.0), 20)
    assert len(found.columns["lr"]) == 20


def test_a_batch_of_proposals_takes_under_a_second_at_any_number_of_results():
    results = seen(MIXED, bowl(1e-3), 20_000, rungs=3)
    began = time.process_time()
    proposed(MIXED, results, 20, rungs=(1, 3, 9))
    assert time.process_time() - began < 2.0  # one where the machine is not shared


def test_ranking_puts_trials_that_got_further_first_and_dead_ones_last():
    values = np.array([[1.0, np.nan], [3.0, 2.0], [0.5, np.nan], [np.nan, np.nan], [0.1, np.inf], [np.inf, np.nan]])
    assert ranking(values).tolist() == [1, 2, 0, 4, 5]


@pytest.mark.parametrize("seed", range(3))
def test_every_second_proposal_looks_further_away_once_the_best_is_near(seed):
    rng = np.random.default_rng(seed)
    at = np.concatenate([rng.random((12, 2)), 0.5 + 0.1 * rng.normal(size=(8, 2))])
    results = Results(cube.configs(LR, at), np.sum((at - 0.47) ** 2, axis=1).reshape(-1, 1))
    found = cube.positions(LR, proposed(LR, results, 20).columns)[:16]  # the last ones are from the whole space
    away = np.linalg.norm(found - 0.47, axis=1)
    assert away[::2].mean() < 0.05
    assert away[1::2].mean() > 0.07


@pytest.mark.parametrize("seed", range(5))
def test_no_config_is_proposed_twice_also_where_the_best_lies_in_a_corner(seed):
    space = LR.narrowed({"lr": Range(1e-5, 1e-1, log=True, limits=(1e-5, 1e-1)), "reg": Range(0.0, 1.0, limits=(0, 1))})
    results = seen(space, lambda config: abs(np.log10(config["lr"] / 1e-1)) + 4 * config["reg"], 40, seed=seed)
    columns = proposed(space, results, 20, seed=seed).columns
    assert len(set(zip(*columns.values(), strict=True))) == 20
    more = {name: results.columns[name] + column for name, column in columns.items()}
    values = np.r_[results.values, np.zeros((20, 1))]  # the corner is tried now, and nothing is better
    again = proposed(space, Results(more, values), 20, seed=seed, stage=2).columns
    assert set(zip(*again.values(), strict=True)).isdisjoint(zip(*more.values(), strict=True))


def test_where_little_is_left_to_try_it_is_tried_again():
    space = Space({"depth": Range(1, 3, integer=True), "update": Choice(("sgd", "adam"), (1.0, 1.0))})
    columns = proposed(space, seen(space, lambda config: config["depth"], 12), 8).columns
    assert len(columns["depth"]) == 8
