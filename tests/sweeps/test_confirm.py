"""The best configs of a search are trained again with new seeds, and by the mean over these one is the best."""

import json
import pathlib
import shutil

import pandas as pd
import pytest
from conftest import contents, run_sweep, sweep
from lives import live, live_on

from sweeps import stage
from sweeps.reading import Run

TRAINERS = pathlib.Path(__file__).parents[1] / "trainers_confirm.py"
CONFIRM = 5
TABLES = ("trials", "reports", "stages", "attempts")


def searching(trainer="lucky", confirm=CONFIRM):
    """The keys of a small search, whose best configs are confirmed."""
    written = sweep(seed=1) | {"train": f"{TRAINERS}:{trainer}"}
    del written["stage"]
    return written | {"search": {"trainings": 8, "epochs": 4, "confirm": confirm}}


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A search in one process that nothing happens to."""
    folder = tmp_path_factory.mktemp("calm") / "x"
    assert run_sweep(searching(), folder)[0].code == 1  # some trials fail
    return folder


def trials(folder):
    """The trials of the search, best first, and those of its last stage."""
    table = pd.read_parquet(folder / "trials")
    again = table.stage == "confirm"
    return table[~again].sort_values("val_acc", ascending=False, kind="stable"), table[again]


def means(folder):
    """Mean, spread and number of the values that came back for each config that was confirmed, best first."""
    again = trials(folder)[1].groupby("lr").val_acc.agg(["mean", "std", "count"])
    return again[again["count"] > 0].sort_values("mean", ascending=False)


def test_the_best_configs_are_trained_again_in_full_each_with_three_new_seeds(calm):
    born, again = trials(calm)
    assert again.lr.tolist() == [lr for lr in born.lr[:CONFIRM] for _ in range(3)]
    assert set(again[again.status == "completed"].epochs) == {4}
    assert again.seed.nunique() == len(again)
    assert set(again.seed).isdisjoint(born.seed)


def test_the_stage_says_which_trials_it_confirms(calm):
    born, _ = trials(calm)
    row = pd.read_parquet(calm / "stages").set_index("stage").loc["confirm"]
    names = ", ".join(f"{each.stage} {each.trial}" for each in born[:CONFIRM].itertuples())
    assert row.evidence.tolist() == [f"the best, each with 3 new seeds: {names}"]
    assert row.trials == 3 * CONFIRM


def test_the_best_are_those_with_the_best_mean_over_the_new_seeds(calm, call):
    expected = means(calm)
    found = json.loads(call("best", calm, "-k", CONFIRM, "--json").out)["best"][: len(expected)]
    assert [each["config"]["lr"] for each in found] == expected.index.tolist()
    assert [each["val_acc"] for each in found] == pytest.approx(expected["mean"].tolist())
    assert [each["seeds"] for each in found] == expected["count"].tolist()
    for each, spread in zip(found, expected["std"], strict=True):
        assert each["spread"] == (None if each["seeds"] == 1 else pytest.approx(spread))
    assert {each["seeds"] for each in found} == {1, 2, 3}  # some seeds fail
    born, _ = trials(calm)
    assert [each["trial"] for each in found] != born.trial[: len(found)].tolist()  # some had led by luck


def test_the_best_are_shown_with_their_spread_and_after_them_what_was_not_confirmed(calm, call):
    born, _ = trials(calm)
    expected = means(calm)
    lines = call("best", calm, "-k", len(born)).out.splitlines()
    for line, (_, row) in zip(lines, expected.iterrows(), strict=False):
        spread = "" if row["count"] == 1 else f" ± {row['std']:.6f}"
        seeds = "1 new seed" if row["count"] == 1 else f"{row['count']:.0f} new seeds"
        assert f"val_acc: {row['mean']:.6f}{spread} over {seeds}, lr: " in line
    rest = born[~born.lr.isin(expected.index) & born.val_acc.notna()]
    assert [line.split(",")[0] for line in lines[len(expected) :] if "lr: " in line] == [
        f"val_acc: {value:.6f}" for value in rest.val_acc
    ]


def test_a_run_names_the_trials_that_were_confirmed_not_their_repetitions(calm):
    best = Run(calm).best(10_000)
    assert "confirm" not in {row["stage"] for row in best}
    assert len({(row["stage"], row["trial"]) for row in best}) == len(best)
    born, _ = trials(calm)
    assert len(best) == born.val_acc.notna().sum()
    assert len(Run(calm).best(2)) == 2


def test_no_more_are_confirmed_than_there_are(tmp_path):
    run_sweep(searching(confirm=1000), tmp_path / "x")
    born, again = trials(tmp_path / "x")
    assert len(again) == 3 * born.val_acc.notna().sum()


def test_where_nothing_came_back_nothing_is_confirmed(tmp_path):
    run_sweep(searching("hopeless"), tmp_path / "x")
    assert "confirm" not in set(pd.read_parquet(tmp_path / "x/stages").stage)
    assert Run(tmp_path / "x").best(CONFIRM) == []


def test_the_bytes_do_not_depend_on_the_slots(calm, tmp_path):
    run_sweep(searching(), tmp_path / "x", backend="local", slots=3)
    assert contents(tmp_path / "x") == contents(calm)


def test_a_confirmed_search_run_again_changes_nothing(calm):
    before = contents(calm, TABLES)
    assert run_sweep(searching(), calm)[0].code == 1
    assert contents(calm, TABLES) == before


@pytest.mark.parametrize("seed", range(3))
def test_interrupted_while_it_confirms_it_ends_with_the_same_bytes(calm, tmp_path, monkeypatch, seed):
    monkeypatch.setattr(stage, "FLUSH_S", 0.0)
    live(searching(confirm=0), tmp_path / "x")  # all that is left is to confirm
    assert live_on(searching(), tmp_path / "x", seed, most=12) > 2
    assert contents(tmp_path / "x") == contents(calm)
    attempts = pd.read_parquet(tmp_path / "x/attempts").groupby(["stage", "trial"]).attempt
    assert (attempts.max() == attempts.size()).all()


def test_a_run_that_is_confirming_shows_what_it_knows_so_far(calm, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "FLUSH_S", 0.0)
    live(searching(confirm=0), tmp_path / "x")
    shutil.copy(calm / "sweep.toml", tmp_path / "x")
    known = {}
    while not live(searching(), tmp_path / "x", asked=12):
        run = Run(tmp_path / "x")
        assert run.stages()[-1]["stage"] == "confirm"
        seeds = {row["config"]["lr"]: row.get("seeds", 0) for row in run.best(CONFIRM)}
        assert all(seeds.get(lr, 0) >= count for lr, count in known.items() if count)
        known = seeds
    assert any(known.values())
