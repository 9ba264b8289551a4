"""One seed, one run: the real driver on simulated slots, clock and disk, struck by what the seed says, to its end."""

import errno
import functools
import itertools
import pathlib
import random
import tempfile
from collections import Counter
from types import SimpleNamespace
from unittest import mock

from conftest import contents, sweep

from simulation.disk import Died, Disk
from simulation.slots import Clock, Workers
from sweeps import driver, stage, tables
from sweeps.errors import SweepError
from sweeps.settings import settings_from
from sweeps.stage import Halt
from sweeps.store import Store
from sweeps.tables import read
from workers.messages import Status

FAST = pathlib.Path("/dev/shm")  #: memory, where there is such a place
RETRIES = 2
PLANS = ((9,), (8,), (7,), (6, 4), (5, 3), (4, 3, 2))
CONTINUED = {(5, 3): 1, (4, 3, 2): 2}  #: so many of the best earlier trials go on in each stage but the first
TICK_S = 0.5  #: of a wait that nothing ends: what takes a real driver no time is most of the time of a simulated one
LIVES = 4  #: of a driver, that end badly
FAULTS = ("dies after an event", "dies at a file operation", "dies at a file operation", "refused", "asked")
REFUSALS = (errno.EIO, errno.EROFS, errno.EACCES)


class Silent:
    """A view that nobody looks at."""

    def update(self, snapshot):
        pass

    def say(self, text):
        pass

    def close(self):
        pass


class Asked:
    """Interrupts that come when the driver has looked so often; None for never."""

    def __init__(self, after):
        self._left = after

    @property
    def asked(self):
        if self._left is None:
            return False
        self._left -= 1
        return self._left < 0


class Watched(Store):
    """The store, with a note of what it has acknowledged."""

    known: set

    def append(self, number, stage, rows, metrics):
        super().append(number, stage, rows, metrics)
        self.known |= {(stage, trial) for trial in rows["trials"][0]["trial"].tolist()}


@functools.cache
def plan(trials):
    """A sweep of so many trials in each stage."""
    stages = [{"name": f"s{i}", "trials": count, "epochs": 2 + i} for i, count in enumerate(trials)]
    for later in stages[1:]:
        later["continue"] = CONTINUED.get(trials, 0)
    return settings_from(sweep(stages=stages, run={"retries": RETRIES}), pathlib.Path())


def drive(settings, folder, rng, *, slots=3, trouble=0.0, events=None, asked=None, known=None, wait_for_room=None):
    """A driver's life: it opens the run and goes on until it is done, is asked to end, refuses, or dies.

    Args:
        settings: The sweep.
        folder: Of the run.
        rng: Decides what happens in the slots.
        slots: How many there are.
        trouble: Probability that a trial or a message is struck.
        events: The driver dies after so many calls of the backend; None for never.
        asked: It is asked to end when it has looked so often; None for never.
        known: Takes what is acknowledged.
        wait_for_room: Called when the disk is full.
    """
    clock = Clock()
    workers = Workers(rng, clock, slots, trouble=trouble, patience=RETRIES, events_to_live=events)
    store = Watched(folder, settings.space, *([wait_for_room] if wait_for_room else []))
    store.known = set() if known is None else known
    # Files are small here: to set up a compressor for each would take longer than all the rest.
    plain = mock.patch.object(tables, "_CODEC", {"compression": "none"})
    patient = mock.patch.object(stage, "TICK_S", TICK_S)
    try:
        with plain, patient, mock.patch.object(driver, "time", SimpleNamespace(monotonic=clock)):
            driver.Driver(settings, store, lambda: workers, Silent(), Asked(asked)).run()
    finally:
        store.close()  # as the kernel does


@functools.cache
def calm(trials):
    """The bytes of a run that nothing happens to."""
    with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as place:
        folder = pathlib.Path(place) / "x"
        drive(plan(trials), folder, random.Random(0))
        return contents(folder)


