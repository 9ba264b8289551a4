"""A search on real slots: what it hands out, whenever what was handed out ends."""

import pathlib
from types import SimpleNamespace

import numpy as np
import pytest
from simulation.runs import Silent

import sweeps
from sweeps.ladder import plan
from sweeps.search import Search
from sweeps.searching import Searching
from sweeps.space import Range, Space
from workers.messages import place_of

SPACE = Space({"lr": Range(1e-5, 1e-1, log=True), "reg": Range(1e-5, 1.0, log=True)})
LAYOUT = plan(8, 9, 2, workers=3)


class Empty:
    """A store that holds nothing yet."""

    def rows(self, stage, indices):
        return {}


class Lowest:
    """An objective that is a metric to minimise."""

    def scores(self, values):
        return values


def trained(slots, next_to_end):
    """(trial, start, epochs) of all that is trained, where `next_to_end(number of running trials)` ends first."""
    search = Search(SPACE, LAYOUT, 0)
    agenda = Searching(search, LAYOUT, Empty(), Lowest(), lambda stage: None)
    running, jobs = [], set()
    while True:
        running += agenda.due(slots - len(running)).tolist()
        if not running:
            assert search.done
            assert agenda.trained + agenda.left == LAYOUT.budget
            assert 0 <= agenda.left < LAYOUT.rungs[-1]
            return jobs
        trial = running.pop(next_to_end(len(running)))
        start, epochs = agenda.goals.others[trial]
        jobs.add((trial, start, epochs))
        stage, index = place_of(trial)
        lr = search.stages[stage].columns["lr"][index]
        agenda.ended(trial, (np.log10(lr) + 2) ** 2 + 1.0 / np.arange(start + 1, epochs + 1), True)


@pytest.mark.parametrize("slots", [2, 3, 11, 40])
@pytest.mark.parametrize("next_to_end", [lambda running: 0, lambda running: running - 1], ids=["first", "last"])
def test_what_is_trained_does_not_depend_on_slots_nor_on_what_ends_first(slots, next_to_end):
    assert trained(slots, next_to_end) == trained(1, lambda running: 0)


class Watched(Silent):
    """A view that remembers."""

    def __init__(self):
        self.seen = []

    def update(self, snapshot):
        self.seen.append(snapshot)


CLOCK = SimpleNamespace(now=0.0)


def ticking(lr, epochs, checkpoint):
    state = pathlib.Path(checkpoint, "epochs")
    for epoch in range(int(state.read_text()) if state.exists() else 0, epochs):
        CLOCK.now += 1.0
        state.write_text(str(epoch + 1))
        yield {"loss": lr + 1.0 / (epoch + 1)}


def test_a_search_knows_from_its_first_trials_when_it_will_end_though_its_last_ones_train_longer(tmp_path, monkeypatch):
    watched = Watched()
    monkeypatch.setattr("sweeps.driver.time", SimpleNamespace(monotonic=lambda: CLOCK.now))
    monkeypatch.setattr("sweeps.api._view", lambda: watched)
    settings = {"trainings": 10, "epochs": 27}
    keys = {"space": {"lr": {"log": [1e-4, 1e-1]}}, "search": settings, "metric": "loss", "mode": "min"}
    sweeps.run(ticking, **keys, backend="inline", slots=1, out=tmp_path)
    assert watched.seen[-1].eta_s == 0.0
    told = [each.elapsed_s + each.eta_s for each in watched.seen[:-1] if each.elapsed_s > 27]
    assert len(told) > 40
    assert told == pytest.approx([270] * len(told), rel=0.05)
