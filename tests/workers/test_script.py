"""A training script as a trainer, run as any other one: what it prints, how it ends, what it leaves running."""

import os
import pathlib
import signal

import pandas as pd
import pytest
from commands import eventually, finished, started, sweep_file
from conftest import contents, run_sweep, sweep

import sweeps
from workers.backend import BackendError
from workers.luggage import portable, unpacked
from workers.messages import Function, Work
from workers.script import report_of

SCRIPT = pathlib.Path(__file__).parent.parent / "trainers_script.py"
ONE = [{"name": "one", "trials": 4, "epochs": 3}]


def scripted(options="", **keys):
    """A sweep of the script."""
    train = f"{SCRIPT} --lr {{lr}} --epochs {{epochs}} --seed {{seed}} {options}"
    return sweep(stages=ONE, **keys) | {"train": train}


def running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pids(folder):
    return [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]


@pytest.mark.parametrize(
    ("line", "metrics"),
    [
        ('{"loss": 1.5, "epoch": 1}\n', {"loss": 1.5, "epoch": 1}),
        ('  {"loss": 2, "note": "x"}', {"loss": 2, "note": "x"}),
        ('{"level": "info", "ok": true}', None),
        ("[1.0]", None),
        ("1.0", None),
        ('loss {"loss": 1.0}', None),
        ('{"loss": 1.0', None),
        ("{}", None),
        ("", None),
    ],
)
def test_a_report_is_a_line_of_json_with_a_number_in_it(line, metrics):
    assert report_of(line) == metrics


def test_what_is_no_number_to_json_is_one_to_python():
    assert str(report_of('{"loss": NaN, "norm": -Infinity}')) == "{'loss': nan, 'norm': -inf}"


def test_lines_of_json_become_reports_and_the_rest_the_log(folder):
    ended, _ = run_sweep(scripted(), folder, backend="local")
    assert ended.code == 0
    trials, reports = (pd.read_parquet(folder / name) for name in ("trials", "reports"))
    assert (trials.status == "completed").all()
    assert (trials.val_acc == trials.lr).all()  # to the last bit
    assert (trials.seen == trials.seed).all()
    assert reports.loss.tolist() == [1.0, 1 / 2, 1 / 3] * 4
    for trial in range(4):
        lines = (folder / "logs" / f"one-{trial}.log").read_text().splitlines()
        assert sorted(lines) == sorted(["begins", "a warning", *['{"level": "info"}'] * 3])


def test_the_bytes_do_not_depend_on_where_it_runs(tmp_path):
    for backend in ("inline", "local"):
        run_sweep(scripted(), tmp_path / backend, backend=backend)
    assert contents(tmp_path / "inline") == contents(tmp_path / "local")


def test_a_script_that_fails_costs_its_trial_and_is_quoted(folder):
    ended, _ = run_sweep(scripted("--mood fails"), folder, backend="local")
    trials, attempts = (pd.read_parquet(folder / name) for name in ("trials", "attempts"))
    assert ended.code == 1
    assert set(trials.status) == {"failed"}
    assert (trials.epochs == 1).all()
    said = f"ScriptFailed: trainers_script.py exited with code 1: ValueError: lr {trials.lr[0]} is too much for me"
    assert trials.reason[0] == said
    assert 'raise ValueError(f"lr {options.lr} is too much for me")' in attempts.traceback[0]
    assert "workers/script.py" not in attempts.traceback[0]


def test_what_a_stopped_trial_has_started_is_killed(folder, tmp_path):
    run_sweep(scripted(f"--mood diverges --folder {tmp_path}"), folder, backend="local")
    trials = pd.read_parquet(folder / "trials")
    assert set(trials.reason) == {"loss is nan at epoch 2"}
    assert len(pids(tmp_path)) >= 4 * 2
    assert not any(map(running, pids(tmp_path)))


def test_a_script_that_hangs_is_killed_with_its_trial(folder, tmp_path):
    written = scripted(f"--mood hangs --folder {tmp_path}", stop={"timeout": "1s"}, run={"retries": 0})
    run_sweep(written, folder, backend="local")
    assert set(pd.read_parquet(folder / "trials").status) == {"timeout"}
    assert len(pids(tmp_path)) == 4 * 2
    eventually(lambda: not any(map(running, pids(tmp_path))))


def test_a_script_does_not_outlive_a_driver_that_is_killed(tmp_path):
    marks = tmp_path / "pids"
    marks.mkdir()
    path = sweep_file(tmp_path, scripted(f"--mood hangs --folder {marks}"))
    with started("run", path, cwd=tmp_path) as driver:
        scripts = {eventually(lambda: pids(marks) and min(pids(marks)))}
        driver.send_signal(signal.SIGKILL)
    eventually(lambda: not any(map(running, scripts)))
    for pid in filter(running, pids(marks)):  # what the script itself leaves behind
        os.kill(pid, signal.SIGKILL)


