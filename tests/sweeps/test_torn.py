"""The last flush of an unfinished stage, torn by the disk, is set aside and run again; all else torn is refused."""

import os
import pathlib
import tempfile

import pyarrow.compute as pc
import pytest
from conftest import TRAINERS, contents, run_sweep, sweep
from simulation.disk import Died, Disk
from simulation.runs import FAST
from simulation.states import restore, state_of

import analysis
from sweeps.errors import Damaged
from sweeps.reading import Run
from sweeps.settings import settings_from
from sweeps.store import Store
from sweeps.tables import merged, read, write

TABLES = ("trials", "reports", "attempts")
ONE = sweep(stages=[{"name": "one", "trials": 12, "epochs": 2}])
SPACE = settings_from(ONE, TRAINERS.parent).space
FLUSHES = 3


@pytest.fixture
def folder():
    """The folder of a run, on a memory disk if there is one: what is torn here is torn on purpose."""
    with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as place:
        yield pathlib.Path(place) / "x"


@pytest.fixture
def calm(folder):
    """The bytes of a run that nothing happens to; its folder has then, as an unfinished one, three flushes."""
    run_sweep(ONE, folder)
    whole = contents(folder)
    for table in TABLES:
        path = folder / table / "000-one.parquet"
        rows = read(path)
        for number in range(FLUSHES):
            mine = rows.filter(pc.equal(pc.divide(rows["trial"], 4), number))
            write(part(folder, table, number), [mine], rows.schema, folder / ".pending")
        path.unlink()
    return whole


def part(folder, table, number):
    return folder / table / f"000-one.part-{number:05d}.parquet"


def tear(path, how):
    """Leave of a file what a bad disk might."""
    sound = path.read_bytes()
    torn = {
        "empty": b"",
        "cut": sound[: len(sound) // 2],
        "short of a byte": sound[:-1],
        "zeros": sound[:40] + bytes(len(sound) - 40),
        "a flipped bit": sound[:30] + bytes([sound[30] ^ 4]) + sound[31:],
    }[how]
    path.write_bytes(torn)
    return torn


@pytest.mark.parametrize("how", ["empty", "cut", "short of a byte", "zeros", "a flipped bit"])
@pytest.mark.parametrize("table", TABLES)
def test_the_last_flush_is_set_aside_when_torn_and_its_trials_run_again(folder, calm, table, how):
    torn = tear(part(folder, table, 2), how)
    ended, said = run_sweep(ONE, folder)
    assert ended.code == 0
    assert contents(folder) == calm
    assert said.count("set aside") == 1
    assert str(part(folder, table, 2)) in said
    away = {path.name: path.read_bytes() for path in (folder / "damaged").iterdir()}
    assert sorted(away) == sorted(f"{each}.000-one.part-00002.parquet" for each in TABLES)
    assert away[f"{table}.000-one.part-00002.parquet"] == torn


def test_a_tail_of_torn_flushes_goes_as_one_does(folder, calm):
    tear(part(folder, "reports", 1), "cut")
    tear(part(folder, "trials", 2), "cut")
    run_sweep(ONE, folder)
    assert contents(folder) == calm
    assert len(list((folder / "damaged").iterdir())) == 6


def test_what_is_set_aside_later_takes_no_earlier_ones_place(folder, calm):
    for _ in range(2):
        last = max(int(path.stem[-5:]) for path in (folder / "trials").iterdir())
        tear(part(folder, "trials", last), "cut")
        store = Store(folder, SPACE)
        rows = {table: ({"trial": [], "lr": [], "epoch": []}, 0) for table in TABLES}
        store.append(0, "one", rows, [])
        store.close()
    assert len(list((folder / "damaged").iterdir())) == 6


@pytest.mark.parametrize("table", TABLES)
def test_an_older_flush_that_is_damaged_is_named_and_refused_and_left_as_it_is(folder, calm, table):
    tear(part(folder, table, 1), "a flipped bit")
    before = [part(folder, each, 1).read_bytes() for each in (table, "trials")]
    for _ in range(2):
        with pytest.raises(Damaged, match=f"{part(folder, table, 1)} is damaged"):
            run_sweep(ONE, folder)
    assert [part(folder, each, 1).read_bytes() for each in (table, "trials")] == before
    assert not (folder / "damaged").exists()


def test_a_flush_that_is_half_in_the_file_of_its_stage_is_refused_since_its_reports_would_be_stored_twice(folder, calm):
    files = [part(folder, "reports", number) for number in range(FLUSHES)]
    schema = read(files[0]).schema
    write(folder / "reports" / "000-one.parquet", merged(files, schema), schema, folder / ".pending")
    for path in files:
        path.unlink()
    tear(part(folder, "trials", 2), "cut")
    with pytest.raises(Damaged, match=r"part-00002.parquet is damaged"):
        run_sweep(ONE, folder)


def test_a_torn_file_of_a_finished_stage_is_refused_before_it_takes_the_place_of_its_parts(folder, calm):
    ready = folder / ".pending" / "reports.000-one.ready"
    ready.write_bytes(part(folder, "reports", 0).read_bytes()[:-1])
    with pytest.raises(Damaged, match=f"{ready} is damaged"):
        run_sweep(ONE, folder)
    assert all(part(folder, "reports", number).exists() for number in range(FLUSHES))


def test_who_only_reads_is_told_which_file_is_damaged_and_changes_nothing(folder, calm):
    tear(part(folder, "trials", 2), "cut")
    before = state_of(folder)
    for look in (lambda: Run(folder).table("trials"), lambda: Run(folder).best(1), lambda: analysis.load(folder)):
        with pytest.raises(Damaged, match=r"part-00002.parquet is damaged .* `sweeps run` again sets it aside"):
            look()
    assert state_of(folder) == before


def test_a_driver_may_die_at_any_moment_while_it_sets_a_flush_aside(folder, calm):
    tear(part(folder, "attempts", 2), "cut")
    state, number = state_of(folder.parent), 0
    while True:
        restore(folder.parent, state)
        disk = Disk(folder.parent, lambda at, kind, last=number: "before" if at == last else None)
        try:
            with disk:
                Store(folder, SPACE).close()
        except Died:
            pass
        run_sweep(ONE, folder)
        assert contents(folder) == calm, disk.log
        number += 1
        if number > len(disk.log):
            break
    assert number > 10
    assert os.listdir(folder / ".pending") == []
