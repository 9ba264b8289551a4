"""The folder of a run in other hands: moved, copied, with files of other people's in it."""

import os
import pathlib
import pickle
import shutil

import pytest
from conftest import contents, run_sweep, sweep

from sweeps.errors import UsageError

FEW, ALL = ([{"name": "one", "trials": count, "epochs": 2}] for count in (6, 12))
TABLES = ("trials", "reports", "attempts", "stages")


@pytest.fixture
def calm(tmp_path):
    run_sweep(sweep(stages=ALL), tmp_path / "calm")
    return contents(tmp_path / "calm", ("trials", "reports"))


@pytest.mark.parametrize("act", [shutil.move, shutil.copytree])
def test_a_run_goes_on_wherever_its_folder_was_taken(tmp_path, calm, act):
    run_sweep(sweep(stages=FEW), tmp_path / "before")
    act(tmp_path / "before", tmp_path / "after")
    run_sweep(sweep(stages=ALL), tmp_path / "after")
    assert contents(tmp_path / "after", ("trials", "reports")) == calm
    for path in (tmp_path / "after").rglob("*"):
        assert path.is_dir() or os.fsencode(tmp_path) not in path.read_bytes()


def test_a_finished_run_may_be_run_again_ten_times(folder):
    run_sweep(sweep(stages=FEW), folder)
    before = contents(folder, TABLES)
    for _ in range(10):
        assert run_sweep(sweep(stages=FEW), folder)[0].code == 0
    assert contents(folder, TABLES) == before


def test_files_of_others_are_neither_read_nor_removed(folder, calm):
    run_sweep(sweep(stages=FEW), folder)
    foreign = [folder / "notes.txt", *(folder / table / name for table in TABLES for name in (".DS_Store", "a.csv"))]
    for path in foreign:
        path.write_text("not yours")
    (folder / "trials" / "backup").mkdir()
    run_sweep(sweep(stages=ALL), folder)
    assert {path.read_text() for path in foreign} == {"not yours"}
    assert {name: found for name, found in ours(folder).items() if name in calm} == calm


def ours(folder):
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in folder.glob("*/*.parquet")}


def test_only_its_owner_may_look_into_a_run(folder):
    before = os.umask(0)
    try:
        run_sweep(sweep(stages=FEW), folder)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("table", ["trials", "reports", "attempts"])
def test_a_file_that_vanished_is_named_and_nothing_is_stored_twice(folder, table):
    run_sweep(sweep(stages=FEW), folder)
    path = folder / table / "000-one.parquet"
    path.rename(folder / "taken")
    before = ours(folder)
    with pytest.raises(UsageError, match=f"{path} is missing: put it back"):
        run_sweep(sweep(stages=ALL), folder)
    assert ours(folder) == before
    (folder / "taken").rename(path)
    assert run_sweep(sweep(stages=ALL), folder)[0].code == 0


def test_a_stage_whose_files_were_all_removed_runs_again(folder, calm):
    run_sweep(sweep(stages=ALL), folder)
    for table in TABLES:
        (folder / table / "000-one.parquet").unlink()
    run_sweep(sweep(stages=ALL), folder)
    assert contents(folder, ("trials", "reports")) == calm


def test_a_planted_pickle_is_never_loaded(folder, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pathlib.Path.touch, (tmp_path / "exploded",))

    run_sweep(sweep(stages=FEW), folder)
    for table in TABLES:
        (folder / table / "000-one.pkl").write_bytes(pickle.dumps(Bomb()))
    run_sweep(sweep(stages=ALL), folder)
    assert not (tmp_path / "exploded").exists()