def test_a_script_that_has_reported_its_last_epoch_may_save_what_it_has(folder, tmp_path):
    run_sweep(scripted(f"--mood saves --folder {tmp_path}"), folder, backend="local")
    assert set(pd.read_parquet(folder / "trials").status) == {"completed"}
    assert [path.stat().st_size for path in tmp_path.glob("*.saved")] == [100_000] * 4


def test_an_inactive_parameter_has_its_default(folder):
    space = {"lr": 1e-3, "update": ["sgd", "momentum"], "beta": {"uniform": [0.8, 0.9], "when": {"update": "momentum"}}}
    train = f"{SCRIPT} --lr {{lr}} --beta {{beta=0.5}} --name {{update}}"
    run_sweep(sweep(space=space, stages=ONE) | {"train": train}, folder)
    trials = pd.read_parquet(folder / "trials")
    assert {"sgd", "momentum"} == set(trials["update"])
    reports = pd.read_parquet(folder / "reports").groupby("trial").beta.first()
    assert (reports[trials["update"] == "sgd"] == 0.5).all()
    assert (reports[trials["update"] == "momentum"] == trials.beta.dropna()).all()


@pytest.mark.parametrize(
    ("train", "words"),
    [
        ("absent.py --lr {lr}", "there is no file"),
        ("trainers_script.py --lr {lrr}", "trainers_script.py() has no parameter 'lr'; did you mean 'lrr'?"),
        ("trainers_script.py --lr {lr} --reg {reg}", "trainers_script.py() needs 'reg'"),
        ("trainers_script.py --lr '{lr}", "cannot be read as a command"),
        ("trainers_script.py --lr {lr:.3f}", "write a name in braces"),
    ],
)
def test_a_mistake_in_the_command_is_one_line_before_anything_runs(tmp_path, train, words):
    (tmp_path / SCRIPT.name).symlink_to(SCRIPT)
    path = sweep_file(tmp_path, sweep() | {"train": train})
    code, out, err = finished("plan", path, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert words in err
    assert "Traceback" not in err


def test_a_script_is_found_beside_its_sweep_file(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "train.py").write_text("import sys; print('{\"val_acc\": ' + sys.argv[1] + '}')")
    path = sweep_file(tmp_path / "inner", sweep(stages=ONE) | {"train": "train.py {lr}"})
    code, _, err = finished("run", path, cwd=tmp_path)
    assert code == 0, err
    assert len(pd.read_parquet(tmp_path / "runs" / "sweep" / "trials")) == 4


def test_a_script_that_a_later_stage_continues_is_trained_again_and_adds_its_new_epochs(folder):
    stages = [{"name": "coarse", "trials": 4, "epochs": 2}, {"name": "fine", "trials": 2, "epochs": 4, "continue": 1}]
    written = scripted("--name {context.name}") | {"stage": stages}
    ended, said = run_sweep(written, folder, backend="local")
    assert ended.code == 0, said
    trials = pd.read_parquet(folder / "trials").query("stage == 'coarse'").set_index("trial")
    (continued,) = trials.index[trials.epochs == 4]
    reports = pd.read_parquet(folder / "reports").query("stage == 'coarse' and trial == @continued")
    assert reports.epoch.tolist() == [1, 2, 3, 4]
    assert reports.loss.tolist() == [1.0, 1 / 2, 1 / 3, 1 / 4]
    assert (folder / "logs" / f"coarse-{continued}.log").read_text().count(f"begins x-coarse-{continued}") == 2


def test_the_function_takes_a_command_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = sweeps.run(
        f"{SCRIPT} --lr {{lr}}", space={"lr": [0.1, 0.2]}, stages=ONE, metric="val_acc", mode="max", backend="inline"
    )
    assert result.folder.name == "trainers_script"
    assert result.best_params == {"lr": 0.2}


def test_a_command_is_named_from_the_root_of_what_travels(tmp_path):
    work = Work(Function(f"{tmp_path}/code/train.py '{{lr}}'"), None, "loss", ("lr",), (), None, 1)
    packed = portable(work, tmp_path)
    assert packed.train.source == "code/train.py '{lr}'"
    assert unpacked(packed, pathlib.Path("/node")).train.source == "/node/code/train.py '{lr}'"
    with pytest.raises(BackendError, match="lies outside of"):
        portable(work, tmp_path / "elsewhere")
