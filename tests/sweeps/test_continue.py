"""A stage may take the best earlier trials further: from their checkpoints, or from their start without any."""

import itertools
import pathlib
import shutil
import tempfile

import pandas as pd
import pytest
from commands import sweep_file
from conftest import contents, run_sweep, sweep
from lives import live, live_on
from simulation.runs import FAST

from sweeps import schedule, stage

TRAINERS = pathlib.Path(__file__).parents[1] / "trainers_saving.py"
STAGES = [
    {"name": "coarse", "trials": 8, "epochs": 3},
    {"name": "fine", "trials": 5, "epochs": 6, "continue": 3},
    {"name": "finest", "trials": 2, "epochs": 9, "continue": 2},
]


def going_on(trainer="saving", *, stages=STAGES, **keys):
    """The keys of a sweep of one of `trainers_saving.py`."""
    written = sweep(space={"lr": {"log": [1e-3, 1e-1]}}, stages=stages, **keys)
    return written | {"train": f"{TRAINERS}:{trainer}"}


def trials(folder):
    return pd.read_parquet(folder / "trials").set_index(["stage", "trial"])


def reports(folder):
    return pd.read_parquet(folder / "reports")


def chosen(folder, stage):
    """The trials that a stage took further: (stage, trial) pairs, best first."""
    row = pd.read_parquet(folder / "stages").set_index("stage").loc[stage]
    pairs = [name.rpartition("-") for name in row.continued]
    return [(stage, int(trial)) for stage, _, trial in pairs]


def at(folder, stage, trial, epoch):
    """The best value of a trial up to an epoch."""
    table = reports(folder)
    return table[(table.stage == stage) & (table.trial == trial) & (table.epoch <= epoch)].val_acc.max()


