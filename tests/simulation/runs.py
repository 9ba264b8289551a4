"""One seed, one run: the real driver on simulated slots, clock and disk, struck by what the seed says, to its end."""

import dataclasses
import errno
import functools
import itertools
import pathlib
import random
import tempfile
from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace
from unittest import mock

from conftest import contents, sweep

from simulation.commits import Commits
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
CONTINUED = {(3, 2): 1, (3, 2, 1): 2, (4, 3, 2): 2}  #: so many earlier trials go on in each stage but the first
TICK_S = 0.5  #: of a wait that nothing ends: what takes a real driver no time is most of the time of a simulated one
LIVES = 3  #: of a driver, that end badly
PLAIN = {"compression": "none", "use_dictionary": False, "write_statistics": ["trial"]}  #: of the Parquet files
CALLS, OPERATIONS = 30, 90  #: of a backend and of a disk, about as many as a stage has
FAULTS = ("dies after an event", *["dies at a file operation"] * 3, "refused", "asked")
REFUSALS = (errno.EIO, errno.EROFS, errno.EACCES)


@dataclass(frozen=True)
class Budget:
    """A search in the place of stages."""

    trainings: float
    epochs: int
    confirm: int = 0


#: What a run is to do: so many trials in each stage, or a search. A seed's remainder chooses, since some take longer.
PLANS = (*[(3,), (4,), (5,)] * 6, (6,), (3, 2), (4, 3), (3, 2, 1), Budget(3, 3), Budget(3, 4, confirm=1))


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
def plan(asked):
    """The sweep of one of `PLANS`, or of any like it."""
    keys = sweep(run={"retries": RETRIES})
    if isinstance(asked, Budget):
        del keys["stage"]
        return settings_from({**keys, "search": dataclasses.asdict(asked)}, pathlib.Path())
    stages = [{"name": f"s{i}", "trials": count, "epochs": 2 + i} for i, count in enumerate(asked)]
    for later in stages[1:]:
        later["continue"] = CONTINUED.get(asked, 0)
    return settings_from({**keys, "stage": stages}, pathlib.Path())


def drive(
    settings,
    folder,
    rng,
    *,
    slots=3,
    trouble=0.0,
    events=None,
    asked=None,
    known=None,
    wait_for_room=None,
    leaves_checkpoints=False,
):
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
        leaves_checkpoints: The trainer does, for the continuation of its trials.

    Returns:
        How often each (trial, epoch) was trained, but for those of which no checkpoint can be left.
    """
    clock = Clock()
    commits = Commits(folder / "checkpoints") if leaves_checkpoints else None
    workers = Workers(rng, clock, slots, trouble=trouble, patience=RETRIES, events_to_live=events, commits=commits)
    store = Watched(folder, settings.space, *([wait_for_room] if wait_for_room else []))
    store.known = set() if known is None else known
    # Files are small here: to set up what makes large ones smaller would take longer than all the rest.
    plain = mock.patch.object(tables, "_CODEC", PLAIN)
    patient = mock.patch.object(stage, "TICK_S", TICK_S)
    try:
        with plain, patient, mock.patch.object(driver, "time", SimpleNamespace(monotonic=clock)):
            driver.Driver(settings, store, lambda: workers, Silent(), Asked(asked)).run()
    finally:
        store.close()  # as the kernel does
    return workers.trained


@functools.cache
def calm(asked):
    """The bytes of a run that nothing happens to."""
    with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as place:
        folder = pathlib.Path(place) / "x"
        drive(plan(asked), folder, random.Random(0))
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


def _live_on(rng, asked, disk, folder, told):
    """One driver after the other, until one comes to the end of the plan."""
    known, saves = set(), rng.random() < 0.5
    for life in itertools.count():
        fault, now, how = _fate(rng, asked, disk, life)
        how["leaves_checkpoints"] = saves
        ended = _one_life(plan(now), folder, rng, known, fault, how)
        disk.revive()
        told(f"life {life}: {now} {how}, {fault}: {ended}; {len(disk.log)} file operations, {len(known)} trials stored")
        if ended == "done" and now == asked:
            break
        if rng.random() < 0.7:
            disk.cut_power(rng)
            told("the power was cut")
        lost = known - stored(folder, rng)
        assert not lost, f"{sorted(lost)} were stored once"
    check(folder, asked)
    left = Commits(folder / "checkpoints").there()
    assert len(left) <= 1, f"checkpoints of {sorted(left)} are left: none will go on but the best, in a stage to come"


def _fate(rng, asked, disk, life):
    """What is going to befall a driver: in words, its plan, and the circumstances."""
    how = {"slots": rng.randrange(1, 5), "trouble": rng.choice([0.0, 0.02, 0.1]) if life <= LIVES else 0.0}
    if life >= LIVES or (life and rng.random() < 0.6):
        return "nothing", asked, how
    stages = 3 if isinstance(asked, Budget) else len(asked)
    grows = not life and stages == 1 and rng.random() < 0.3
    now = (rng.randrange(1, asked[0]),) if grows else asked
    fault = rng.choice(FAULTS)
    if fault == "dies after an event":
        how["events"] = rng.randrange(CALLS * stages)
    elif fault == "asked":
        how["asked"] = rng.randrange(CALLS // 3 * stages)
    else:
        number, for_good = len(disk.log) + rng.randrange(OPERATIONS * stages), fault == "refused" and rng.random() < 0.5
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


def check(folder, asked):
    """The end is that of the calm run, nothing is left over, and the attempts tell one story."""
    found, expected = contents(folder), calm(asked)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == [], "bytes differ"
    assert not any((folder / ".pending").iterdir())
    goes_on = asked in CONTINUED or isinstance(asked, Budget)
    again = [Status.LOST.word, Status.TIMEOUT.word] + [Status.COMPLETED.word] * goes_on
    for path in sorted((folder / "trials").iterdir()):
        ended = read(path, ["trial", "status"]).to_pydict()
        made, last = Counter(), {}
        for row in read(folder / "attempts" / path.name, ["trial", "attempt", "outcome"]).to_pylist():
            made[row["trial"]] += 1
            assert row["attempt"] == made[row["trial"]], "attempts are counted from 1 without a gap"
            assert last.get(row["trial"], "lost") in again
            last[row["trial"]] = row["outcome"]
        assert last == dict(zip(ended["trial"], ended["status"], strict=True))
