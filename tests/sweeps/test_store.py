"""The folder of a run: whole at every moment, finished by whoever opens it next, and never wrong in silence."""

import os
import shutil

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest
import tomli_w
from conftest import contents, run_sweep, sweep
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.declaration import space_from
from sweeps.errors import RunHeld, UsageError
from sweeps.reading import Run
from sweeps.store import Store

TABLES = ("trials", "reports", "attempts", "stages")
KEYS = {"trials": ["stage", "trial"], "reports": ["stage", "trial", "epoch"], "attempts": ["stage", "trial", "attempt"]}
WRITTEN = {"lr": {"log": [1e-5, 1e-2]}}
SPACE = space_from(WRITTEN)
READERS = {
    "pandas": pd.read_parquet,
    # Needs a word for the moment at which a late metric becomes a column of one file after the other.
    "polars": lambda folder: pl.scan_parquet(folder, extra_columns="ignore").collect().to_pandas(),
    "duckdb": lambda folder: duckdb.sql(f"select * from read_parquet('{folder}')").pl().to_pandas(),
}


def rows(trials, late=()):
    """What a ledger would hand to the store: trials of two epochs; those in `late` have one more metric."""
    count = len(trials)
    two = np.repeat(trials, 2)
    missing = [None if trial not in late else 1.0 for trial in trials]
    metrics = {"val_acc": np.array(trials) / 10} | ({"late": missing} if late else {})
    return {
        "reports": (
            {"trial": two, "epoch": [1, 2] * count, "val_acc": two / 10}
            | ({"late": np.repeat(missing, 2).tolist()} if late else {}),
            2 * count,
        ),
        "attempts": ({"trial": trials, "attempt": [1] * count, "outcome": ["completed"] * count}, count),
        "trials": (
            {"trial": trials, "status": ["completed"] * count, "epochs": [2] * count, "lr": [1e-3] * count, **metrics},
            count,
        ),
    }, list(metrics)


def row(number, stage):
    return {"stage": stage, "number": number, "trials": 6, "epochs": 2, "region": "{}", "moves": "{}", "evidence": []}


def carry_out(folder, *, coarse=6):
    """What a driver does with a run's folder, in small: two stages, each in flushes that overlap."""
    store = Store(folder, SPACE)
    try:
        for number, (stage, count, late) in enumerate((("coarse", coarse, ()), ("fine", 4, (2,)))):
            if store.stage(number) is None:
                store.put_stage(number, row(number, stage))
            pending = np.flatnonzero(~store.done(number, count))
            for trials in (pending[1::2].tolist(), pending[0::2].tolist()):
                if trials:
                    store.append(number, stage, *rows(trials, [t for t in trials if t in late]))
            if not store.is_finished(number):
                store.finish(number, stage)
            store.put_stage(number, row(number, stage) | {"completed": count})
    finally:
        store.close()


def whole(folder):
    return contents(folder, TABLES)


@pytest.fixture
def calm(tmp_path):
    """The bytes of a run that nothing happened to."""
    carry_out(tmp_path / "calm")
    return whole(tmp_path / "calm")


