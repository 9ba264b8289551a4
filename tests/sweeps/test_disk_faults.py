"""A disk that refuses: one clear line, nothing stored is lost, the same command goes on; a full one is waited for."""

import errno
import io
import itertools
import pathlib
import random
import tempfile
from types import SimpleNamespace

import pytest
from conftest import contents
from simulation.disk import Disk
from simulation.runs import FAST, drive, plan
from simulation.states import fingerprint, state_of

from sweeps.errors import SweepError
from sweeps.patience import LOOK_S, Patience
from sweeps.progress import open_view
from sweeps.stage import Halt
from sweeps.store import Store
from sweeps.tables import schema_of

PLAN = plan((6, 4))
TAKES_ROOM = ("create", "write", "fsync", "rename")


@pytest.fixture
def place():
    """Makes folders on a memory disk, if there is one."""
    number = itertools.count()
    with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as base:
        yield lambda: pathlib.Path(base) / str(next(number))


def run(folder, known=None, wait_for_room=None):
    drive(PLAN, folder, random.Random(0), known=known, wait_for_room=wait_for_room)


@pytest.fixture
def reference(place):
    """Bytes of a run that nothing happens to, and its file operations."""
    folder = place()
    folder.mkdir(parents=True)
    with Disk(folder) as disk:
        run(folder / "x")
    return contents(folder / "x"), disk.log


def refused(folder, plan, known):
    """What a driver says whose disk refuses."""
    folder.mkdir(parents=True)
    with Disk(folder, plan):
        try:
            run(folder / "x", known)
        except SweepError as error:
            return str(error)
    return None


@pytest.mark.slow
@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.ENOSPC])
def test_a_disk_that_refuses_ends_the_run_with_one_line_and_loses_nothing(place, reference, number, for_good):
    calm, log = reference
    seen = set()
    for moment in range(0, len(log), 1 if number == errno.EIO else 7):
        folder, known = place(), set()
        refusal = OSError(number, "the disk says no")

        def fate(now, kind, moment=moment, refusal=refusal):
            return refusal if now == moment or (for_good and now > moment) else None

        said = refused(folder, fate, known)
        if said is None:  # the name of the owner in the lock file is a courtesy
            assert log[moment] == ("write", "x/.lock")
        else:
            assert "the disk says no" in said
            assert "\n" not in said
        store = Store(folder / "x", PLAN.space)
        kept = {(f"s{n}", t) for n in range(2) for t in store.trials(n, ["trial"])["trial"].to_pylist()}
        store.close()
        assert known <= kept
        left = fingerprint(state_of(folder))
        if left not in seen:  # from one state there is one way on
            seen.add(left)
            run(folder / "x")
            assert contents(folder / "x") == calm


@pytest.mark.slow
def test_a_full_disk_makes_the_run_wait_and_then_it_goes_on_by_itself_and_loses_nothing(place, reference):
    calm, log = reference
    opened = next(i for i, (kind, path) in enumerate(log) if path.endswith(".tmp"))  # before that it has not begun
    waited = 0
    for moment in range(opened, len(log)):
        if log[moment][0] not in TAKES_ROOM or not log[moment][1].endswith((".tmp", ".parquet")):
            continue
        if log[moment][0] == "rename" and ".part-" not in log[moment][1]:
            continue
        folder, waits = place(), []
        folder.mkdir(parents=True)
        refusal = OSError(errno.ENOSPC, "No space left on device")

        def fate(now, kind, moment=moment, refusal=refusal, waits=waits):
            return refusal if now >= moment and len(waits) < 3 else None

        with Disk(folder, fate):
            run(folder / "x", wait_for_room=waits.append)
        assert len(waits) == 3
        assert contents(folder / "x") == calm
        assert not any((folder / "x" / ".pending").iterdir())
        waited += 1
    assert waited > 60


def one_trial(trial, **late):
    """What a ledger hands to the store."""
    reports = {"trial": [trial], "epoch": [1], "val_acc": [0.5], **late}
    attempts = {"trial": [trial], "attempt": [1], "outcome": ["completed"]}
    trials = {"trial": [trial], "status": ["completed"], "epochs": [1], "lr": [1e-3], "val_acc": [0.5], **late}
    return {"reports": (reports, 1), "attempts": (attempts, 1), "trials": (trials, 1)}, ["val_acc", *late]


def test_a_metric_that_comes_late_on_a_full_disk_is_a_column_of_every_file(tmp_path):
    waits = []
    store = Store(tmp_path / "x", PLAN.space, waits.append)
    for trial in range(3):
        store.append(0, "s0", *one_trial(trial))
    refusal = OSError(errno.ENOSPC, "No space left on device")
    with Disk(tmp_path, lambda now, kind: refusal if kind == "create" and now < 15 and len(waits) < now / 5 else None):
        store.append(0, "s0", *one_trial(3, late=[1.0]))
    assert waits
    for table in ("trials", "reports"):
        assert all("late" in schema_of(path).names for path in (tmp_path / "x" / table).iterdir())
    store.close()


def test_who_waits_for_room_says_so_once_a_minute_and_where(monkeypatch):
    said, slept = io.StringIO(), []
    clock = itertools.count(step=10)
    monkeypatch.setattr("sweeps.patience.time", SimpleNamespace(monotonic=lambda: next(clock)))
    patience = Patience(open_view(said), SimpleNamespace(asked=False), slept.append)
    for _ in range(5):
        patience(OSError(errno.ENOSPC, "No space left on device", "runs/x/trials/a"))
    line = "No space left on device: runs/x/trials/a: nothing is lost; the run goes on when there is room"
    assert said.getvalue().count(line) == 1
    assert sum(slept) == pytest.approx(5 * LOOK_S)


def test_who_is_asked_to_end_does_not_wait_for_room():
    patience = Patience(open_view(io.StringIO()), SimpleNamespace(asked=True), pytest.fail)
    with pytest.raises(Halt, match="not stored and run again") as halt:
        patience(OSError(errno.ENOSPC, "No space left on device"))
    assert halt.value.code == 130
