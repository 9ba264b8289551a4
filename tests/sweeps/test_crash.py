"""Whatever happens to the driver, the same command again ends with the bytes of a run that nothing happened to."""

import contextlib
import pathlib
import signal
import time
import uuid

import duckdb
import pandas as pd
import polars as pl
import pytest
from commands import eventually, finished, paced, started, sweep_file
from conftest import contents, run_sweep

pytestmark = pytest.mark.slow

PAUSE_S = 0.03  # an epoch's; a stage lasts some four seconds then, and is stored every two
FOREVER_S = 600.0
RUN = ("run", "sweep.toml", "--slots", 2)
AGAIN = "the same command again runs what is missing"


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """The bytes of the run when nothing happens to it, in one process and without pauses."""
    folder = tmp_path_factory.mktemp("calm") / "x"
    assert run_sweep(paced(), folder)[0].code == 0
    return contents(folder)


@pytest.fixture
def place(tmp_path):
    """A folder with the sweep file; the run is going to be in `runs/sweep`."""
    sweep_file(tmp_path, paced())
    return tmp_path


def ends_calmly(place, calm):
    """The same command again, left alone."""
    code, _, said = finished(*RUN, cwd=place)
    assert code == 0, said
    return contents(place / "runs" / "sweep") == calm


@contextlib.contextmanager
def running(place, pause_s, **variables):
    """The command at work, and the file that takes what it says; killed at the latest in the end."""
    said = place / "said.txt"
    with said.open("w") as file, started(*RUN, cwd=place, said=file, PAUSE_S=pause_s, **variables) as process:
        try:
            yield process, said
        finally:
            process.kill()


def marked(mark):
    """Processes that carry a mark in their environment."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def are_gone(mark):
    return not marked(mark)


def at(folder, moment, mark):
    """Whether a run is there, with its driver and two workers at work."""
    return any(folder.glob(moment)) and len(marked(mark)) == 3


#: It has hardly begun, first trials are stored, a stage has ended, trials of another one are stored.
MOMENTS = ("sweep.toml", "trials/000-*.part-*.parquet", "trials/000-coarse.parquet", "trials/001-*.part-*.parquet")


def test_killed_again_and_again_a_run_ends_with_the_same_bytes_and_leaves_no_worker_behind(place, calm):
    folder = place / "runs" / "sweep"
    for moment in MOMENTS:
        mark = uuid.uuid4().hex
        with running(place, PAUSE_S, MARK=mark) as (process, _):
            eventually(at, folder, moment, mark)
            assert process.poll() is None
            process.kill()
        eventually(are_gone, mark, within_s=5)
        if names(folder / "reports"):
            assert not pd.read_parquet(folder / "reports").duplicated(["stage", "trial", "epoch"]).any()
    assert ends_calmly(place, calm)


def test_no_worker_outlives_its_driver_however_long_its_trial_would_go_on(place):
    mark = uuid.uuid4().hex
    with running(place, FOREVER_S, BEGUN=place / "begun", MARK=mark) as (process, _):
        eventually((place / "begun").exists)
        process.kill()
    eventually(are_gone, mark, within_s=5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_stores_what_ended_and_says_how_to_go_on(place, calm, number):
    with running(place, PAUSE_S) as (process, said):
        eventually(lambda: list((place / "runs/sweep/trials").glob("*")))
        process.send_signal(number)
        assert process.wait(timeout=10) == 130
    assert said.read_text().count(AGAIN) == 1
    stored = len(pd.read_parquet(place / "runs/sweep/trials"))
    assert 0 < stored < 150
    assert ends_calmly(place, calm)
    assert not pd.read_parquet(place / "runs/sweep/attempts").duplicated(["stage", "trial"]).any()


def test_asked_to_stop_it_lets_trials_end_that_are_about_to(place, calm):
    with running(place, 0.3) as (process, said):
        eventually(lambda: "best " in said.read_text())  # the first epoch of three
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
    assert len(pd.read_parquet(place / "runs/sweep/trials")) > 0
    assert ends_calmly(place, calm)


@pytest.mark.parametrize("asked", [1, 2])
def test_asked_to_stop_it_does_not_wait_for_a_trial_that_goes_on_for_ever_and_asked_twice_for_none(place, calm, asked):
    with running(place, FOREVER_S, BEGUN=place / "begun") as (process, said):
        eventually((place / "begun").exists)
        process.send_signal(signal.SIGINT)
        eventually(lambda: "waiting a moment" in said.read_text())
        began = time.monotonic()
        if asked == 2:
            process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
        assert (time.monotonic() - began < 3) == (asked == 2)  # the first time such a trial gets four seconds
    assert said.read_text().count(AGAIN) == 1
    assert ends_calmly(place, calm)


def test_a_spent_budget_ends_it_with_code_3_and_no_budget_goes_on(place, calm):
    code, _, said = finished(*RUN, "--set", "run.budget=4s", cwd=place, PAUSE_S=0.05)
    assert code == 3
    assert "stopped: the budget of 4 s is spent" in said
    assert AGAIN in said
    assert 0 < len(pd.read_parquet(place / "runs/sweep/trials")) < 150
    assert ends_calmly(place, calm)


def test_a_second_driver_ends_with_code_5_at_once_and_the_first_goes_on(place):
    with running(place, FOREVER_S) as (process, said):
        eventually(lambda: "begins" in said.read_text())
        began = time.monotonic()
        code, out, words = finished("run", "sweep.toml", cwd=place)
        assert time.monotonic() - began < 5  # its start-up, on a busy machine
        assert (code, out) == (5, "")
        assert words.startswith(f"sweeps: runs/sweep is held by process {process.pid} on ")
        assert process.poll() is None


def names(folder):
    return sorted(path.name for path in folder.glob("*.parquet"))


def rows(frame):
    return set(frame[["stage", "trial", "epoch", "val_acc"]].itertuples(index=False, name=None))


READERS = {
    "pandas": pd.read_parquet,
    "polars": lambda folder: pl.scan_parquet(folder, extra_columns="ignore").collect().to_pandas(),
    "duckdb": lambda folder: duckdb.sql(f"select * from read_parquet('{folder}/*.parquet')").pl().to_pandas(),
}


def test_other_peoples_tools_read_it_at_any_moment_and_see_nothing_but_its_final_rows(place):
    folder = place / "runs" / "sweep" / "reports"
    seen = []
    with running(place, PAUSE_S) as (process, _):
        while process.poll() is None:
            for name, read in READERS.items():
                before = names(folder)
                if not before:
                    continue
                try:
                    found = read(folder)
                except (OSError, pl.exceptions.PolarsError, duckdb.Error):
                    found = None
                if found is None or found.empty:  # between the end of a stage's parts and its file pandas sees nothing
                    assert before != names(folder), "nothing was replaced under the reader"
                    continue
                assert not found.duplicated(["stage", "trial", "epoch"]).any()
                seen.append((name, rows(found)))
        assert process.returncode == 0
    final = rows(pd.read_parquet(folder))
    assert {name for name, _ in seen} == set(READERS)
    assert all(found <= final for _, found in seen)
    assert len({len(found) for _, found in seen}) >= 3
