"""The decisions of a search: a state machine without I/O and clock."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.ladder import plan
from sweeps.search import Search
from sweeps.space import Choice, Range, Space
from workers.messages import place_of

SPACE = Space(
    {
        "lr": Range(1e-5, 1e-1, log=True),
        "width": Range(16, 256, log=True, integer=True),
        "update": Choice(("a", "b"), (1, 1)),
    }
)
EPOCHS = 9


def curve_of(search, id, epochs):
    """Scores of a trial: a bowl round lr = 1e-2 that falls with epochs; past 3e-2 it dies in epoch 2."""
    stage, index = place_of(id)
    columns = search.stages[stage].columns
    lr, width = (columns[name][index] for name in ("lr", "width"))
    away = (np.log10(lr) + 2) ** 2 + abs(np.log2(width) - 6) / 10
    scores = away + 1.0 / np.arange(1, epochs + 1)
    if lr > 3e-2:
        return np.r_[scores[:1], np.inf][:epochs]
    return scores


def tell(search, job):
    curve = curve_of(search, job.id, job.epochs)
    search.tell(job.id, curve, not np.isfinite(curve[-1]))


def searched(pick, trainings=8, workers=3, seed=0, space=SPACE):
    """All jobs of a search whose results are told in the order that `pick(number of running jobs)` gives."""
    search = Search(space, plan(trainings, EPOCHS, len(space.searched), workers), seed)
    jobs, running = [], []
    while not search.done:
        new = search.due()
        jobs += new
        running += new
        if running:
            tell(search, running.pop(pick(len(running))))
    return search, jobs


@settings(max_examples=4)
@given(st.randoms(use_true_random=False), st.integers(1, 5))
def test_the_same_jobs_come_whatever_the_order_of_results(chance, workers):
    search, jobs = searched(lambda running: chance.randrange(running), trainings=5, workers=workers)
    again, same = searched(lambda running: 0, trainings=5, workers=workers)
    assert jobs == same
    assert [stage.columns for stage in search.stages] == [stage.columns for stage in again.stages]
    assert [stage.region for stage in search.stages] == [stage.region for stage in again.stages]


@pytest.mark.parametrize("trainings", [1, 3, 10])
@pytest.mark.parametrize("workers", [1, 4])
def test_every_job_goes_on_where_the_trials_last_one_ended_and_the_budget_is_kept(trainings, workers):
    search, jobs = searched(lambda running: 0, trainings, workers)
    behind = {}
    for job in jobs:
        assert job.start == behind.get(job.id, 0) < job.epochs <= EPOCHS
        behind[job.id] = job.epochs
    trained = sum(min(epochs, len(curve_of(search, id, epochs))) for id, epochs in behind.items())
    assert trained <= trainings * EPOCHS
    left = trainings * EPOCHS - trained
    assert left < EPOCHS or all(epochs == EPOCHS for epochs in behind.values())


@settings(max_examples=6)
@given(st.randoms(use_true_random=False), st.integers(1, 5))
def test_what_is_sure_comes_whatever_is_told_and_may_be_told_before_its_turn(chance, workers):
    search = Search(SPACE, plan(4, EPOCHS, 3, workers), 0)
    _, jobs = searched(lambda running: 0, trainings=4, workers=workers)
    due, sure, running = [], [], []
    while not search.done:
        new = search.due()
        due += new
        running += [job for job in new if job not in sure]
        early = [job for job in search.sure() if job not in sure]
        if early and chance.random() < 0.5:
            sure += early
            running += early
        if running:
            tell(search, running.pop(chance.randrange(len(running))))
    assert due == jobs
    assert set(sure) <= set(due)


def test_no_more_jobs_wait_for_results_than_there_are_virtual_workers():
    search = Search(SPACE, plan(8, EPOCHS, 3, workers=4), 0)
    running = search.due()
    assert len(running) == 4
    assert search.due() == []
    while not search.done:
        tell(search, running.pop(0))
        running += search.due()
        assert len(running) <= 4


def test_a_decision_waits_for_what_ends_first_on_the_virtual_clock_and_for_nothing_else():
    search = Search(SPACE, plan(8, EPOCHS, 3, workers=3), 0)
    first, second, third = search.due()
    tell(search, second)
    tell(search, third)
    assert search.due() == []
    tell(search, first)
    assert len(search.due()) == 3


def test_a_trial_that_died_never_goes_on():
    search, jobs = searched(lambda running: 0, 20)
    died = {job.id for job in jobs if not np.isfinite(curve_of(search, job.id, job.epochs)[-1])}
    assert died
    for id in died:
        last = max(job.epochs for job in jobs if job.id == id)
        before = [job.epochs for job in jobs if job.id == id and job.epochs < last]
        assert all(np.isfinite(curve_of(search, id, epochs)[-1]) for epochs in before)


def test_the_epochs_that_dead_trials_left_are_spent_on_others():
    _, jobs = searched(lambda running: 0, 20)
    assert sum(job.epochs - job.start for job in jobs) > 20 * EPOCHS


def test_a_trainer_that_ends_by_itself_is_a_result_and_is_not_asked_to_go_on():
    search = Search(SPACE, plan(8, EPOCHS, 3, workers=1), 0)
    pieces = {}
    while not search.done:
        for job in search.due():
            pieces[job.id] = pieces.get(job.id, 0) + 1
            curve = curve_of(search, job.id, job.epochs)[:2]
            search.tell(job.id, curve, len(curve) < job.epochs)
    assert len(pieces) > 20
    assert max(pieces.values()) == 2


def test_results_of_an_earlier_run_may_be_told_whole():
    _, jobs = searched(lambda running: 0)
    search = Search(SPACE, plan(8, EPOCHS, 3, workers=3), 0)
    replayed = []
    while not search.done:
        due = search.due()
        replayed += due
        for job in due:
            curve = curve_of(search, job.id, max(j.epochs for j in jobs if j.id == job.id))
            search.tell(job.id, curve, True)
    assert replayed == jobs


def test_open_is_what_trains_and_the_best_of_what_waits_and_it_covers_most_of_what_goes_on():
    search = Search(SPACE, plan(8, EPOCHS, 3, workers=3), 0)
    running, spared, went_on, sizes = [], [], [], set()
    while not search.done:
        before = search.open(8)
        new = search.due()
        running += new
        assert {job.id for job in running} <= search.open(0)
        assert search.open(0) <= search.open(8) <= search.open(1000)
        sizes.add(len(search.open(1000)))
        went_on += [job.id for job in new if job.start]
        spared += [job.id for job in new if job.start and job.id in before]
        if running:
            tell(search, running.pop(0))
    assert max(sizes) > 20
    assert len(spared) > 0.7 * len(went_on)


def test_a_search_ends_when_every_trial_fails():
    search = Search(SPACE, plan(8, EPOCHS, 3, workers=3), 0)
    begun = 0
    while not search.done and begun < 1000:
        for job in search.due():
            begun += 1
            search.tell(job.id, np.empty(0), True)
    assert search.done
    assert begun == len(search.stages[0].seeds)
    assert len(search.stages) == 1


def test_most_trials_of_later_stages_lie_where_scores_are_good():
    late = []
    for seed in range(3):
        search, _ = searched(lambda running: 0, 20, seed=seed)
        late += [abs(np.log10(rate) + 2) for stage in search.stages[4:] for rate in stage.columns["lr"]]
        lr = search.stages[-1].region.space.parameters["lr"]
        assert lr.low > 1e-5 or lr.high < 1e-1
        assert any("lr" in sentence for sentence in search.stages[-1].region.evidence)
    assert np.median(late) < 0.3


def test_a_trial_that_does_better_than_its_config_is_first_to_go_on():
    space = Space({"lr": Range(1e-5, 1e-1, log=True)})
    search = Search(space, plan(10, EPOCHS, 1, workers=1), 0)
    luck, went_on = {}, set()
    while not search.done:
        for job in search.due():
            lucky = luck.setdefault(job.id, len(luck) % 4 == 3)
            if job.start:
                went_on.add(job.id)
            search.tell(job.id, (0.0 if lucky else 1.0) + 1.0 / np.arange(1, job.epochs + 1), False)
    lucky = {id for id, is_lucky in luck.items() if is_lucky}
    assert len(went_on & lucky) > 0.7 * len(went_on)


def test_trials_of_the_newest_stage_go_on_as_soon_as_their_results_say_so():
    search = Search(SPACE, plan(12, EPOCHS, 3, workers=1), 0)
    ahead = 0
    while not search.done:
        newest = len(search.stages) - 1
        for job in search.due():
            ahead += job.start > 0 and newest > 0 and place_of(job.id)[0] == newest
            tell(search, job)
    assert ahead > 0.2 * len(search.stages)
