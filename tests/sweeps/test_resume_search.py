"""A search that is cut off decides everything once more, and ends as if nothing had happened."""

import pathlib
import tempfile
import time

import pandas as pd
import pytest
from commands import finished, started, sweep_file
from conftest import contents, run_sweep, sweep
from lives import live, live_on
from simulation.runs import FAST

from sweeps import schedule, stage
from sweeps import searching as searching_module

TRAINERS = pathlib.Path(__file__).parents[1] / "trainers_saving.py"
SPACE = {"lr": {"log": [1e-2, 1.0]}, "reg": {"log": [1e-5, 1.0]}}
TABLES = ("trials", "reports", "stages", "attempts")


def searching(trainer="searched", **keys):
    """The keys of a small search: some twenty trials of at most nine epochs, some of which diverge or fail."""
    search = {"trainings": 6, "epochs": 9, "workers": 8}
    written = sweep(space=SPACE, **keys) | {"train": f"{TRAINERS}:{trainer}", "search": search}
    del written["stage"]
    return written


@pytest.fixture
def fast():
    """A folder on a memory disk, if there is one."""
    with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as place:
        yield pathlib.Path(place)


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A search in one process that nothing happens to."""
    folder = tmp_path_factory.mktemp("calm") / "x"
    ended, _ = run_sweep(searching(), folder)
    assert ended.code == 1  # some trials fail
    return folder


def told_once(folder):
    """Whether no report is told twice, every trial has its one row, and attempts are numbered from 1 without a gap."""
    reports, trials = pd.read_parquet(folder / "reports"), pd.read_parquet(folder / "trials")
    attempts = pd.read_parquet(folder / "attempts")
    numbered = attempts.groupby(["stage", "trial"]).attempt
    return (
        not reports.duplicated(["stage", "trial", "epoch"]).any()
        and not trials.duplicated(["stage", "trial"]).any()
        and not attempts.duplicated(["stage", "trial", "attempt"]).any()
        and (numbered.max() == numbered.size()).all()
    )


def test_a_search_looks_at_many_briefly_and_takes_few_further(calm):
    trials = pd.read_parquet(calm / "trials")
    assert {"completed", "stopped", "failed"} <= set(trials.status)
    assert len(trials) >= 20
    assert trials.epochs.max() == 9
    assert (trials.epochs < 9).mean() > 0.5
    assert told_once(calm)


@pytest.mark.parametrize(
    ("trainer", "slots"), [("searched", 1), ("searched", 3), ("searched", 11), ("searched_plain", 2)]
)
def test_the_bytes_do_not_depend_on_backend_slots_and_checkpoints(calm, tmp_path, trainer, slots):
    run_sweep(searching(trainer), tmp_path / "x", backend="local", slots=slots)
    assert contents(tmp_path / "x") == contents(calm)
    assert told_once(tmp_path / "x")


def test_a_finished_search_run_again_changes_nothing(calm):
    before = contents(calm, TABLES)
    assert run_sweep(searching(), calm)[0].code == 1
    assert contents(calm, TABLES) == before


@pytest.mark.parametrize(("trainer", "seed"), [("searched", 0), ("searched", 1), ("searched_plain", 2)])
def test_interrupted_again_and_again_it_ends_with_the_same_bytes(calm, fast, monkeypatch, trainer, seed):
    monkeypatch.setattr(stage, "FLUSH_S", 0.0)
    assert live_on(searching(trainer), fast / "x", seed, most=9) > 3
    assert contents(fast / "x") == contents(calm)
    assert told_once(fast / "x")


@pytest.mark.slow
def test_interrupted_at_many_moments_it_ends_with_the_same_bytes(calm, fast):
    for looks in range(0, 1000, 3):
        done = live(searching(), fast / str(looks), looks)
        live(searching(), fast / str(looks))
        assert contents(fast / str(looks)) == contents(calm)
        assert told_once(fast / str(looks))
        if done:
            break
    assert looks > 20


@pytest.mark.parametrize("kept", [0, 1])
def test_a_trial_whose_checkpoint_was_not_kept_goes_on_all_the_same(calm, tmp_path, monkeypatch, kept):
    monkeypatch.setattr(stage, "FLUSH_S", 0.0)
    monkeypatch.setattr(searching_module, "_OPEN", kept)
    monkeypatch.setenv("SIDE_LOG", str(tmp_path / "side"))
    run_sweep(searching(), tmp_path / "x")
    assert contents(tmp_path / "x") == contents(calm)
    trained = (tmp_path / "side").read_text().splitlines()
    assert len(trained) > len(set(trained)), "some were trained again from their start"


def test_a_search_keeps_no_more_checkpoints_than_trials_that_may_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "FLUSH_S", 0.0)
    monkeypatch.setattr(schedule, "BATCH_S", 0.0)  # one trial a batch
    monkeypatch.setattr(searching_module, "_OPEN", 3)
    written = searching("counting") | {"space": {"lr": {"log": [1e-3, 1e-1]}}}
    run_sweep(written, tmp_path / "x")
    there = pd.read_parquet(tmp_path / "x/reports").there
    newest = pd.read_parquet(tmp_path / "x/stages").trials.max()
    assert newest < len(pd.read_parquet(tmp_path / "x/trials")) / 2
    workers = written["search"]["workers"]
    assert there.max() <= 3 + newest + workers + 1  # and those that train on the virtual clock, and the best
    assert len(list((tmp_path / "x/checkpoints").iterdir())) == 1


@pytest.mark.slow
def test_killed_again_and_again_the_real_command_ends_with_the_same_bytes(calm, tmp_path):
    sweep_file(tmp_path, searching())
    folder = tmp_path / "runs" / "sweep"

    def newest():
        return max((int(path.stem[-5:]) for path in folder.glob("trials/*.part-*")), default=-1)

    for _ in range(3):
        with started("run", "sweep.toml", "--slots", 2, cwd=tmp_path, PAUSE_S=0.2) as process:
            before = newest()
            while newest() == before and process.poll() is None:
                time.sleep(0.002)
            process.kill()
        assert process.returncode == -9
    code, _, said = finished("run", "sweep.toml", "--slots", 2, cwd=tmp_path)
    assert code == 1, said
    assert contents(folder) == contents(calm)
    assert told_once(folder)


@pytest.mark.slow
def test_a_spent_budget_ends_it_and_the_same_command_goes_on(calm, tmp_path):
    sweep_file(tmp_path, searching())
    code, _, said = finished("run", "sweep.toml", "--set", "run.budget=1s", cwd=tmp_path, PAUSE_S=0.1)
    assert code == 3, said
    code, _, said = finished("run", "sweep.toml", cwd=tmp_path)
    assert code == 1, said
    assert contents(tmp_path / "runs" / "sweep") == contents(calm)


@pytest.mark.slow
def test_a_worker_that_dies_while_a_trial_goes_on_costs_one_attempt(calm, tmp_path, monkeypatch):
    monkeypatch.setenv("SIDE_LOG", str(tmp_path / "side"))
    monkeypatch.setattr(stage, "FLUSH_S", 0.0)
    run_sweep(searching("searched_dying", run={"retries": 9}), tmp_path / "x", backend="local", slots=2)
    assert contents(tmp_path / "x") == contents(calm)
    assert told_once(tmp_path / "x")
    assert (pd.read_parquet(tmp_path / "x/attempts").outcome == "lost").sum() > 3
