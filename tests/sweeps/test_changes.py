"""A sweep that changes: only what is new runs; what would make two sweeps of one is refused, with what differs."""

import json
import pathlib

import pandas as pd
import pytest
from commands import sweep_file
from conftest import contents, run_sweep, sweep
from hypothesis import given
from hypothesis import strategies as st
from simulation.states import state_of

from sweeps.changes import Kind, compared
from sweeps.errors import UsageError
from sweeps.settings import settings_from
from sweeps.store import Store
from sweeps.sweepfile import load, resolved

TRAINER = """
def train(lr, *, epochs, seed):
    for epoch in range(epochs):
        yield {"loss": 1.0, "val_acc": lr}
"""
COARSE = {"name": "coarse", "trials": 8, "epochs": 2}
FINE = {"name": "fine", "trials": 4, "epochs": 3}
TABLES = ("trials", "reports", "stages", "attempts")


@pytest.fixture
def trainer(tmp_path):
    """A trainer in a file of its own, which may be changed."""
    path = tmp_path / "train.py"
    path.write_text(TRAINER)
    return path


def of(trainer, *stages, **keys):
    return sweep(stages=list(stages or (COARSE, FINE)), **keys) | {"train": f"{trainer}:train"}


def whole(written):
    return resolved(settings_from(written, pathlib.Path()))


def test_the_same_command_again_is_no_change(trainer, folder):
    run_sweep(of(trainer), folder)
    before = state_of(folder)
    ended, _ = run_sweep(of(trainer), folder)
    assert ended.code == 0
    assert {name: found for name, found in state_of(folder).items() if name != ".lock"} == {
        name: found for name, found in before.items() if name != ".lock"
    }


@pytest.mark.parametrize("larger", [[COARSE | {"trials": 12}], [COARSE, FINE]])
def test_of_more_trials_or_more_stages_only_the_new_ones_run(trainer, tmp_path, larger):
    run_sweep(of(trainer, COARSE), tmp_path / "grown")
    run_sweep(of(trainer, *larger), tmp_path / "grown")
    run_sweep(of(trainer, *larger), tmp_path / "at once")
    assert contents(tmp_path / "grown") == contents(tmp_path / "at once")
    attempts = pd.read_parquet(tmp_path / "grown" / "attempts")
    assert not attempts.duplicated(["stage", "trial"]).any()


OTHER = {
    "seed": ({"seed": 1}, "seed was 0, is 1"),
    "space": ({"space": {"lr": {"log": [1e-5, 1e-1]}}}, r"space.lr.log was \[1e-05, 0.01\], is \[1e-05, 0.1\]"),
    "metric": ({"metric": "loss"}, 'metric was "val_acc", is "loss"'),
    "mode": ({"mode": "min"}, 'mode was "max", is "min"'),
    "epochs": ({"stage": [COARSE | {"epochs": 5}, FINE]}, "stage.coarse.epochs was 2, is 5"),
    "name": ({"stage": [COARSE | {"name": "first"}, FINE]}, 'stage.coarse.name was "coarse", is "first"'),
    "a stage": ({"stage": [COARSE]}, "stage.fine was there, is not"),
    "trials": ({"stage": [COARSE | {"trials": 5}, FINE]}, "stage.coarse.trials was 8, is 5: 7 is stored"),
}


@pytest.mark.parametrize(("other", "words"), OTHER.values(), ids=OTHER)
def test_what_says_which_configs_are_tried_is_never_changed_under_a_run(trainer, folder, other, words):
    run_sweep(of(trainer), folder)
    before = state_of(folder)
    for accept in (False, True):
        with pytest.raises(UsageError, match=f"other settings:\n  {words}\nchange .* back, or begin .* with --new"):
            run_sweep(of(trainer) | other, folder, accept_changes=accept)
    assert state_of(folder) == before


TRAINED = {
    "a rule": ({"stop": {"blowup": 9.0}}, "stop.blowup was 3.0, is 9.0"),
    "another loss": ({"stop": {"loss": "val_loss"}}, 'stop.loss was "loss", is "val_loss"'),
}


@pytest.mark.parametrize(("other", "words"), TRAINED.values(), ids=TRAINED)
def test_how_a_config_is_trained_is_changed_when_the_user_says_so(trainer, folder, other, words):
    run_sweep(of(trainer, COARSE), folder)
    before = state_of(folder)
    changed = of(trainer, COARSE | {"trials": 12}) | other
    with pytest.raises(UsageError, match=f"other settings:\n  {words}\n.*--accept-changes"):
        run_sweep(changed, folder)
    assert state_of(folder) == before
    ended, said = run_sweep(changed, folder, accept_changes=True)
    assert ended.code == 0
    assert "going on: stop." in said
    assert run_sweep(changed, folder)[0].code == 0, "what was accepted is what the run is now"


