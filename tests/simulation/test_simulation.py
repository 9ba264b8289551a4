"""Whatever a seed does to slots, messages, driver and disk, the run ends with the bytes of a calm one."""

import os
import random
import shutil

import pytest

from simulation.commits import Commits
from simulation.disk import Died, Disk
from simulation.runs import Budget, drive, plan, run

SEEDS = int(os.environ.get("SEEDS", "5000"))  #: shared out in blocks to the processes of pytest-xdist
BLOCK = 50


@pytest.mark.parametrize("block", range(SEEDS // BLOCK))
def test_the_run_of_every_seed_ends_with_the_bytes_of_the_calm_run(block):
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        run(seed)


def test_a_seed_is_struck_in_the_same_way_on_every_machine(monkeypatch):
    first, second = [], []
    for seed in range(8):
        run(seed, first.append)
    monkeypatch.setattr("socket.gethostname", lambda: "a-machine-of-a-long-name")
    for seed in range(8):
        run(seed, second.append)
    assert len(first) > 16
    assert first == second


@pytest.mark.parametrize("asked", [(3, 2), (3, 2, 1), Budget(3, 4, confirm=1)], ids=str)
def test_with_checkpoints_no_epoch_is_trained_twice(asked, tmp_path):
    trained = drive(plan(asked), tmp_path / "x", random.Random(0), leaves_checkpoints=True)
    assert set(trained.values()) == {1}
    assert max(drive(plan(asked), tmp_path / "y", random.Random(0)).values()) > 1


def test_of_checkpoints_the_latest_counts(tmp_path):
    commits = Commits(tmp_path / "checkpoints")
    assert commits.there() == {}
    for trial, epoch in [(3, 1), (3, 2), (3, 1), (5, 4)]:
        commits.put(trial, epoch)
    assert commits.there() == {3: 2, 5: 4}


def outcomes(root, work, power_cuts=40):
    """What a folder may hold after `work` and a power cut, each as {name: bytes}."""
    found = []
    for seed in range(power_cuts):
        place = root / str(seed)
        place.mkdir()
        disk = Disk(place)
        with disk:
            work(place)
        disk.cut_power(random.Random(seed))
        found.append({str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file()})
    return found


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def test_the_simulated_disk_forgets_what_was_not_synced(tmp_path):
    found = outcomes(tmp_path, lambda place: write(place / "a", "12345678"))
    assert {} in found
    assert {"a": b""} in found
    assert {"a": b"12345678"} in found
    assert any(0 < len(each["a"].rstrip(b"\0")) < 8 for each in found if "a" in each)


def synced(place):
    with open(place / "a", "w") as file:
        file.write("12345678")
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(place, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def renamed(place):
    synced(place)
    os.replace(place / "a", place / "b")


def test_the_simulated_disk_keeps_what_was_synced_and_renames_in_one_step(tmp_path):
    kept = outcomes(tmp_path, synced)
    assert all(each == {"a": b"12345678"} for each in kept)
    (tmp_path / "more").mkdir()
    found = outcomes(tmp_path / "more", renamed)
    assert {"a": b"12345678"} in found
    assert {"b": b"12345678"} in found
    assert all(len(each) == 1 for each in found)


def removed(place):
    (place / "a").mkdir()
    write(place / "a" / "b", "12345678")
    for path in (place / "a" / "b", place / "a", place):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    shutil.rmtree(place / "a")


def test_the_simulated_disk_may_give_back_a_folder_that_was_removed(tmp_path):
    found = outcomes(tmp_path, removed)
    assert {} in found
    assert {"a/b": b"12345678"} in found


@pytest.mark.parametrize(("fate", "left"), [("before", b""), ("torn", b"1234"), ("after", b"12345678")])
def test_a_process_that_died_in_a_write_writes_nothing_more(tmp_path, fate, left):
    def work():
        try:
            with open(tmp_path / "a", "wb") as file:
                file.write(b"12345678")
                file.flush()
        finally:
            with open(tmp_path / "b", "wb") as file:
                file.write(b"a last will")

    with Disk(tmp_path, plan=lambda number, kind: fate if kind == "write" else None), pytest.raises(Died):
        work()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": left}
