"""One stage's side of what runs: its configs, what came back of its trials, how it stands.

Outside of a book a trial is one number, its identity; inside it is the index in its stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sweeps.ledger import Ledger
from sweeps.monitor import Monitor
from sweeps.reports import where
from sweeps.space import Columns
from workers.messages import Ends, Flags, Ints, Reports, indices_of, place_of, stages_of


@dataclass(frozen=True, slots=True)
class Book:
    """A stage whose trials run, or run on.

    Attributes:
        number: Its number.
        name: Its name.
        columns: Configs of all its trials.
        seeds: Seeds of all its trials.
        ledger: What came back and is not stored.
        monitor: What is known of it.
    """

    number: int
    name: str
    columns: Columns
    seeds: Ints
    ledger: Ledger
    monitor: Monitor


Books = Mapping[int, Book]


@dataclass(slots=True)
class Goals:
    """How far trials are trained.

    Attributes:
        epochs: The budget of a trial that starts anew.
        others: (epochs stored, epoch to reach) of the trials for which that is something else.
    """

    epochs: int
    others: dict[int, tuple[int, int]]

    def of(self, trials: Ints) -> tuple[Ints, Ints]:
        """(n,) epochs that are stored, and (n,) the epoch to reach, of each trial."""
        starts, ends = np.zeros(len(trials), np.int64), np.full(len(trials), self.epochs)
        if self.others:
            for i, trial in enumerate(trials.tolist()):
                starts[i], ends[i] = self.others.get(trial, (0, self.epochs))
        return starts, ends


def configs(books: Books, trials: Ints) -> tuple[tuple[list[Any], ...], Ints]:
    """One list of n values per parameter, and (n,) seeds, of trials of any stages."""
    if _of_one_stage(trials):
        book, chosen = books[int(stages_of(trials[:1])[0])], indices_of(trials)
        places = chosen.tolist()
        return tuple([column[i] for i in places] for column in book.columns.values()), book.seeds[chosen]
    pairs = [place_of(trial) for trial in trials.tolist()]
    names = books[pairs[0][0]].columns
    columns = tuple([books[stage].columns[name][i] for stage, i in pairs] for name in names)
    return columns, np.array([books[stage].seeds[i] for stage, i in pairs], np.int64)


def reports_by_stage(reports: Reports) -> Iterator[tuple[int, Reports]]:
    """Reports of each stage's trials, under their indices."""
    for number, rows in _split(reports.trial):
        part = reports if rows is None else where(reports, rows)
        yield number, replace(part, trial=indices_of(part.trial))


def ends_by_stage(ends: Ends) -> Iterator[tuple[int, Ends, Flags | None]]:
    """Ends of each stage's trials, under their indices, and which rows they were; None for all of them."""
    for number, rows in _split(ends.trial):
        chosen = slice(None) if rows is None else rows
        trials = ends.trial[chosen]
        part = Ends(
            indices_of(trials),
            ends.status[chosen],
            ends.started[chosen],
            ends.seconds[chosen],
            _of_stage(number, ends.reasons),
            _of_stage(number, ends.tracebacks),
        )
        yield number, part, rows


def _of_stage(number: int, texts: Mapping[int, str]) -> dict[int, str]:
    """The texts on trials of a stage, under their indices."""
    return {place_of(trial)[1]: text for trial, text in texts.items() if place_of(trial)[0] == number}


def _split(trials: Ints) -> Iterator[tuple[int, Flags | None]]:
    """The stages of some trials, and (n,) which are whose; None for all, since mostly there is but one."""
    if not len(trials):
        return
    stages = stages_of(trials)
    if _of_one_stage(trials):
        yield int(stages[0]), None
        return
    for number in np.unique(stages).tolist():
        yield number, stages == number


def _of_one_stage(trials: Ints) -> bool:
    """Whether all trials are of the same stage."""
    stages = stages_of(trials)
    return bool((stages == stages[0]).all())
