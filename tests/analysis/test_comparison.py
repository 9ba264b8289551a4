"""Two runs of one sweep side by side."""

import pytest
from conftest import run_sweep, sweep
from hypothesis import given
from hypothesis import strategies as st

import analysis
from analysis.comparison import compare, sign_test
from sweeps.errors import UsageError

ONE = [{"name": "one", "trials": 30, "epochs": 3}]


def ran(folder, trainer="bowl", **keys):
    run_sweep(sweep(trainer, stages=keys.pop("stages", ONE), **keys), folder)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two equal runs, one of another seed, one with a penalty in every trial."""
    folder = tmp_path_factory.mktemp("runs")
    lr = {"log": [1e-5, 1e-2]}
    return {
        "a": ran(folder / "a"),
        "again": ran(folder / "again"),
        "seed": ran(folder / "seed", seed=1),
        "penalty": ran(folder / "penalty", space={"lr": lr, "reg": 3.0}),
        "none": ran(folder / "none", space={"lr": lr, "reg": 0.0}),
    }


def test_a_run_compared_with_its_repetition_is_equal_in_every_trial(runs):
    found = compare(runs["a"], runs["again"])
    assert found.pairs.loc["again"].to_dict() == {
        "same": 30,
        "better": 0,
        "equal": 30,
        "worse": 0,
        "gain": 0.0,
        "p": 1.0,
    }
    assert (found.params["a"] == found.params["again"]).all()


def test_each_row_says_what_its_run_says_by_itself(runs):
    found = compare(runs["a"], runs["seed"], runs["penalty"])
    for name, row in found.runs.iterrows():
        alone = analysis.load(runs[name])
        assert row["best"] == alone.best(1)["val_acc"].iloc[0]
        assert (row["trials"], row["completed"], row["epochs"]) == (30, 30, 90)
        assert row["median"] == alone.trials["val_acc"].median()
        assert {key: value for key, value in found.params[name].items() if value == value} == alone.best_params


def test_another_seed_has_no_config_in_common_and_that_is_said(runs):
    found = compare(runs["a"], runs["seed"])
    assert found.pairs.loc["seed", "same"] == 0
    assert found.text[-1].startswith("seed and a have no trial of the same config")


def test_what_is_not_given_the_same_is_not_compared_in_pairs(runs):
    assert compare(runs["none"], runs["penalty"]).pairs.loc["penalty", "same"] == 0


def test_a_trainer_that_became_better_is_told_apart_from_chance(runs, tmp_path):
    trainer = tmp_path / "better.py"
    trainer.write_text(
        "import trainers\ndef bowl(lr, *, epochs, seed):\n"
        "    for each in trainers.bowl(lr, epochs=epochs, seed=seed):\n"
        "        yield {**each, 'val_acc': each['val_acc'] + 0.001}\n"
    )
    run_sweep(sweep(stages=ONE) | {"train": f"{trainer}:bowl"}, tmp_path / "better")
    row = compare(runs["a"], tmp_path / "better").pairs.loc["better"]
    assert (row["better"], row["gain"], row["p"]) == (30, pytest.approx(0.001), pytest.approx(2 * 0.5**30))
    assert "better in 30" in str(compare(runs["a"], tmp_path / "better"))


def test_a_notebook_shows_text_that_cannot_be_markup(runs, tmp_path):
    shown = compare(runs["a"], ran(tmp_path / "<b>"))._repr_html_()
    assert "<b>" not in shown
    assert "&lt;b&gt;" in shown


def test_one_run_is_not_compared(runs):
    with pytest.raises(UsageError, match="two runs"):
        compare(runs["a"])


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_sign_test_is_the_binomial_test(better, worse):
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert sign_test(better, worse) == pytest.approx(expected, rel=1e-9)
    assert sign_test(better, worse) == sign_test(worse, better)
