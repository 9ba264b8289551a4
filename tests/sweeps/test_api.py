"""`sweeps.run(...)` from a script, a notebook and a test, and what it gives back."""

import os
import subprocess
import sys

import nbclient
import nbformat
import numpy as np
import pandas as pd
import pytest
from conftest import TRAINERS, contents, run_sweep, sweep
from trainers import bowl, failing, load_number, with_data

import analysis
import sweeps
from sweeps.errors import UsageError

SPACE = {"lr": {"log": [1e-5, 1e-2]}}
STAGES = [{"name": "coarse", "trials": 12, "epochs": 2}, {"name": "fine", "trials": 6, "epochs": 3}]

# No guard, no import of ours but `sweeps`, a function and a global that no worker could import.
SCRIPT = f"""
import sys
import sweeps

SCALE = 10

def train(lr, *, epochs):
    for epoch in range(1, epochs + 1):
        yield {{"loss": 1.0, "val_acc": SCALE * lr * epoch}}

result = sweeps.run(train, space={SPACE}, stages={STAGES}, metric="val_acc", mode="max", slots=2)
"""


@pytest.fixture(autouse=True)
def place(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def again(train=bowl, **keys):
    """A small sweep in this process."""
    keys = {"space": SPACE, "stages": STAGES, "metric": "val_acc", "mode": "max", "backend": "inline"} | keys
    return sweeps.run(train, **keys)


def test_a_result_gives_the_best_config_ready_to_train_with(tmp_path):
    result = again()
    assert result.code == 0
    trials = pd.read_parquet(result.folder / "trials")
    assert result.best_params == {"lr": trials.lr[trials.val_acc.idxmax()]}
    assert list(bowl(**result.best_params, epochs=2, seed=0))
    assert result.folder.resolve() == tmp_path / "runs" / "bowl"


def test_a_result_shows_what_the_command_says_last():
    result = again()
    lines = repr(result).splitlines()
    assert lines[0] == "coarse: 12 completed of 12 trials, 2 epochs each"
    assert lines[4].startswith("  val_acc: 0.")
    assert "table    sweeps best runs/bowl -k 10" in lines
    assert result._repr_html_().startswith("<pre>coarse: 12 completed")


def test_the_same_call_again_runs_nothing_and_gives_the_same():
    first = again()
    before = contents(first.folder, ("trials", "reports", "stages", "attempts"))
    assert again() == first
    assert contents(first.folder, ("trials", "reports", "stages", "attempts")) == before


def test_a_function_and_the_file_that_it_is_in_give_the_same_bytes(tmp_path):
    run_sweep(sweep(stages=STAGES), tmp_path / "file")
    for backend in ("inline", "local"):
        assert contents(again(backend=backend, name=backend).folder) == contents(tmp_path / "file")
    assert contents(again(f"{TRAINERS}:bowl", name="words").folder) == contents(tmp_path / "file")


def test_setup_is_a_function_too():
    result = again(with_data, setup=load_number)
    assert (pd.read_parquet(result.folder / "trials").val_acc == 42.0).all()


def test_a_closure_takes_with_it_what_it_closes_over():
    shift = 5.0

    def train(lr):
        return {"val_acc": lr + shift}

    result = again(train, backend="local", name="closure")
    assert (pd.read_parquet(result.folder / "trials").val_acc >= 5.0).all()


def test_values_of_python_are_taken_as_the_sweep_files_are():
    space = {"lr": {"log": (1e-5, 1e-2)}, "reg": [0.0, 0.5], "extra": ({"a": (1, 2)}, {"a": (3,)})}

    def train(lr, reg, extra):
        return {"val_acc": lr + reg + sum(extra["a"])}

    first = again(train, space=space, name="x")
    assert first.best_params["extra"] == {"a": [1, 2]} or first.best_params["extra"] == {"a": [3]}
    assert again(train, space=space, name="x").best_params == first.best_params


def test_values_of_numpy_are_taken_as_pythons_own():
    def train(lr, width, act, when_on):
        return {"val_acc": lr + width}

    def called(name, whole, real, word, truth):
        space = {"lr": {"log": [real(0.25), real(0.5)]}, "width": [whole(2), whole(3)], "act": word("tanh")}
        space["when_on"] = {"choice": [truth(True), truth(False)], "weights": [whole(1), real(3.0)]}
        stages = [{"name": "one", "trials": whole(6), "epochs": whole(1), "include": [{"width": whole(3)}]}]
        return again(train, space=space, stages=stages, seed=whole(5), stop={"blowup": real(4.0)}, name=name).folder

    theirs = called("numpy", np.int32, np.float32, np.str_, np.bool_)
    ours = called("python", int, float, str, bool)
    assert contents(theirs) == contents(ours)
    assert (theirs / "sweep.toml").read_text() == (ours / "sweep.toml").read_text()


def test_a_search_is_given_its_budget_in_the_place_of_stages(tmp_path):
    search = {"trainings": 4, "epochs": 3}
    result = again(stages=(), search=search)
    written = sweep(space=SPACE) | {"search": search}
    del written["stage"]
    run_sweep(written, tmp_path / "file")
    assert contents(result.folder) == contents(tmp_path / "file")
    assert repr(result).startswith("search: ")
    trials = pd.read_parquet(result.folder / "trials")
    assert trials.epochs.sum() <= 4 * 3
    assert result.best_params == {"lr": trials.lr[trials.val_acc.idxmax()]}
    assert again(stages=(), search=search) == result


def test_failed_trials_are_told_by_the_code_and_the_words():
    result = again(failing)
    assert result.code == 1
    assert "x ValueError: lr" in repr(result)


def test_a_spent_budget_is_told_by_the_code():
    assert again(budget=1e-9).code == 3
    assert again(budget=1e-9).best_params == {}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"space": {"lrr": 0.1}}, "did you mean 'lr'"),
        ({"mode": "up"}, 'mode must be "max" or "min"'),
        ({"backend": "cloud"}, "unknown backend 'cloud'"),
        ({"slots": 0}, "slots"),
        ({"stages": []}, "there is no stage"),
        ({"search": {"trainings": 4, "epochs": 3}}, "leave out"),
        ({"stages": [], "search": {"epochs": 3}}, "trainings must be a number from 1 to 10,000"),
        ({"stages": [], "search": {"trainings": 10_001, "epochs": 3}}, "trainings must be a number from 1 to 10,000"),
        ({"stages": [], "search": {"trainings": 4, "epochs": 2**62}}, "epochs must be from 1 to 1000000"),
        ({"stages": [], "search": {"trainings": 4, "epochs": 3, "workers": 0}}, "workers must be from 1 to 10000"),
        ({"stop": {"blowup": 0.5}}, "blowup must be a number above 1"),
    ],
)
def test_a_mistake_is_one_error_in_words_and_leaves_nothing_behind(tmp_path, keys, words):
    with pytest.raises(sweeps.errors.SweepError, match=words):
        again(**keys)
    assert not (tmp_path / "runs").exists()


