"""A search on real slots: what it hands out, whenever what was handed out ends."""

import numpy as np
import pytest

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
