"""Pre-flight: what a few short runs say of a trainer, and that the runs find what is wrong with it."""

import json
import math
import pathlib
from dataclasses import replace

import pytest
from commands import finished, sweep_file
from conftest import sweep
from hypothesis import given
from hypothesis import strategies as st

from sweeps import checking, costing
from sweeps.checking import Raised, Verdict
from sweeps.costing import Pace
from sweeps.declaration import space_from
from sweeps.launch import reference
from sweeps.preflight import lines_of, middle, passed, preflight
from sweeps.settings import StageSettings, settings_from
from workers.messages import Status
from workers.preflight import Tried

TRAINERS = pathlib.Path(__file__).parent.parent / "trainers_preflight.py"
SPACE = {"lr": {"log": [1e-3, 10.0]}, "reg": {"log": [1e-4, 1e-2]}}
STAGES = [{"name": "coarse", "trials": 30, "epochs": 5}, {"name": "fine", "trials": 10, "epochs": 20}]
PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN


def written(trainer, setup="load_data", **keys):
    """The keys of a sweep of one of `trainers_preflight.py`."""
    loading = {} if setup is None else {"setup": f"{TRAINERS}:{setup}"}
    return sweep(stages=STAGES, space=keys.pop("space", SPACE), **keys) | {"train": f"{TRAINERS}:{trainer}", **loading}


def flown(trainer, setup="load_data", classes=None, **keys):
    """The checks of a trainer, by name."""
    settings = settings_from(written(trainer, setup, **keys), TRAINERS.parent)
    loader = None if settings.setup is None else reference(settings.setup, settings.folder)
    return {
        each.name: each for each in preflight(settings, reference(settings.train, settings.folder), loader, classes)
    }


def verdicts(checks):
    return {name: each.verdict for name, each in checks.items()}


def tried(*losses, **keys):
    """A run that reported these losses, one an epoch."""
    reports = tuple({"loss": loss} for loss in losses)
    return replace(Tried(Status.COMPLETED, reports, 1.0), **keys)


BROKEN = tried(status=Status.FAILED, error="ValueError: no", traceback="File train.py")

# -- What the runs find, on real trainers in real processes.


@pytest.fixture(scope="module")
def healthy():
    return flown("healthy")


def test_a_trainer_in_order_passes_every_check(healthy):
    assert set(verdicts(healthy).values()) == {PASS}
    assert list(healthy) == [
        *("names", "loading", "reports", "initial loss", "seed", "regularisation", "overfitting", "cost", "memory")
    ]


def test_each_check_is_one_line_with_its_numbers(healthy):
    assert all(len(lines_of(each)) == 1 for each in healthy.values())
    assert "log(3) = 1.099" in healthy["initial loss"].text
    assert "20 examples" in healthy["overfitting"].text
    assert "40 trials of 350 epochs" in healthy["cost"].text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trainer", "wrong", "words"),
    [
        ("unseeded", "seed", "seed every generator"),
        ("depends_on_what_ran_before", "seed", "seed every generator"),
        ("starts_large", "initial loss", "weights that start too large"),
        ("ignores_reg", "regularisation", "reg does nothing"),
        ("rewards_weights", "regularisation", "it must rise"),
        ("shuffles_labels", "overfitting", "not learnt by heart"),
    ],
)
def test_each_fault_fails_its_own_check_and_no_other(trainer, wrong, words):
    checks = flown(trainer)
    assert [name for name, verdict in verdicts(checks).items() if verdict is FAIL] == [wrong]
    assert words in checks[wrong].text


def test_a_penalty_that_the_optimiser_applies_is_not_called_a_fault():
    checks = flown("hides_the_penalty", space={"lr": SPACE["lr"]})
    assert checks["regularisation"].verdict is UNKNOWN
    assert "without the penalty, which does change training" in checks["regularisation"].text


def test_sizes_of_layers_called_l1_and_l2_are_not_taken_for_penalties():
    checks = flown("with_layers", space={"lr": SPACE["lr"], "l1": {"int": [4, 64]}, "l2": [8, 16]})
    assert [name for name, verdict in verdicts(checks).items() if verdict is not PASS] == ["regularisation"]
    assert checks["regularisation"].verdict is UNKNOWN


def test_what_follows_no_convention_cannot_be_told():
    checks = flown("without_conventions", space={"rate": SPACE["lr"]})
    unknown = {name for name, verdict in verdicts(checks).items() if verdict is UNKNOWN}
    assert unknown == {"initial loss", "regularisation", "overfitting"}
    assert passed(checks.values())


def test_a_trainer_that_raises_is_shown_with_its_traceback():
    made = flown("raises", setup=None)["reports"]
    assert made.verdict is FAIL
    assert made.text.endswith("ValueError: no such layer")
    assert "trainers_preflight.py" in made.traceback


