"""The layout of a search, from its budget."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.ladder import ETA, cost, plan
from sweeps.rehearsal import rehearse


@given(st.integers(1, 500), st.integers(1, 400), st.integers(0, 20))
def test_rungs_rise_to_a_full_training_and_the_budget_pays_for_the_trials(trainings, epochs, parameters):
    found = plan(trainings, epochs, parameters)
    assert found.budget == trainings * epochs
    assert list(found.rungs) == sorted(set(found.rungs))
    assert found.rungs[-1] == epochs
    assert found.rungs[0] >= 1
    assert 1 <= found.coarse <= found.trials
    assert found.trials * cost(found.rungs) <= found.budget
    assert found.batch >= 1


def test_a_larger_budget_looks_at_each_trial_for_longer():
    firsts = [plan(trainings, 50, 7).rungs[0] for trainings in (5, 20, 50, 100, 1000)]
    assert firsts == sorted(firsts)
    assert firsts[0] == 1
    assert firsts[-1] == 50


def test_a_trial_costs_its_first_rung_and_a_share_of_each_later_one():
    assert cost((1, 3, 9)) == 1 + 2 / ETA + 6 / ETA**2
    assert cost((9,)) == 9


@pytest.mark.parametrize(("trainings", "more"), [(5, 0.45), (20, 0.15), (100, 0.05)])
def test_a_rehearsal_begins_about_as_many_trials_as_expected_and_spends_the_budget(trainings, more):
    found = plan(trainings, 50, 7, workers=8)
    seen = rehearse(found, slots=1)
    assert seen.epochs <= found.budget
    assert seen.epochs > 0.97 * found.budget
    assert seen.busy == 1
    assert found.begun <= seen.trials < (1 + more) * found.begun
    assert seen.stages == pytest.approx(found.stages, abs=3)


def test_more_slots_take_less_time_for_the_same_work():
    found = plan(100, 50, 7)
    lengths = [rehearse(found, slots).length for slots in (1, 4, 8)]
    assert lengths == sorted(lengths, reverse=True)
    assert len({rehearse(found, slots).epochs for slots in (1, 4, 8)}) == 1


def test_a_larger_budget_is_decided_for_more_workers():
    assert [plan(trainings, 50, 7).workers for trainings in (1, 5, 10, 20, 50, 1000)] == [2, 2, 4, 8, 20, 32]


def test_few_long_trials_are_decided_for_few_workers_so_that_they_can_learn_from_each_other():
    found = plan(100, 20, 2)
    assert found.rungs == (20,)
    assert found.trials / found.workers >= 10


def test_a_search_without_a_ladder_has_nothing_to_complete_and_spends_all_on_trials():
    assert rehearse(plan(100, 20, 2), slots=1).trials == 100


def test_more_virtual_workers_keep_more_slots_busy():
    few, many = (rehearse(plan(50, 50, 7, workers), slots=32) for workers in (8, 64))
    assert few.busy < 0.5 < 0.8 < many.busy


@pytest.mark.parametrize("parameters", [7, 12])
@pytest.mark.parametrize(("trainings", "slots"), [(20, 8), (50, 8), (100, 8), (100, 32), (200, 32)])
def test_slots_are_kept_busy_to_the_end(trainings, slots, parameters):
    assert rehearse(plan(trainings, 50, parameters), slots).busy > 0.9


@pytest.mark.parametrize("parameters", [7, 12])
def test_so_are_more_slots_than_a_budget_has_workers_if_one_says_so(parameters):
    assert rehearse(plan(50, 50, parameters), slots=32).busy < 0.7
    assert rehearse(plan(50, 50, parameters, workers=32), slots=32).busy > 0.9


@pytest.mark.parametrize("workers", [8, 13, 32])
def test_workers_without_time_for_more_than_a_training_each_do_not_end_together(workers):
    assert not plan(1.4 * workers, 50, 7, workers).together
    assert plan(1.6 * workers, 50, 7, workers).together


@given(st.integers(1, 500), st.integers(1, 400), st.integers(1, 500))
def test_what_is_kept_grows_with_the_workers_up_to_half_of_the_budget(trainings, epochs, workers):
    few, many = plan(trainings, epochs, 5, workers), plan(trainings, epochs, 5, workers + 1)
    assert few.kept <= many.kept <= many.budget / 2
    assert few.kept >= min(math.sqrt(trainings) * epochs, few.budget / 2) or len(few.rungs) == 1
