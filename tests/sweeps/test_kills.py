"""A driver killed at any file operation of a run, of the recovery after that, and of the recovery after that one."""

import pathlib
import random
import tempfile
from collections import Counter, deque

import pytest
from conftest import contents, sweep
from simulation.disk import Disk
from simulation.runs import FAST, RETRIES, drive, plan
from simulation.states import fingerprint, restore, state_of

from sweeps.settings import settings_from
from sweeps.store import Store
from sweeps.tables import schema_of

PLAN = plan((9, 5, 4))


def searching():
    """A small search."""
    written = sweep(search={"trainings": 3, "epochs": 4}, run={"retries": RETRIES})
    del written["stage"]
    return settings_from(written, pathlib.Path())


#: What drivers were given, one after the other; in the second one the first stage had fewer trials at first.
HISTORIES = {
    "at once": [PLAN],
    "grown": [plan((4,)), PLAN],
    "trials that go on": [plan((4, 3, 2))],
    "a search": [searching()],
}


@pytest.fixture
def place():
    """A folder on a memory disk, if there is one: no power cut here, and thousands of moments."""
    with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as base:
        yield pathlib.Path(base)


def deaths(place, work):
    """What a driver leaves that is killed before, in and after each of its file operations: (kind, state) pairs.

    Killed after one is killed before the next: that is one state, and counted once.
    """
    found = []
    disk = Disk(place, plan=lambda number, kind: found.append((kind, state_of(place))))
    with disk:
        work(place / "x")
    kinds = [kind for kind, _ in disk.log]
    states = [state for _, state in found] + [state_of(place)]
    torn = []
    for kind, before, after in zip(kinds, states[:-1], states[1:], strict=True):
        if kind == "write":
            (name,) = (name for name in after if after[name] != before[name])
            torn.append(("torn write", after | {name: after[name][: len(after[name]) // 2]}))
    return [*zip([*kinds, "end"], states, strict=True), *torn], disk.log


def recover(folder):
    Store(folder, PLAN.space).close()


@pytest.mark.slow
@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_whichever_file_operation_a_driver_is_killed_at_the_next_one_ends_with_the_same_bytes(place, history):
    def live(folder):
        for seed, settings in enumerate(history):
            drive(settings, folder, random.Random(seed))

    reference, log = deaths(place, live)
    calm = contents(place / "x")
    kinds = Counter(kind for kind, _ in log)
    assert {"mkdir", "create", "write", "fsync", "rename", "unlink"} <= kinds.keys()
    renames = [path for kind, path in log if kind == "rename" and ".part-" in path]
    assert history[-1] is not PLAN or len(renames) > len(set(renames)), "a late metric widens parts that are there"

    points = len(log) * 2 + kinds["write"]
    left = deque((state, 0) for _, state in reference)
    seen = set()
    recovered = {}
    while left:
        state, depth = left.popleft()
        if fingerprint(state) in seen:
            continue
        seen.add(fingerprint(state))
        restore(place, state)
        found, log = deaths(place, recover)
        points += 2 * len(log)
        after = found[len(log)][1]
        recovered[fingerprint(after)] = after
        if depth < 2:
            left.extend((each, depth + 1) for _, each in found)

    assert points > 1000
    print(f"killed at {points} points: {len(seen)} states, {len(recovered)} of them when recovered")
    for state in recovered.values():
        restore(place, state)
        files = [path for table in ("trials", "reports") for path in (place / "x" / table).iterdir()]
        assert len({"late" in schema_of(path).names for path in files}) <= 1  # readers take the first file's columns
        drive(history[-1], place / "x", random.Random(0))
        assert contents(place / "x") == calm
        assert not any((place / "x" / ".pending").iterdir())
