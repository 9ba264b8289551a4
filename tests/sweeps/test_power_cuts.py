"""A driver dies, the next one goes on from what it sees, dies too, and then the power is cut."""

import pathlib
import random
import tempfile

import pytest
from simulation.disk import Died, Disk
from simulation.runs import FAST, check, drive, plan, stored

TRIALS = (3,)


def die(disk, folder, moment, known):
    """A driver's life until after a file operation."""
    disk.plan = lambda now, kind: "after" if now == moment else None
    try:
        drive(plan(TRIALS), folder, random.Random(0), known=known)
    except Died:
        return
    finally:
        disk.revive()


@pytest.mark.slow
def test_what_a_dead_driver_left_is_not_believed_before_it_is_durable():
    with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as place, Disk(place) as disk:
        drive(plan(TRIALS), pathlib.Path(place) / "x", random.Random(0))
    # What the next driver goes by: trials, and files that are ready to take their place.
    firsts = [
        n for n, (kind, name) in enumerate(disk.log) if kind == "rename" and ("trials" in name or "ready" in name)
    ]
    pairs = [(first, second) for first in firsts for second in range(1, len(disk.log) - first + 8, 2)]
    assert len(pairs) > 100
    for first, second in pairs:
        with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as place, Disk(place) as disk:
            folder, known, rng = pathlib.Path(place) / "x", set(), random.Random(first * 1000 + second)
            die(disk, folder, first, known)
            die(disk, folder, first + second, known)
            disk.cut_power(rng)
            assert known <= stored(folder, rng), (first, second)
            drive(plan(TRIALS), folder, random.Random(1))
            check(folder, TRIALS)