def test_another_trainer_is_refused_while_there_is_something_to_run(trainer, folder):
    run_sweep(of(trainer, COARSE), folder)
    before = state_of(folder)
    trainer.write_text(TRAINER.replace("1.0", "2.00"))
    with pytest.raises(UsageError, match=r"the code of the trainer has changed since \(.*train.py:train\)\n.*--accept"):
        run_sweep(of(trainer), folder)
    assert state_of(folder) == before
    ended, _ = run_sweep(of(trainer), folder, accept_changes=True, backend="local")  # each process imports it anew
    assert ended.code == 0
    losses = pd.read_parquet(folder / "trials").groupby("stage")["loss"].unique()
    assert losses.map(list).to_dict() == {"coarse": [1.0], "fine": [2.0]}


def test_a_finished_run_stays_what_it_is_though_its_trainer_has_changed(trainer, folder):
    run_sweep(of(trainer), folder)
    before = contents(folder, TABLES), (folder / "sweep.toml").read_bytes()
    trainer.write_text(TRAINER.replace("1.0", "2.00"))
    ended, said = run_sweep(of(trainer), folder)
    assert ended.code == 0
    assert "has changed since" in said
    assert "nothing is left to run" in said
    assert (contents(folder, TABLES), (folder / "sweep.toml").read_bytes()) == before


def searching(trainer, confirm):
    """A small search."""
    written = of(trainer, search={"trainings": 4, "epochs": 3, "confirm": confirm})
    del written["stage"]
    return written


@pytest.mark.parametrize("confirm", [0, 1])
def test_a_finished_search_stays_what_it_is_though_its_trainer_has_changed(trainer, folder, confirm):
    written = searching(trainer, confirm)
    run_sweep(written, folder)
    before = contents(folder, TABLES), (folder / "sweep.toml").read_bytes()
    trainer.write_text(TRAINER.replace("1.0", "2.00"))
    ended, said = run_sweep(written, folder)
    assert ended.code == 0
    assert "nothing is left to run" in said
    assert (contents(folder, TABLES), (folder / "sweep.toml").read_bytes()) == before


@pytest.mark.parametrize("confirm", [0, 1])
@pytest.mark.parametrize("left", [1, 2])
def test_a_search_whose_driver_dies_before_the_last_row_of_a_stage_is_not_finished(
    trainer, folder, monkeypatch, confirm, left
):
    written, real, put, calm = searching(trainer, confirm), Store.put_stage, [], folder.with_name("calm")

    def puts(most):
        def counting(store, number, row):
            put.append(number)
            if len(put) > most:
                raise KeyboardInterrupt
            real(store, number, row)

        put.clear()
        monkeypatch.setattr(Store, "put_stage", counting)

    puts(1000)
    run_sweep(written, calm)
    puts(len(put) - left)
    assert run_sweep(written, folder)[0].code == 130
    puts(1000)
    trainer.write_text(TRAINER.replace("1.0", "2.00"))
    with pytest.raises(UsageError, match="the code of the trainer has changed"):
        run_sweep(written, folder)
    trainer.write_text(TRAINER)
    assert run_sweep(written, folder)[0].code == 0
    assert contents(folder) == contents(calm)


def test_a_module_of_the_project_that_the_trainer_imports_is_told_by_its_name(trainer, folder):
    trainer.write_text(f"import helpers\n{TRAINER}")
    helpers, other = trainer.with_name("helpers.py"), trainer.with_name("other.py")
    helpers.write_text("import deeper.still\n")
    still = trainer.parent / "deeper" / "still.py"
    still.parent.mkdir()
    for path in (other, still):
        path.write_text("x = 1\n")
    run_sweep(of(trainer, COARSE), folder)
    other.write_text("x = 2\n")
    assert run_sweep(of(trainer, COARSE), folder)[1] == run_sweep(of(trainer, COARSE), folder)[1]
    still.write_text("x = 2\n")
    said = (
        r"other settings:\n  deeper/still.py has changed since, which the trainer imports \(.*train.py:train\)\n.*--acc"
    )
    with pytest.raises(UsageError, match=said):
        run_sweep(of(trainer), folder)
    assert "nothing is left to run" in run_sweep(of(trainer, COARSE), folder)[1]
    assert run_sweep(of(trainer), folder, accept_changes=True)[0].code == 0
    assert run_sweep(of(trainer), folder)[0].code == 0


