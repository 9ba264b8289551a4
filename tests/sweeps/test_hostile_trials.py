"""Trials that do to their process what they should not: each costs its own trial, and leaves nothing behind."""

import pathlib
import uuid

import numpy as np
import pandas as pd
import pytest
from commands import eventually
from conftest import contents, run_sweep, sweep

from workers.console import LIMIT

TRAINERS = pathlib.Path(__file__).parents[1] / "trainers_hostile.py"
HARMLESS = ("moves", "reseeds", "prints", "floods", "forks", "leaves a daemon", "leaves a thread", "nothing")
ENDS = {
    "raises": ("failed", "Unpicklable: <its __str__ failed>"),
    "exits": ("failed", "SystemExit: 3"),
    "recurses": ("failed", "RecursionError: maximum recursion depth exceeded"),
    "hangs up": ("lost", "the worker process exited with code"),
    "prints for ever": ("timeout", "ran longer than 3 s without a report: killed"),
}
ALL = [deed for pair in zip(HARMLESS, ENDS, strict=False) for deed in pair]
ALL += [deed for deed in (*HARMLESS, *ENDS) if deed not in ALL]


def written():
    keys = sweep(
        space={"deed": ALL},
        stages=[{"name": "one", "trials": len(ALL), "epochs": 2, "method": "grid"}],
        stop={"timeout": "3s"},
        run={"retries": 1},
        metric="loss",
        mode="min",
    )
    return keys | {"train": f"{TRAINERS}:hostile"}


def marked(mark):
    """Command lines of the processes that carry a mark in their environment, without our own."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"MARK={mark}".encode() in path.read_bytes():
                found.append(path.with_name("cmdline").read_bytes())
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The run of one worker, as frames, and the mark of all its processes."""
    folder = tmp_path_factory.mktemp("hostile") / "x"
    mark = uuid.uuid4().hex
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MARK", mark)
        ended, _ = run_sweep(written(), folder, backend="local", slots=1)
    assert ended.code == 1  # done, and some trials failed
    return folder, *(pd.read_parquet(folder / table) for table in ("trials", "reports", "attempts")), mark


pytestmark = pytest.mark.slow


def test_each_deed_costs_its_own_trial_and_is_told_in_one_line(hostile):
    _, trials, _, attempts, _ = hostile
    assert len(trials) == len(ALL)
    for row in trials.itertuples():
        if row.deed in HARMLESS:
            assert (row.status, row.epochs) == ("completed", 2), row
        else:
            status, reason = ENDS[row.deed]
            assert row.status == status, row
            assert row.reason.startswith(reason), row
            assert "\n" not in row.reason
            assert row.epochs == 1
        tried = attempts[attempts.trial == row.trial]
        assert len(tried) == (2 if row.status in ("lost", "timeout") else 1)


def test_every_trial_finds_the_process_as_if_it_were_the_first(hostile):
    _, trials, reports, _, _ = hostile
    first = reports[reports.epoch == 1]
    assert (first.at_home == 1).all()
    expected = [np.random.RandomState(seed).random() for seed in trials.seed]
    assert first.draw.tolist() == expected


def test_what_a_trial_prints_is_kept_within_bounds(hostile):
    folder, trials, *_ = hostile
    sizes = {path.name: path.stat().st_size for path in (folder / "logs").iterdir()}
    assert sizes
    assert max(sizes.values()) <= 2.1 * LIMIT  # of two attempts
    number = int(trials[trials.deed == "prints"].trial.iloc[0])
    assert (folder / "logs" / f"one-{number}.log").read_text().endswith("[cut: this trial printed too much]\n")


def test_no_process_is_left_behind_also_none_that_left_its_group(hostile):
    *_, mark = hostile
    eventually(lambda: not marked(mark), within_s=5)  # the killed are on their way


def test_a_trial_that_moves_does_not_move_the_results_of_a_run_in_the_same_process(tmp_path, monkeypatch):
    keys = sweep(stages=[{"name": "one", "trials": 6, "epochs": 1}]) | {"train": f"{TRAINERS}:moves_out"}
    monkeypatch.chdir(tmp_path)
    run_sweep(keys, pathlib.Path("runs/x"))
    assert pathlib.Path.cwd() == tmp_path
    assert set(contents(tmp_path / "runs" / "x")) == {f"{t}/000-one.parquet" for t in ("trials", "reports", "stages")}


@pytest.mark.parametrize("backend", ["inline", "local"])
def test_a_metric_may_be_called_anything_and_its_column_is_a_name_that_can_be_read(folder, backend):
    stages = [{"name": "one", "trials": 3, "epochs": 1}]
    ended, _ = run_sweep(sweep(stages=stages) | {"train": f"{TRAINERS}:names"}, folder, backend=backend)
    assert ended.code == 0
    table = pd.read_parquet(folder / "reports")
    assert all(name.isprintable() for name in table.columns)
    odd = ["", "a\\x1b[2Jb", "nul\\x00", "r\\u202etl", "new\\nline", "half\\ud800", "\\u2028", "x" * 5_000, "7", "None"]
    assert table[odd].to_numpy().tolist() == [list(range(10))] * 3