def test_a_trainer_that_dies_is_survived():
    assert "exited with code 7" in flown("dies", setup=None)["reports"].text


@pytest.mark.slow
def test_a_trainer_that_hangs_is_given_up_and_shown_where_it_was():
    hanging = flown("hangs", setup=None, stop={"timeout": 1.0})["reports"]
    assert "given up after 1 s and 1 of 3 epochs" in hanging.text
    assert "in hangs" in hanging.traceback


def test_a_death_in_one_run_costs_only_the_checks_that_need_it():
    checks = flown("dies_without_regularisation", setup=None, classes=1000)
    assert "exited with code 7" in checks["initial loss"].text
    assert (checks["initial loss"].verdict, checks["seed"].verdict) == (UNKNOWN, PASS)


def test_data_that_cannot_be_loaded_fail_the_loading():
    made = flown("healthy", setup="raising_setup")["loading"]
    assert made.verdict is FAIL
    assert "no images here" in made.traceback


def test_the_command_exits_1_when_a_check_fails_and_2_when_the_file_is_wrong(tmp_path):
    path = sweep_file(tmp_path, written("healthy", space={"lrr": SPACE["lr"], "reg": 0.1}))
    code, out, err = finished("check", path, "--json", cwd=tmp_path)
    found = json.loads(out)
    assert (code, err, found["passed"], [c["name"] for c in found["checks"]]) == (1, "", False, ["names"])
    assert "did you mean 'lr'?" in found["checks"][0]["text"]
    assert finished("check", path, "--set", "mode=up", cwd=tmp_path)[0] == 2


def test_the_command_exits_0_when_nothing_fails_and_writes_nothing(tmp_path):
    path = sweep_file(tmp_path, written("without_conventions", space={"rate": SPACE["lr"]}))
    code, out, err = finished("check", path, "--classes", 3, cwd=tmp_path)
    assert (code, err) == (0, "")
    verdict = {line[13:28].strip(): line[:12].strip() for line in out.splitlines()}
    assert {name for name, said in verdict.items() if said == UNKNOWN} == {
        "initial loss",
        "regularisation",
        "overfitting",
    }
    assert len(verdict) == 9
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.toml"]


# -- What is tried.


def test_the_middle_of_a_range_is_on_its_own_scale():
    space = space_from(SPACE | {"drop": {"uniform": [0.0, 0.5]}, "units": {"int": [10, 1000], "log": True}, "k": 7})
    config = middle(space, [])
    # A whole number owns half a step on either side, so the middle of [10, 1000] is the root of 9.5 x 1000.5.
    assert config == {"lr": pytest.approx(0.1), "reg": pytest.approx(1e-3), "drop": 0.25, "units": 97, "k": 7}


def test_the_first_included_config_is_what_is_tried_and_conditions_hold():
    momentum = {"uniform": [0.8, 1.0], "when": {"update": "momentum"}}
    space = space_from(SPACE | {"update": ["sgd", "momentum"], "beta": momentum})
    assert middle(space, [{"lr": 1.0, "update": "sgd"}, {"lr": 2.0}]).keys() == {"lr", "reg", "update"}
    chosen = middle(space, [{"lr": 1.0, "update": "momentum"}])
    assert (chosen["lr"], chosen["beta"]) == (1.0, pytest.approx(0.9))


# -- The judgements, as functions of what was tried.


@given(st.integers(2, 1000), st.floats(0.05, 20))
def test_the_first_loss_passes_exactly_when_it_is_near_that_of_chance(classes, ratio):
    made = checking.initial_loss(tried(ratio * math.log(classes)), "loss", classes, "")
    assert (made.verdict is PASS) == (abs(ratio - 1) <= checking.CHANCE_TOLERANCE)


@given(st.floats(1e-3, 1e3), st.floats(-0.5, 0.5))
def test_regularisation_passes_exactly_when_the_loss_rises(loss, change):
    raised = Raised("reg", 0.0, 1.0, tried(loss), tried(loss * (1 + change)), None, tried(loss))
    verdict = checking.regularisation(raised, ["reg", "l2"], "loss", repeats=True).verdict
    assert checking.regularisation(raised, ["reg", "l2"], "loss", repeats=False).verdict is UNKNOWN
    if abs(change) > 2 * checking.VISIBLE:
        assert verdict is (PASS if change > 0 else FAIL)
    elif abs(change) < checking.VISIBLE / 2:
        assert verdict is UNKNOWN


@given(st.lists(st.floats(), min_size=1, max_size=5), st.data())
def test_two_runs_agree_exactly_when_every_bit_of_the_loss_does(losses, data):
    assert checking.same_seed(tried(*losses), tried(*losses), "loss", "loss").verdict is PASS
    i = data.draw(st.integers(0, len(losses) - 1))
    other = math.nextafter(losses[i], math.inf) if math.isfinite(losses[i]) else 0.0
    changed = tried(*losses[:i], other, *losses[i + 1 :])
    made = checking.same_seed(tried(*losses), changed, "loss", "loss")
    assert made.verdict is FAIL
    assert f"at epoch {i + 1}" in made.text