def checkpoints(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A run in one process that nothing happens to."""
    folder = tmp_path_factory.mktemp("calm") / "x"
    assert run_sweep(going_on(), folder)[0].code == 0
    return folder


@pytest.fixture
def fast():
    """A folder on a memory disk, if there is one."""
    with tempfile.TemporaryDirectory(dir=FAST if FAST.is_dir() else None) as place:
        yield pathlib.Path(place)


def test_a_trainer_that_names_checkpoint_is_checked_like_any_other(call, tmp_path):
    sweep_file(tmp_path, going_on())
    ended = call("check", "sweep.toml")
    assert ended.code == 0
    assert "two runs of one seed report the same" in ended.out
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.toml"]


# --- what goes on


def test_the_best_of_the_earlier_trials_go_on_to_the_budget_of_the_stage(calm):
    coarse = [("coarse", trial) for trial in range(8)]
    best = sorted(coarse, key=lambda each: -at(calm, *each, epoch=3))[:3]
    assert chosen(calm, "fine") == best
    everyone = coarse + [("fine", trial) for trial in range(5)]
    reached = {each: 6 if each[0] == "fine" or each in best else 3 for each in everyone}
    best = sorted(everyone, key=lambda each: -at(calm, *each, epoch=reached[each]))[:2]
    assert chosen(calm, "finest") == best
    epochs = trials(calm).epochs.to_dict()
    assert epochs == {each: 9 if each in best or each[0] == "finest" else reached.get(each) for each in epochs}


def test_a_trial_that_goes_on_keeps_its_identity_its_one_row_and_its_reports(calm):
    table, told = trials(calm), reports(calm)
    assert not table.index.duplicated().any()
    assert len(table) == 15
    assert not told.duplicated(["stage", "trial", "epoch"]).any()
    for each, row in table.iterrows():
        own = told[(told.stage == each[0]) & (told.trial == each[1])]
        assert own.epoch.tolist() == list(range(1, row.epochs + 1))
        assert row.val_acc == own.val_acc.max()
        assert row.best_epoch == own.epoch[own.val_acc.idxmax()]


def test_the_counts_of_a_stage_are_those_of_its_trials_as_they_are_in_the_end(tmp_path):
    run_sweep(going_on("failing_late"), tmp_path / "x")
    rows = pd.read_parquet(tmp_path / "x/stages").set_index("stage")
    table = pd.read_parquet(tmp_path / "x/trials")
    for name, row in rows.iterrows():
        own = table[table.stage == name]
        assert row[["completed", "failed"]].tolist() == [sum(own.status == word) for word in ("completed", "failed")]
        assert row.best == own.val_acc.max()
        assert row.best_trial == own.trial[own.val_acc.idxmax()]


def test_the_attempts_at_a_trial_that_goes_on_are_numbered_on(calm):
    attempts = pd.read_parquet(calm / "attempts")
    twice = {each for name in ("fine", "finest") for each in chosen(calm, name)}
    for each, rows in attempts.groupby(["stage", "trial"]):
        times = 1 + sum(each in chosen(calm, name) for name in ("fine", "finest"))
        assert (times > 1) == (each in twice)
        assert rows.attempt.tolist() == list(range(1, times + 1))


def test_no_more_go_on_than_there_are(tmp_path):
    stages = [{"name": "coarse", "trials": 2, "epochs": 2}, {"name": "fine", "trials": 1, "epochs": 4, "continue": 9}]
    run_sweep(going_on(stages=stages), tmp_path / "x")
    assert trials(tmp_path / "x").epochs.tolist() == [4, 4, 4]


def test_of_equals_the_first_go_on(tmp_path):
    stages = [{"name": "coarse", "trials": 6, "epochs": 2}, {"name": "fine", "trials": 1, "epochs": 4, "continue": 2}]
    written = going_on(stages=stages) | {"space": {"lr": 0.01}, "train": f"{TRAINERS}:equal"}
    run_sweep(written, tmp_path / "x", backend="local", slots=3)
    assert chosen(tmp_path / "x", "fine") == [("coarse", 0), ("coarse", 1)]


def test_a_trial_that_has_the_epochs_of_the_stage_already_does_not_go_on(tmp_path):
    stages = [{"name": "coarse", "trials": 4, "epochs": 6}, {"name": "fine", "trials": 2, "epochs": 3, "continue": 2}]
    run_sweep(going_on(stages=stages), tmp_path / "x")
    assert chosen(tmp_path / "x", "fine") == []
    assert trials(tmp_path / "x").epochs.tolist() == [6] * 4 + [3] * 2


# --- the same bytes


def test_with_and_without_checkpoints_the_results_are_the_same(calm, tmp_path):
    run_sweep(going_on("plain"), tmp_path / "x")
    assert contents(tmp_path / "x") == contents(calm)
    assert not (tmp_path / "x/checkpoints").exists()


def test_a_trainer_that_writes_now_and_then_has_the_same_results(calm, tmp_path):
    run_sweep(going_on("saving_now_and_then"), tmp_path / "x", backend="local", slots=2)
    assert contents(tmp_path / "x") == contents(calm)


@pytest.mark.parametrize("trainer", ["saving", "plain"])
@pytest.mark.parametrize("slots", [1, 2, 4])
def test_the_bytes_do_not_depend_on_backend_and_slots(calm, tmp_path, trainer, slots):
    run_sweep(going_on(trainer), tmp_path / "x", backend="local", slots=slots)
    assert contents(tmp_path / "x") == contents(calm)


def test_from_a_checkpoint_no_epoch_is_trained_twice(calm, tmp_path, monkeypatch):
    monkeypatch.setenv("SIDE_LOG", str(tmp_path / "side"))
    run_sweep(going_on(), tmp_path / "x", backend="local", slots=2)
    trained = (tmp_path / "side").read_text().splitlines()
    assert len(trained) == len(set(trained)) == len(reports(calm))


def test_values_of_several_types_stay_as_they_are(tmp_path):
    space = {"lr": {"log": [1e-3, 1e-1]}, "n": {"int": [1, 9]}, "flag": [True, False]}
    space["mixed"] = ["a", 1, 0.5, True, [1, 2]]
    written = going_on("mixed") | {"space": space}
    run_sweep(written, tmp_path / "x")
    rows = pd.read_parquet(tmp_path / "x/trials")
    coarse = rows[rows.stage == "coarse"]
    assert set(coarse.mixed) <= {"a", "1", "0.5", "true", "[1, 2]"}
    run_sweep(written | {"stage": STAGES[:1]}, tmp_path / "short")
    before = pd.read_parquet(tmp_path / "short/trials")
    names = ["trial", "seed", *space]
    pd.testing.assert_frame_equal(coarse[names].reset_index(drop=True), before[names])


def test_metrics_that_numbers_find_hard_are_the_same_after_a_death(tmp_path, monkeypatch):
    stages = [{"name": "coarse", "trials": 3, "epochs": 4}, {"name": "fine", "trials": 1, "epochs": 6, "continue": 2}]
    written = going_on("odd_numbers", stages=stages, stop={"nan": False})
    run_sweep(written, tmp_path / "calm")
    monkeypatch.setenv("SIDE_LOG", str(tmp_path / "side"))
    run_sweep(written, tmp_path / "x", backend="local")
    assert len((tmp_path / "side").read_text().splitlines()) == 4
    assert contents(tmp_path / "x") == contents(tmp_path / "calm")


# --- what does not go well


def test_a_trainer_that_comes_to_its_own_end_keeps_it(tmp_path):
    for trainer in ("ending_early", "ending_early_plain"):
        run_sweep(going_on(trainer), tmp_path / trainer)
        table = trials(tmp_path / trainer)
        assert (table[table.lr > 0.02].epochs <= 4).all()
        assert (table.status == "completed").all()
        before = contents(tmp_path / trainer, ("trials", "reports", "stages", "attempts"))
        run_sweep(going_on(trainer), tmp_path / trainer)
        assert contents(tmp_path / trainer, ("trials", "reports", "stages", "attempts")) == before
    assert contents(tmp_path / "ending_early") == contents(tmp_path / "ending_early_plain")


WRONG = [
    ("failing_late", {}, "failed", "ValueError: too much for me", 1),
    ("diverging_late", {}, "stopped", "loss is nan at epoch 5", 0),
    ("hanging_late", {"stop": {"timeout": "3s"}, "run": {"retries": 0}}, "timeout", "longer than 3 s", 1),
    ("dying_late", {"run": {"retries": 1}}, "lost", "exited with code 7", 1),
]


@pytest.mark.slow
@pytest.mark.parametrize(("trainer", "keys", "status", "words", "code"), WRONG)
def test_a_trial_that_goes_wrong_further_on_keeps_what_it_had_and_goes_no_further(
    tmp_path, trainer, keys, status, words, code
):
    folder = tmp_path / "x"
    written = going_on(trainer, **keys) | {"space": {"lr": {"log": [1.5e-2, 3e-2]}}}
    ended, _ = run_sweep(written, folder, backend="local", slots=2)
    assert ended.code == code
    table, told = trials(folder), reports(folder)
    bad = table[(table.lr > 0.02) & (table.index.map(lambda each: each in chosen(folder, "fine")))]
    assert len(bad) > 0
    assert set(bad.status) == {status}
    assert bad.reason.str.contains(words).all()
    assert set(bad.epochs) == {5 if status == "stopped" else 4}
    assert not told.duplicated(["stage", "trial", "epoch"]).any()
    assert set(chosen(folder, "finest")).isdisjoint(bad.index)
    if status in ("failed", "stopped"):  # one that hangs or dies does so to a process of its own
        run_sweep(written, tmp_path / "inline")
        assert contents(tmp_path / "inline") == contents(folder)
    if status == "lost":
        attempts = pd.read_parquet(folder / "attempts").set_index(["stage", "trial"])
        for each in bad.index:
            rows = attempts.loc[[each]]
            assert rows.attempt.tolist() == [1, 2, 3]
            assert rows.outcome.tolist() == ["completed", "lost", "lost"]


def test_a_process_that_dies_costs_no_epoch_that_was_committed(calm, tmp_path, monkeypatch):
    monkeypatch.setenv("SIDE_LOG", str(tmp_path / "side"))
    run_sweep(going_on("dying_once", run={"retries": 2}), tmp_path / "x", backend="local", slots=2)
    assert contents(tmp_path / "x") == contents(calm)
    trained = (tmp_path / "side").read_text().splitlines()
    twice = {each for each in trained if trained.count(each) > 1}
    assert max(map(trained.count, trained)) == 2
    assert {each.split()[1] for each in twice} == {"2", "5"}


# --- interrupted


SHORT = [
    {"name": "coarse", "trials": 4, "epochs": 2},
    {"name": "fine", "trials": 2, "epochs": 4, "continue": 2},
    {"name": "finest", "trials": 1, "epochs": 5, "continue": 2},
]


MODELLED = [SHORT[0], SHORT[1] | {"method": "model"}, SHORT[2] | {"method": "model"}]
CASES = [("saving", SHORT, 0), ("saving", MODELLED, 1), ("plain", SHORT, 2), ("ending_early", SHORT, 3)]


@pytest.mark.parametrize(("trainer", "stages", "seed"), CASES)
def test_interrupted_again_and_again_it_ends_with_the_same_bytes(fast, monkeypatch, trainer, stages, seed):
    monkeypatch.setattr(stage, "FLUSH_S", 0.0)
    written = going_on(trainer, stages=stages)
    live(written, fast / "calm")
    assert live_on(written, fast / "x", seed, most=8) > 3
    assert contents(fast / "x") == contents(fast / "calm")
    found, expected = (pd.read_parquet(fast / name / "attempts") for name in ("x", "calm"))
    pd.testing.assert_frame_equal(*(each[["stage", "trial", "attempt", "outcome"]] for each in (found, expected)))
    if trainer == "saving":
        assert checkpoints(fast / "x") == checkpoints(fast / "calm")


@pytest.mark.parametrize("seed", range(2))
def test_interrupted_again_and_again_no_epoch_is_trained_twice(fast, monkeypatch, seed):
    """Each driver stops at a yield, whose checkpoint is there; the next one must not drop what goes on from it."""
    monkeypatch.setattr(stage, "FLUSH_S", 0.0)
    monkeypatch.setenv("SIDE_LOG", str(fast / "side"))
    stages = [{**STAGES[0], "trials": 4}, {**STAGES[1], "trials": 3, "continue": 2}]
    assert live_on(going_on(stages=stages), fast / "x", seed, most=8) > 3
    trained = (fast / "side").read_text().splitlines()
    assert len(trained) == len(set(trained)) == len(reports(fast / "x"))


@pytest.mark.slow
def test_interrupted_at_any_moment_it_ends_with_the_same_bytes(fast):
    written = going_on(stages=SHORT)
    live(written, fast / "calm")
    for looks in itertools.count():
        done = live(written, fast / "x", looks)
        live(written, fast / "x")
        assert contents(fast / "x") == contents(fast / "calm")
        shutil.rmtree(fast / "x")
        if done:
            break
    assert looks > 20


# --- later


def test_a_finished_run_run_again_changes_nothing(calm, tmp_path):
    tables = ("trials", "reports", "stages", "attempts")
    before = contents(calm, tables)
    assert run_sweep(going_on(), calm)[0].code == 0
    assert contents(calm, tables) == before


def test_a_stage_that_is_added_later_ends_as_if_it_had_always_been_there(calm, tmp_path):
    for count in (1, 2, 3):
        run_sweep(going_on(stages=STAGES[:count]), tmp_path / "x")
    assert contents(tmp_path / "x") == contents(calm)


def test_trials_that_are_added_later_change_nothing_of_those_that_went_on(tmp_path):
    run_sweep(going_on(stages=STAGES[:2]), tmp_path / "x")
    went_on = chosen(tmp_path / "x", "fine")
    before = reports(tmp_path / "x")
    more = [{**STAGES[0], "trials": 12}, STAGES[1]]
    run_sweep(going_on(stages=more), tmp_path / "x")
    assert chosen(tmp_path / "x", "fine") == went_on
    after = reports(tmp_path / "x")
    old = after[(after.stage == "fine") | (after.trial < 8)].reset_index(drop=True)
    pd.testing.assert_frame_equal(old, before)
    assert (trials(tmp_path / "x").loc["coarse"].epochs[8:] == 3).all()
    rows = pd.read_parquet(tmp_path / "x/stages").set_index("stage")
    assert rows.loc["coarse", ["trials", "completed"]].tolist() == [12, 12]


# --- what is kept


def test_what_may_go_on_is_kept_and_in_the_end_the_best(calm):
    table = trials(calm)
    stage, trial = table.val_acc.idxmax()
    born = list(dict.fromkeys(table.index.get_level_values("stage"))).index(stage)
    assert checkpoints(calm) == [f"{born << 32 | trial:012d}"]


def test_there_are_no_more_checkpoints_than_may_go_on_and_have_not_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "FLUSH_S", 0.0)
    monkeypatch.setattr(schedule, "BATCH_S", 0.0)  # one trial a batch
    stages = [{**STAGES[0], "trials": 30}, *STAGES[1:]]
    run_sweep(going_on("counting", stages=stages), tmp_path / "x")
    most = reports(tmp_path / "x").groupby(["stage", "epoch"]).there.max()
    assert most.loc["coarse", 1] == 3 + 1  # those that may go on, and the one that runs
    assert most.max() <= 3 + 2 + 1  # and those that go on


def test_the_folder_of_checkpoints_is_its_owners_alone(calm):
    folders = [calm / "checkpoints", *(calm / "checkpoints").iterdir()]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}