def moments(monkeypatch, folder, work):
    """The folder as it was before each rename and removal while `work` went on; what was not whole yet is cut."""
    seen = []

    def take():
        if folder.is_dir():
            copy = folder.with_name(f"{folder.name}@{len(seen)}")
            shutil.copytree(folder, copy)
            for torn in (copy / ".pending").glob("*.tmp"):
                os.truncate(torn, torn.stat().st_size // 2)
            seen.append(copy)

    def watched(act):
        def acting(*arguments, **keys):
            take()
            act(*arguments, **keys)

        return acting

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", watched(os.replace))
        patched.setattr(os, "unlink", watched(os.unlink))
        work()
    take()
    return seen


def work_at_once(folder):
    carry_out(folder)


def work_that_grows(folder):
    carry_out(folder, coarse=3)
    carry_out(folder)


@pytest.fixture(params=[work_at_once, work_that_grows])
def history(request, monkeypatch, tmp_path):
    """Every moment of a run, as folders."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no power cut here, and disks are slow
    return moments(monkeypatch, tmp_path / "x", lambda: request.param(tmp_path / "x"))


def test_whenever_a_driver_dies_the_next_one_ends_with_the_bytes_of_a_calm_run(history, calm):
    assert len(history) > 40
    for folder in history:
        carry_out(folder)
        assert whole(folder) == calm, folder.name
        assert not any((folder / ".pending").iterdir())


def test_no_reader_ever_sees_a_row_twice(history):
    for folder in history:
        (folder / "sweep.toml").write_text(tomli_w.dumps(sweep(space=WRITTEN)))
        for table, keys in KEYS.items():
            for read in READERS.values():
                if any((folder / table).glob("*.parquet")):
                    found = read(folder / table)
                    assert not found.duplicated(keys).any(), folder.name
            ours = Run(folder).table(table).to_pandas()
            assert not ours.duplicated(keys).any(), folder.name
            assert ours.sort_values(keys, ignore_index=True).equals(ours)


def test_what_was_stored_once_is_never_lost(history):
    """But while a stage's parts give way to its file, which is ready then."""
    known = 0
    for folder in history:
        Store(folder, SPACE).close()
        found = len(pd.read_parquet(folder / "trials"))
        assert found >= known
        known = found
    assert known == 10


def test_parts_of_one_flush_carry_one_number_in_every_table(folder):
    store = Store(folder, SPACE)
    store.append(0, "coarse", *rows([2, 0]))
    store.append(0, "coarse", *rows([1]))
    store.close()
    for table in ("reports", "attempts", "trials"):
        names = sorted(path.name for path in (folder / table).iterdir())
        assert names == ["000-coarse.part-00000.parquet", "000-coarse.part-00001.parquet"]


@pytest.mark.parametrize("missing", [("trials",), ("trials", "attempts")])
def test_reports_without_their_trials_never_happened(folder, missing):
    store = Store(folder, SPACE)
    store.append(0, "coarse", *rows([0, 1]))
    store.append(0, "coarse", *rows([2, 3]))
    store.close()
    for table in missing:
        (folder / table / "000-coarse.part-00001.parquet").unlink()
    store = Store(folder, SPACE)
    assert store.done(0, 5).tolist() == [True, True, False, False, False]
    store.close()
    assert sorted(pd.read_parquet(folder / "reports").trial.unique()) == [0, 1]
    assert sorted(pd.read_parquet(folder / "attempts").trial) == [0, 1]


def test_a_late_metric_is_a_column_of_every_file_and_null_before(folder):
    store = Store(folder, SPACE)
    store.append(0, "coarse", *rows([0]))
    store.finish(0, "coarse")
    store.append(1, "fine", *rows([0]))
    store.append(1, "fine", *rows([1], [1]))
    store.close()
    for table in ("trials", "reports"):
        for path in (folder / table).iterdir():
            late = pd.read_parquet(path).late
            assert late.notna().all() == (path.name == "001-fine.part-00002.parquet")
    assert pd.read_parquet(folder / "reports").late.notna().sum() == 2


def test_one_driver_holds_a_run_until_it_lets_go(folder):
    store = Store(folder, SPACE)
    with pytest.raises(RunHeld, match=f"held by process {os.getpid()} on "):
        Store(folder, SPACE)
    store.close()
    store.close()
    Store(folder, SPACE).close()


def test_a_place_that_cannot_be_written_is_a_plain_mistake(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="choose another place with --out"):
        Store(tmp_path / "file" / "x", SPACE)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_a_plain_mistake(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="Permission denied; choose another place with --out"):
        Store(tmp_path / "x", SPACE)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run, and its tables as they should be read."""
    folder = tmp_path_factory.mktemp("run") / "x"
    run_sweep(sweep("late_metric", stages=[{"name": "one", "trials": 5, "epochs": 2}]), folder)
    return folder, {table: Run(folder).table(table) for table in TABLES}


def read_damaged(run, table, damage):
    """What is read of a table when its file is damaged: the rows, or None when the file is named and refused."""
    folder, _ = run
    path = folder / table / "000-one.parquet"
    sound = path.read_bytes()
    path.write_bytes(damage(sound))
    try:
        return Run(folder).table(table)
    except UsageError as error:
        return None if f"{path} is damaged" in str(error) else error
    finally:
        path.write_bytes(sound)


def flipped(sound, bit):
    damaged = bytearray(sound)
    damaged[bit // 8 % len(sound)] ^= 1 << bit % 8
    return bytes(damaged)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TABLES), st.integers(0, 2**20))
def test_a_flipped_bit_is_refused_or_changes_no_number(run, table, bit):
    found = read_damaged(run, table, lambda sound: flipped(sound, bit))
    assert found is None or found.equals(run[1][table])


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(TABLES), st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_is_refused(run, table, share):
    assert read_damaged(run, table, lambda sound: sound[: int(share * len(sound))]) is None


@pytest.mark.parametrize("table", ["trials", "reports", "attempts"])
def test_a_run_with_a_damaged_part_before_the_last_is_refused_as_often_as_it_is_opened(folder, table):
    store = Store(folder, SPACE)
    store.append(0, "coarse", *rows([0, 1]))
    store.append(0, "coarse", *rows([2, 3]))
    store.close()
    path = folder / table / "000-coarse.part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    left = path.read_bytes()
    for _ in range(2):
        with pytest.raises(UsageError, match=f"{table}/000-coarse.part-00000.parquet is damaged"):
            carry_out(folder)
    assert path.read_bytes() == left
