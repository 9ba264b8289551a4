"""The command as a person or a script meets it: data and words, exit codes, mistakes."""

import json
import pathlib
import re

import pytest
from commands import finished, paced, started, sweep_file
from conftest import run_sweep, sweep

from sweeps.summary import Ranked

SMALL = [{"name": "coarse", "trials": 12, "epochs": 2}, {"name": "fine", "trials": 6, "epochs": 3}]
RAISING = paced("raising", stages=[{"name": "one", "trials": 20, "epochs": 2}])


@pytest.fixture
def written(tmp_path):
    """A sweep file that runs at once, in the folder of the call."""
    return sweep_file(tmp_path, sweep(stages=SMALL))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run that is done; to be read only."""
    folder = tmp_path_factory.mktemp("done") / "x"
    run_sweep(sweep(stages=SMALL), folder)
    return folder


@pytest.fixture
def empty(folder):
    """A run that was stopped before anything was stored."""
    ended, _ = run_sweep(sweep(run={"budget": 1e-9}), folder)
    assert ended.code == 3
    return folder


def test_a_run_says_how_it_goes_and_its_results_are_data(call, written):
    ran = call("run", written, "--backend", "inline")
    assert (ran.code, ran.out) == (0, "")
    assert "coarse 1/2 begins: 12 trials" in ran.err
    for arguments in (
        ["best", "runs/sweep"],
        ["status", "runs/sweep"],
        ["show", "runs/sweep", "fine/3"],
        ["plan", written],
    ):
        shown = call(*arguments)
        assert shown.code == 0
        assert shown.out.endswith("\n")
        assert shown.err == ""


def test_the_last_words_tell_counts_the_best_as_cs231n_prints_them_and_what_to_do_next(call, written):
    words = call("run", written, "--backend", "inline", "--name", "mine").err.splitlines()
    start = words.index("coarse: 12 completed of 12 trials, 2 epochs each")
    assert words[start + 1 : start + 4] == ["fine: 6 completed of 6 trials, 3 epochs each", "", "best 5:"]
    for line in words[start + 4 : start + 9]:
        assert re.fullmatch(r"  val_acc: 0\.\d{6}, lr: \d\.\d{6}e-0\d, \(\d+ / (12|6)\)  (coarse|fine), epoch \d", line)
    assert words[start + 9 : start + 12] == ["", "results  runs/mine", "table    sweeps best runs/mine -k 10"]
    assert re.fullmatch(r"curve    sweeps show runs/mine (coarse|fine)/\d+", words[-1])
    assert call(*words[-1].split()[2:]).code == 0


def test_a_trial_is_one_line_that_can_be_compared_with_the_lectures():
    config = {"lr": 4.296863e-04, "reg": 6.642555e-01}
    line = "val_acc: 0.482000, lr: 4.296863e-04, reg: 6.642555e-01, (9 / 100)"
    assert Ranked(0.482, "coarse", 9, 100, 5, config).line("val_acc") == line


def test_best_is_in_order_and_as_long_as_asked(call, done):
    lines = call("best", done, "-k", 7).out.splitlines()
    values = [float(line.split()[1].rstrip(",")) for line in lines]
    assert len(values) == 7
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["best"], {"metric", "best"}),
        (["status"], {"run", "stages", "done", "best"}),
        (["show", "coarse/3"], {"stage", "trial", "status", "config", "curves", "attempts", "epochs", "seed"}),
    ],
)
def test_json_is_one_object_and_nothing_else(call, done, arguments, keys):
    shown = call(arguments[0], done, *arguments[1:], "--json")
    assert keys <= set(json.loads(shown.out))
    assert shown.err == ""


def test_json_and_words_say_the_same(call, done):
    found = json.loads(call("best", done, "-k", 3, "--json").out)["best"]
    for each, line in zip(found, call("best", done, "-k", 3).out.splitlines(), strict=True):
        assert line.startswith(f"val_acc: {each['val_acc']:.6f}, lr: {each['config']['lr']:e}, ({each['trial']} / ")
        assert line.endswith(f"  {each['stage']}, epoch {each['epoch']}")
    status = json.loads(call("status", done, "--json").out)
    assert status["done"] is True
    assert [stage["completed"] for stage in status["stages"]] == [12, 6]
    assert status["best"]["value"] == found[0]["val_acc"]


def test_what_is_not_finite_is_null_in_json(call, folder):
    run_sweep(sweep("diverging", stages=[{"name": "one", "trials": 30, "epochs": 3}]), folder)
    shown = [json.loads(call("show", folder, trial, "--json").out, parse_constant=pytest.fail) for trial in range(30)]
    assert [1.0, None] in [each["curves"]["loss"] for each in shown]


def test_a_plan_tells_what_would_run_and_what_is_done_and_runs_nothing(call, written, tmp_path):
    before = json.loads(call("plan", written, "--set", "stage.coarse.trials=20", "--json").out)
    assert [(s["trials"], s["done"]) for s in before["stages"]] == [(20, 0), (6, 0)]
    assert before["epochs"] == 20 * 2 + 6 * 3
    assert not (tmp_path / "runs").exists()
    call("run", written, "--backend", "inline")
    assert [s["done"] for s in json.loads(call("plan", written, "--json").out)["stages"]] == [12, 6]
    assert "coarse: 12 trials of 2 epochs" in call("plan", written).out
    assert "6 trials of 3 epochs, random, in the region fitted on 'coarse'" in call("plan", written).out
    modelled = call("plan", written, "--set", "stage.fine.method=model").out
    assert "6 trials of 3 epochs, model, from the results of all stages before it" in modelled


def test_the_plan_of_a_search_names_its_looks_and_its_virtual_workers(call, tmp_path):
    written = sweep() | {"search": {"trainings": 40, "epochs": 9}}
    del written["stage"]
    file = sweep_file(tmp_path, written)
    looks = call("plan", file, "--set", "search.trainings=20").out
    assert "looked at after 1, 3, 9 epochs: from each, the best third go on from their checkpoints" in looks
    assert "decided for 8 virtual workers: 2 slots busy for " in looks
    whole = call("plan", file, "--set", "search.trainings=240").out
    assert "each is a full training" in whole
    assert "decided for 24 virtual workers: " in whole
    assert "more slots would be busy" not in whole
    few = call("plan", file, "--set", "search.trainings=5", "--set", "run.slots=6").out
    assert "decided for 2 virtual workers: 6 slots busy for " in few
    assert "more slots would be busy with `workers = 6`, which learn later from each other" in few


def test_the_plans_first_configs_are_those_that_run(call, written):
    first = json.loads(call("plan", written, "--seed", 7, "--json").out)["first"]
    call("run", written, "--seed", 7, "--backend", "inline")
    ran = [json.loads(call("show", "runs/sweep", f"coarse/{i}", "--json").out)["config"] for i in range(len(first))]
    assert ran == first


def test_overrides_name_and_place_are_taken_from_the_command_line(call, written):
    options = ["--set", "stage.coarse.trials=3", "--set", "stage.fine.trials=2", "--out", "there", "--name", "other"]
    assert call("run", written, "--backend", "inline", *options).code == 0
    status = json.loads(call("status", "there/other", "--json").out)
    assert [stage["completed"] for stage in status["stages"]] == [3, 2]


@pytest.mark.parametrize(
    ("changes", "arguments", "words"),
    [
        ({}, ["nothing.toml"], "there is no sweep file nothing.toml; `sweeps init` writes one"),
        ({}, ["."], "cannot read ."),
        ({"space": {"lrr": {"log": [1e-5, 1e-2]}}}, [], "bowl() has no parameter 'lrr'; did you mean 'lr'?"),
        ({"space": {"reg": 0.0}}, [], "bowl() needs 'lr'"),
        ({"metrc": "val_acc"}, [], "unknown key 'metrc'; did you mean 'metric'?"),
        ({"stop": {"blow_up": 3}}, [], "[stop]: unknown key 'blow_up'; did you mean 'blowup'?"),
        ({"mode": "up"}, [], 'mode must be "max" or "min"'),
        ({"train": "train.py"}, [], "names no function"),
        ({"train": "nothing.py:train"}, [], "there is no file"),
        ({}, ["--set", "stage.corse.trials=3"], "there is no stage 'corse'; did you mean 'coarse'?"),
        ({}, ["--set", "seed"], "write key=value"),
        ({}, ["--set", "stage.coarse.trials=many"], "trials must be a whole number, found 'many'"),
        ({}, ["--slot", "3"], "--slots"),
        ({}, ["--slots", "0"], "0 is not in the range"),
        ({}, ["--backend", "rya"], "'rya' is not one of"),
    ],
)
def test_a_mistake_is_told_in_words_before_anything_runs(call, tmp_path, changes, arguments, words):
    path = sweep_file(tmp_path, sweep() | changes)
    whole = arguments if arguments and not arguments[0].startswith("--") else [path, *arguments]
    refused = call("run", *whole)
    assert (refused.code, refused.out) == (2, "")
    assert words in refused.err
    assert "Traceback" not in refused.err
    assert not (tmp_path / "runs").exists()


def test_a_sweep_file_that_is_no_toml_and_a_trainer_that_cannot_be_imported_are_named(call, tmp_path):
    (tmp_path / "broken.toml").write_text("train = \n")
    assert "broken.toml is not TOML" in call("run", "broken.toml").err
    (tmp_path / "raises.py").write_text("def early():\n    raise OSError('no data here')\n\nearly()\n")
    refused = call("run", sweep_file(tmp_path, sweep() | {"train": "raises.py:train"}))
    assert refused.code == 2
    assert "raises.py" in refused.err
    assert "OSError: no data here" in refused.err
    assert "training.py" not in refused.err  # the user's own frames only


@pytest.mark.parametrize("verb", [["status"], ["best"], ["show", "coarse/1"]])
def test_a_folder_without_a_run_is_a_mistake(call, tmp_path, verb):
    refused = call(verb[0], tmp_path, *verb[1:])
    assert refused.code == 2
    assert f"{tmp_path} holds no run" in refused.err


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        ("corse/3", "did you mean 'coarse'?"),
        ("coarse", "write coarse/0"),
        ("7", "write coarse/7"),
        ("fine/x", "write fine/0"),
        ("coarse/-1", "write coarse/0"),
        ("coarse/12", "is not stored"),
        (f"coarse/{10**19}", "names no trial"),
        (f"coarse/{'9' * 5000}", "names no trial"),
    ],
)
def test_a_trial_that_is_not_there_is_a_mistake(call, done, trial, words):
    refused = call("show", done, "--", trial)
    assert (refused.code, refused.out) == (2, "")
    assert words in refused.err


def test_a_run_in_which_nothing_is_stored_yet_can_be_looked_at(call, empty):
    assert json.loads(call("status", empty, "--json").out)["done"] is False
    assert json.loads(call("best", empty, "--json").out)["best"] == []
    looked = call("best", empty)
    assert (looked.code, looked.out, looked.err) == (0, "", "no trial has reported a finite val_acc yet\n")
    assert "is not stored: it has not ended" in call("show", empty, "coarse/0").err
    assert call("plan", sweep_file(pathlib.Path(), sweep()), "--name", "x").code == 0


def test_a_run_that_was_stopped_before_anything_was_stored_says_how_to_go_on(call, written):
    stopped = call("run", written, "--backend", "inline", "--set", "run.budget=0.000001s")
    assert stopped.code == 3
    assert "coarse: not begun of 12 trials" in stopped.err
    assert stopped.err.endswith("go on    the same command again runs what is missing\n")


def test_failures_are_told_once_with_their_number_and_the_users_own_traceback(call, tmp_path):
    path = sweep_file(tmp_path, RAISING)
    ran = call("run", path, "--backend", "inline")
    assert ran.code == 1
    counts = re.search(r"one: (\d+) completed, (\d+) failed of 20 trials", ran.err)
    closing = ran.err[counts.end() :]
    assert re.findall(r"(\d+) x ValueError: ", closing) == [counts[2]]
    assert closing.count("Traceback (most recent call last):") == 1
    assert "in raising" in closing
    assert "runner.py" not in closing
    assert call("run", path, "--backend", "inline").code == 1  # done, and still so


def test_what_a_trainer_says_cannot_steer_a_terminal(call, tmp_path):
    path = sweep_file(tmp_path, RAISING)
    said = [call("run", path).err, call("run", path).err, call("status", "runs/sweep").out]
    shown = [call("show", "runs/sweep", trial).out for trial in range(20)]
    assert all("too much" in text for text in said[:2])
    assert any("too much" in text for text in shown)
    assert all("cleared?" in text for text in shown)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", "".join(said + shown))


@pytest.mark.parametrize(
    ("variables", "options", "coloured"),
    [
        ({}, [], False),
        ({"FORCE_COLOR": "1"}, [], True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, [], False),
        ({"FORCE_COLOR": "1"}, ["--no-color"], False),
    ],
)
def test_colours_are_for_terminals_and_for_who_asks(call, written, monkeypatch, variables, options, coloured):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b" in call("run", written, "--backend", "inline", *options).err) == coloured
    assert "\x1b" not in call("best", "runs/sweep").out + call("status", "runs/sweep").out


def test_init_writes_what_runs_at_once_and_overwrites_nothing(call, tmp_path):
    began = call("init", "demo")
    assert (began.code, began.out) == (0, "demo/train.py\ndemo/sweep.toml\n")
    assert began.err == "next: sweeps run demo/sweep.toml\n"
    small = ["--set", "stage.coarse.trials=6", "--set", "stage.fine.trials=2", "--backend", "inline"]
    ran = call("run", "demo/sweep.toml", *small)
    assert ran.code == 0
    assert "coarse: 6 completed of 6 trials" in ran.err


@pytest.mark.parametrize("there", ["train.py", "sweep.toml"])
def test_init_touches_nothing_where_one_of_its_files_is_already(call, tmp_path, there):
    (tmp_path / there).write_text("mine")
    refused = call("init")
    assert (refused.code, refused.out) == (2, "")
    assert f"{there} is there already: nothing was written" in refused.err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(there, "mine")]


@pytest.mark.parametrize("taken", ["runs", "runs/sweep", "runs/sweep/trials", "runs/sweep/.sweep.toml.tmp"])
def test_a_place_that_cannot_be_written_is_a_mistake(call, written, tmp_path, taken):
    """A file where a folder is needed, and a folder where a file is: that stops root too."""
    path = tmp_path / taken
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir() if path.suffix else path.write_text("a file")
    refused = call("run", written, "--backend", "inline")
    assert (refused.code, refused.out) == (2, "")
    assert re.fullmatch(
        r"sweeps: cannot write results to runs/sweep: .*; choose another place with --out\n", refused.err
    )


def test_init_where_a_file_is_in_the_way_is_a_mistake(call, tmp_path):
    (tmp_path / "demo").write_text("a file")
    assert call("init", "demo").code == 2


def test_a_run_with_other_settings_is_refused_and_says_what_differs(call, written, done):
    refused = call("run", written, "--out", done.parent, "--name", done.name, "--seed", 3)
    assert refused.code == 2
    assert "seed was 0, is 3" in refused.err


def test_a_damaged_table_is_named_and_no_number_of_it_is_shown(call, folder):
    run_sweep(sweep(stages=SMALL), folder)
    path = folder / "trials" / "000-coarse.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    for arguments in (["best", folder], ["status", folder], ["show", folder, "coarse/1"]):
        refused = call(*arguments)
        assert (refused.code, refused.out) == (2, "")
        assert f"{path} is damaged" in refused.err


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["run", "--help"], ["--version"]])
def test_help_is_data(call, arguments):
    helped = call(*arguments)
    assert helped.code == 0
    assert helped.out
    assert helped.err == ""


def test_the_installed_command_runs_a_sweep_and_tells_its_best(tmp_path):
    sweep_file(tmp_path, sweep(stages=SMALL))
    code, out, said = finished("run", "sweep.toml", cwd=tmp_path)
    assert (code, out) == (0, ""), said
    assert "\x1b" not in said
    code, out, said = finished("best", "runs/sweep", "-k", 2, cwd=tmp_path)
    assert (code, out.count("\n"), said) == (0, 2, "")


@pytest.mark.parametrize("arguments", [["best"], ["status"], ["best", "--json"], ["show", "coarse/1"]])
def test_who_reads_may_stop_reading(done, arguments):
    with started(arguments[0], done, *arguments[1:], cwd=done) as process:
        process.stdout.close()
        assert process.stderr.read() == ""


def test_a_run_to_which_nobody_listens_any_longer_goes_on(call, written, tmp_path):
    with started("run", written, cwd=tmp_path) as process:
        process.stderr.close()
    assert json.loads(call("status", "runs/sweep", "--json").out)["done"] is True