def test_a_clock_among_the_metrics_is_named_but_is_no_fault():
    first, second = (tried(reports=({"loss": 1.0, "seconds": clock},)) for clock in (0.1, 0.2))
    made = checking.same_seed(first, second, "loss", "loss")
    assert made.verdict is PASS
    assert made.text.endswith("but for seconds")


@pytest.mark.parametrize(
    ("reports", "learnt"),
    [
        ([{"train_acc": 0.4}, {"train_acc": 1.0}], True),
        ([{"train_acc": 40.0}, {"train_acc": 100.0}], True),  # in percent
        ([{"train_acc": 5.0}, {"train_acc": 60.0}], False),
        ([{"train_acc": 0.9, "loss": 1e-9}], False),  # the accuracy is what counts, where there is one
        ([{"loss": 2.0}, {"loss": 0.1}], True),
        ([{"loss": 2.0}, {"loss": 1.9}], False),
        ([{"loss": 2.0}, {"loss": math.nan}], False),
        ([{"val_acc": 1.0}], None),
        ([], None),
    ],
)
def test_a_subset_is_learnt_by_heart_when_its_accuracy_or_its_loss_says_so(reports, learnt):
    assert checking.overfitted(reports, "loss") is learnt


def test_what_a_run_could_not_show_is_not_judged():
    for made in (
        checking.initial_loss(BROKEN, "loss", 10, ""),
        checking.initial_loss(tried(2.3), "loss", None, ""),
        checking.initial_loss(tried(2.3), "cost", 10, ""),
        checking.regularisation(None, ["reg", "l2"], "loss", repeats=True),
        checking.overfitting([("lr 1", BROKEN)], "loss"),
        checking.overfitting([("lr 1", tried(reports=({"val_acc": 1.0},)))], "loss"),
        costing.cost(None, 1.0, [], 2, None, None),
        costing.memory(None, 2, None),
    ):
        assert made.verdict is UNKNOWN


@pytest.mark.parametrize(
    ("base", "words"),
    [
        (BROKEN, "ValueError: no"),
        (tried(1.0), "did you mean 'val_loss'?"),
        (tried(reports=({"val_los": math.nan},)), "never finite"),
    ],
)
def test_an_objective_that_is_not_reported_or_never_finite_fails(base, words):
    renamed = replace(base, reports=tuple({"val_loss": r["loss"]} if "loss" in r else r for r in base.reports))
    made = checking.reporting(renamed, "val_los", "loss")
    assert made.verdict is FAIL
    assert words in made.text


@given(st.floats(1e-3, 1e3), st.floats(0, 10), st.integers(2, 9))
def test_the_pace_is_found_in_two_trials_of_a_steady_trainer(epoch_s, start_s, epochs):
    longer, shorter = (tried(*[1.0] * n, seconds=start_s + epoch_s * n) for n in (epochs, 1))
    found = costing.pace(longer, shorter)
    assert found.trial_s(100) == pytest.approx(start_s + 100 * epoch_s, rel=1e-3)
    assert costing.pace(longer, BROKEN) is None


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_the_pace_is_never_negative_and_a_trainer_with_an_end_of_its_own_costs_the_same_at_any_budget(longer, shorter):
    found = costing.pace(tried(1.0, 1.0, seconds=longer), tried(1.0, seconds=shorter))
    assert found.start_s >= 0
    assert found.epoch_s > 0
    assert costing.pace(tried(1.0, seconds=longer), tried(1.0, seconds=shorter)).trial_s(99) == longer


@given(st.integers(1, 8))
def test_the_cost_is_the_work_shared_out_over_the_slots(slots):
    stages = [StageSettings("coarse", 40, 5), StageSettings("fine", 10, 20)]
    wall_s = 60 * (math.ceil(40 / slots) * 5 + math.ceil(10 / slots) * 20) + 7

    def verdict(timeout_s=None, budget_s=None):
        return costing.cost(Pace(0.0, 60.0), 7.0, stages, slots, timeout_s, budget_s).verdict

    assert [verdict(), verdict(budget_s=wall_s), verdict(budget_s=wall_s - 1)] == [PASS, PASS, FAIL]
    assert [verdict(timeout_s=20 * 60), verdict(timeout_s=20 * 60 - 1)] == [PASS, FAIL]


@given(st.integers(1, 10**12), st.integers(1, 64), st.integers(1, 10**12))
def test_the_workers_fit_exactly_when_together_they_hold_no_more_than_the_machine(peak, slots, machine):
    assert (costing.memory(peak, slots, machine).verdict is PASS) == (peak * slots <= machine)