def test_other_settings_for_the_same_name_are_refused():
    again()
    with pytest.raises(UsageError, match="seed was 0, is 1"):
        again(seed=1)


def test_a_script_needs_no_guard(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT + "print(result)\nprint(result.best_params)\nsys.exit(result.code)\n")
    shown = []
    for _ in range(2):
        ended = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, timeout=120)
        assert ended.returncode == 0, ended.stderr
        shown.append(ended.stdout)
    assert shown[0] == shown[1]
    assert shown[0].startswith("coarse: 12 completed of 12 trials")
    attempts = pd.read_parquet(tmp_path / "runs" / "train" / "attempts")
    assert len(attempts) == 18
    assert os.getpid() not in set(attempts.pid)


@pytest.mark.slow
def test_a_notebook_runs_a_sweep_of_a_function_of_its_own_and_shows_the_result(tmp_path):
    cells = [nbformat.v4.new_code_cell(SCRIPT + "result")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for output in notebook.cells[0].outputs if output.output_type == "execute_result"]
    assert shown[0].data["text/plain"].startswith("coarse: 12 completed of 12 trials")
    assert shown[0].data["text/html"].startswith("<pre>")


def test_load_gives_the_four_tables_as_frames():
    result = again()
    frames = analysis.load(result.folder)
    assert (len(frames.trials), len(frames.reports), len(frames.stages), len(frames.attempts)) == (18, 42, 2, 18)
    assert list(frames.trials.columns[:7]) == ["stage", "trial", "status", "reason", "epochs", "best_epoch", "seed"]
    assert frames.trials.trial.tolist() == [*range(12), *range(6)]
    for table in ("trials", "reports", "stages", "attempts"):
        pd.testing.assert_frame_equal(getattr(frames, table), pd.read_parquet(result.folder / table))


def test_load_gives_empty_frames_with_their_columns_before_the_first_trial_ended():
    frames = analysis.load(again(budget=1e-9).folder)
    assert list(frames.trials.columns) == ["stage", "trial", "status", "reason", "epochs", "best_epoch", "seed", "lr"]
    assert list(frames.reports.columns) == ["stage", "trial", "epoch"]
    assert len(frames.trials) == len(frames.reports) == len(frames.attempts) == 0


def test_load_of_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        analysis.load(tmp_path)