def run(seed, told=lambda line: None):
    """Run a seed to its end.

    Args:
        seed: Decides everything.
        told: Takes a line for each thing that happens.

    Raises:
        AssertionError: Something that was stored is gone, or the end is not that of a calm run.
    """
    with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as place, Disk(place) as disk:
        try:
            _live_on(random.Random(seed), PLANS[seed % len(PLANS)], disk, pathlib.Path(place) / "x", told)
        except BaseException as error:
            error.add_note(f"replay it: .venv/bin/python tests/simulate.py {seed}")
            raise


def _live_on(rng, trials, disk, folder, told):
    """One driver after the other, until one comes to the end of the plan."""
    known = set()
    for life in itertools.count():
        fault, now, how = _fate(rng, trials, disk, life, known)
        ended = _one_life(plan(now), folder, rng, known, fault, how)
        disk.revive()
        told(f"life {life}: {now} {how}, {fault}: {ended}; {len(disk.log)} file operations, {len(known)} trials stored")
        if ended == "done" and now == trials:
            break
        if rng.random() < 0.5:
            disk.cut_power(rng)
            told("the power was cut")
        lost = known - stored(folder, rng)
        assert not lost, f"{sorted(lost)} were stored once"
    check(folder, trials)


def _fate(rng, trials, disk, life, known):
    """What is going to befall a driver: in words, its plan, and the circumstances."""
    how = {"slots": rng.randrange(1, 5), "trouble": rng.choice([0.0, 0.02, 0.1]) if life <= LIVES else 0.0}
    if life >= LIVES or rng.random() < 0.25:
        return "nothing", trials, how
    grows = len(trials) == 1 and not known and rng.random() < 0.3
    now = (rng.randrange(1, trials[0]),) if grows else trials
    fault = rng.choice(FAULTS)
    moment = rng.randrange(30 * len(trials))
    if fault == "dies after an event":
        how["events"] = moment
    elif fault == "asked":
        how["asked"] = moment // 3
    else:
        number, for_good = len(disk.log) + moment, fault == "refused" and rng.random() < 0.5
        fate = OSError(rng.choice(REFUSALS), "refused") if fault == "refused" else None
        fate = fate or rng.choice(["before", "torn", "after"])
        disk.plan = lambda now, kind: fate if now == number or (for_good and now > number) else None
    return fault, now, how


def _one_life(settings, folder, rng, known, fault, how):
    """A driver's life, and its end in words."""
    try:
        drive(settings, folder, rng, known=known, **how)
    except Died:
        return "died"
    except Halt as halt:
        return str(halt)
    except SweepError as error:
        if fault != "refused" or "\n" in str(error):
            raise
        return str(error).replace(str(folder), "")
    return "done"


def stored(folder, rng):
    """The trials that lie there, once each; before or after a driver has opened the run, which must not matter."""
    is_ready = any((folder / ".pending").glob("trials.*.ready"))  # then the stage has no rows for a moment
    if is_ready or rng.random() < 0.3:
        Store(folder, plan(PLANS[0]).space).close()
    files = sorted((folder / "trials").iterdir()) if (folder / "trials").is_dir() else []
    rows = [(row["stage"], row["trial"]) for path in files for row in read(path, ["stage", "trial"]).to_pylist()]
    assert len(rows) == len(set(rows)), "a trial is stored twice"
    return set(rows)


def check(folder, trials):
    """The end is that of the calm run, nothing is left over, and the attempts tell one story."""
    found, expected = contents(folder), calm(trials)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == [], "bytes differ"
    assert not any((folder / ".pending").iterdir())
    again = [Status.LOST.word, Status.TIMEOUT.word] + [Status.COMPLETED.word] * (trials in CONTINUED)
    for path in sorted((folder / "trials").iterdir()):
        ended = read(path, ["trial", "status"]).to_pydict()
        made, last = Counter(), {}
        for row in read(folder / "attempts" / path.name, ["trial", "attempt", "outcome"]).to_pylist():
            made[row["trial"]] += 1
            assert row["attempt"] == made[row["trial"]], "attempts are counted from 1 without a gap"
            assert last.get(row["trial"], "lost") in again
            last[row["trial"]] = row["outcome"]
        assert last == dict(zip(ended["trial"], ended["status"], strict=True))