def test_a_run_that_began_before_imports_were_noted_goes_on(trainer, folder):
    trainer.write_text(f"import helpers\n{TRAINER}")
    trainer.with_name("helpers.py").write_text("")
    run_sweep(of(trainer, COARSE), folder)
    kept = folder / "sweep.toml"
    kept.write_text("\n".join(line for line in kept.read_text().splitlines() if "helpers" not in line))
    assert run_sweep(of(trainer), folder)[0].code == 0
    assert "train/helpers.py" in kept.read_text()


def test_a_setup_function_counts_as_the_trainer_does(trainer, folder):
    trainer.write_text("def load():\n    return 1.0\n\ndef train(lr, *, data):\n    return data\n")
    data = trainer.with_name("data.py")
    data.write_text("def load():\n    return 1.0\n")
    written = of(trainer, COARSE) | {"setup": f"{data}:load"}
    run_sweep(written, folder)
    data.write_text("def load():\n    return 2.0\n")
    with pytest.raises(UsageError, match="the code of the setup function has changed"):
        run_sweep(written | {"stage": [COARSE, FINE]}, folder)


def test_the_digest_is_of_content_so_that_a_moved_project_goes_on(trainer, tmp_path):
    run_sweep(of(trainer, COARSE), tmp_path / "run")
    kept = (tmp_path / "run" / "sweep.toml").read_text()
    assert "sha256:" in kept
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "train.py").write_bytes(TRAINER.replace("\n", "\r\n").encode())
    written = of(trainer, COARSE) | {"train": "train.py:train"}
    run_sweep(written, tmp_path / "a", base=tmp_path)
    run_sweep(written, tmp_path / "b", base=elsewhere)
    assert (tmp_path / "a" / "sweep.toml").read_bytes() == (tmp_path / "b" / "sweep.toml").read_bytes()


def test_a_stage_that_has_not_begun_may_change_in_every_way(trainer, folder):
    ended, _ = run_sweep(of(trainer, run={"budget": 1e-9}), folder)
    assert ended.code == 3
    other = [COARSE, {"name": "finer", "trials": 3, "epochs": 9, "method": "lhs"}]
    assert run_sweep(of(trainer, *other), folder)[0].code == 0
    assert set(pd.read_parquet(folder / "trials")["stage"]) == {"coarse", "finer"}


def test_a_run_of_which_nothing_is_stored_takes_any_sweep(trainer, folder):
    folder.mkdir(parents=True)
    written = of(trainer, COARSE)
    (folder / "sweep.toml").write_text(sweep_file(folder, written | {"seed": 7}).read_text())
    assert run_sweep(written, folder)[0].code == 0


def test_a_runs_own_sweep_toml_is_a_sweep_file(trainer, tmp_path):
    run_sweep(of(trainer), tmp_path / "first")
    again = load(tmp_path / "first" / "sweep.toml")
    run_sweep(again, tmp_path / "second")
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


@given(st.sampled_from(sorted(OTHER)), st.integers(0, 3))
def test_a_change_is_seen_from_both_sides_and_never_where_nothing_has_begun(key, begun):
    trainer = pathlib.Path("train.py")
    one, other = whole(of(trainer)), whole(of(trainer) | OTHER[key][0])
    there, back = compared(one, other, begun), compared(other, one, min(begun, len(other["stage"])))
    assert compared(one, one, begun) == []
    assert bool(there) == (begun > (1 if key == "a stage" else 0) and key != "trials")
    if key != "a stage":
        assert len(there) == len(back)
    assert all(change.kind is Kind.SEARCH for change in there)


def test_new_takes_the_first_name_that_is_free(call, trainer, tmp_path):
    written = sweep_file(tmp_path, of(trainer, COARSE))
    for name in ("sweep", "sweep-2", "sweep-3"):
        ran = call("run", written, "--backend", "inline", "--new")
        assert ran.code == 0
        assert f"results  runs/{name}\n" in ran.err
        assert len(json.loads(call("best", f"runs/{name}", "--json").out)["best"]) == 5


def test_the_command_says_what_differs_line_by_line_and_ends_with_code_2(call, trainer, tmp_path):
    written = sweep_file(tmp_path, of(trainer, COARSE))
    assert call("run", written, "--backend", "inline").code == 0
    ran = call("run", written, "--backend", "inline", "--seed", 4, "--set", "stage.coarse.epochs=9")
    assert (ran.code, ran.out) == (2, "")
    assert [line.removeprefix("sweeps: ").strip() for line in ran.err.splitlines()] == [
        "runs/sweep holds a run with other settings:",
        "seed was 0, is 4",
        "stage.coarse.epochs was 2, is 9",
        "change them back, or begin a new run with --new",
    ]
