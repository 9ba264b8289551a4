"""What each curve is said to show, on curves drawn by hand; benchmarks/diagnosis.py does it on trained ones."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.diagnosis import COLUMNS, RULES, trial_findings
from analysis.findings import PROBLEM
from analysis.frames import Frames
from analysis.seen import training_twin

EPOCHS = 20
TIME = np.linspace(0.0, 1.0, EPOCHS)
FALL = 0.1 + 2.2 * np.exp(-5 * TIME)  # a loss as one wants it
CLIMB = 0.97 - 0.8 * np.exp(-6 * TIME)
JITTER = 0.3 * (-1.0) ** np.arange(EPOCHS)


def frames_of(*curves, **columns):
    """A run of one stage: each curve is a dict of metrics by epoch."""
    reports = pd.concat(
        [
            pd.DataFrame(curve).assign(stage="only", trial=i, epoch=lambda f: f.index + 1)
            for i, curve in enumerate(curves)
        ]
    )
    lengths = [max(len(values) for values in curve.values()) for curve in curves]
    trials = pd.DataFrame({"stage": "only", "trial": range(len(curves)), "status": "completed", "reason": None})
    return Frames(trials.assign(epochs=lengths, **columns), reports, pd.DataFrame(), pd.DataFrame())


def said(*curves, classes=None, trial=0, metric="val_acc", mode="max", **columns):
    """Names of the findings of a trial."""
    found = trial_findings(frames_of(*curves, **columns), metric=metric, mode=mode, classes=classes)
    return list(found.loc[found["trial"] == trial, "finding"])


def curve(loss=FALL, val=CLIMB, train=None, **more):
    return {"loss": loss, "val_acc": val, "train_acc": val + 0.01 if train is None else train, **more}


def test_a_healthy_trial_has_no_finding():
    assert said(curve(update_ratio=np.full(EPOCHS, 1e-3)), classes=10) == []


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_ends_without_a_finite_number_has_diverged_and_nothing_else_is_said(bad):
    assert said(curve(loss=np.r_[FALL[:-1], bad])) == ["diverged"]


def test_a_loss_three_times_the_first_has_diverged_without_any_rule():
    assert said(curve(loss=np.r_[2.3, 2.0, 4.0, 7.1], val=CLIMB[:4])) == ["diverged"]


def test_a_stopped_trial_that_was_doing_well_has_not_diverged():
    assert "diverged" not in said(curve(), status="stopped", reason="it was the slowest")


def test_the_reason_of_the_rule_is_the_evidence():
    frames = frames_of(
        curve(loss=np.r_[2.3, math.nan], val=CLIMB[:2]), status="stopped", reason="loss is nan at epoch 2"
    )
    assert list(trial_findings(frames, metric="val_acc", mode="max")["evidence"]) == ["loss is nan at epoch 2"]


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_reports_are_too_short_to_say(count):
    assert said(curve(loss=FALL[:count], val=CLIMB[:count])) == ["too short to say"]


def test_a_trial_without_reports_is_too_short_to_say():
    frames = frames_of(curve(), curve())
    frames = Frames(frames.trials, frames.reports.query("trial == 0"), frames.stages, frames.attempts)
    found = trial_findings(frames, metric="val_acc", mode="max")
    assert list(found["finding"]) == ["too short to say"]
    assert list(found["trial"]) == [1]


def test_a_loss_that_hardly_moves_is_flat():
    assert said(curve(loss=2.3 - 0.01 * TIME, val=0.1 + 0.0 * TIME)) == ["loss flat"]


def test_a_climbing_accuracy_over_a_flat_loss_is_explained_as_in_the_lecture():
    frames = frames_of(curve(loss=2.3 - 0.01 * TIME, val=0.1 + 0.15 * TIME))
    found = trial_findings(frames, metric="val_acc", mode="max").set_index("finding")["evidence"]
    assert "val_acc climbs from 0.1 to 0.24" in found["loss flat"]


def test_a_loss_that_was_at_the_bottom_from_the_start_is_not_flat():
    assert "loss flat" not in said(curve(loss=0.05 - 0.001 * TIME, val=0.97 + 0.0 * TIME))


def test_a_loss_that_waits_and_then_falls_points_to_the_initialisation():
    waits = np.r_[np.full(8, 2.3), 0.1 + 2.2 * np.exp(-np.arange(12.0))]
    assert "flat then drop" in said(curve(loss=waits))


def test_a_loss_that_bounces_under_large_updates_is_a_high_plateau_where_others_do_better():
    large = {"update_ratio": np.full(EPOCHS, 0.05)}
    bouncing = curve(loss=np.r_[2.3, 1.2 + JITTER[1:]], val=np.full(EPOCHS, 0.4)) | large
    assert "high plateau" in said(bouncing, *[curve() | large] * 5)
    assert "high plateau" not in said(bouncing, *[bouncing] * 5)


def test_a_loss_that_was_thrown_up_by_its_first_steps_is_a_high_plateau_without_any_update_ratio():
    thrown = curve(loss=np.r_[9.0, 1.3 - 0.1 * TIME[1:]], val=np.full(EPOCHS, 0.4))
    assert "high plateau" in said(thrown, *[curve()] * 5)
    assert "high plateau" not in said(thrown, *[curve(val=0.4 * CLIMB)] * 5)


def test_a_trial_alone_is_not_said_to_do_worse_than_others():
    thrown = curve(loss=np.r_[9.0, 1.3 - 0.1 * TIME[1:]], val=np.full(EPOCHS, 0.4))
    assert "high plateau" not in said(thrown, curve())


def test_a_network_that_died_of_its_first_steps_is_a_high_plateau():
    died = curve(loss=np.r_[40.0, 2.31, np.full(EPOCHS - 2, 2.3)], val=np.full(EPOCHS, 0.1))
    assert said(died, *[curve()] * 5) == ["high plateau"]


def test_small_updates_acquit_the_learning_rate_of_a_plateau():
    died = curve(loss=np.r_[40.0, 2.31, np.full(EPOCHS - 2, 2.3)], val=np.full(EPOCHS, 0.1))
    both = [trial | {"update_ratio": np.full(EPOCHS, 1e-3)} for trial in (died, *[curve()] * 5)]
    assert "high plateau" not in said(*both)


def test_a_loss_that_rose_early_and_stays_up_is_a_high_plateau_where_others_do_better():
    risen = curve(loss=np.r_[2.3, 1.0, np.full(EPOCHS - 2, 1.4)], val=np.full(EPOCHS, 0.5))
    assert "high plateau" in said(risen, *[curve()] * 5)
    assert "high plateau" not in said(risen, *[risen] * 5)


def test_a_flat_loss_whose_updates_vanish_asks_for_a_lower_rate_and_one_that_waits_for_a_higher():
    flat = curve(loss=2.3 - 0.001 * TIME, val=np.full(EPOCHS, 0.1))
    others = [curve(update_ratio=np.full(EPOCHS, 1e-3))] * 5
    killed = flat | {"update_ratio": np.r_[0.2, np.full(EPOCHS - 1, 1e-5)]}
    waiting = flat | {"update_ratio": np.full(EPOCHS, 1e-2)}
    assert said(killed, *others) == ["high plateau"]
    assert said(waiting, *others) == ["loss flat"]


def test_a_training_loss_that_rises_again_is_told():
    assert "loss rising" in said(curve(loss=np.r_[FALL[:10], FALL[9] + 0.15 * np.arange(10)]))


def test_a_loss_that_jumps_is_noisy_and_one_that_only_falls_never_is():
    assert "noisy" in said(curve(loss=FALL + 0.5 + JITTER))


@settings(max_examples=30)
@given(st.lists(st.floats(0.0, 1.0), min_size=5, max_size=30))
def test_a_loss_that_only_falls_is_never_noisy_rising_or_diverged(falls):
    loss = 1.0 + np.cumsum(falls[::-1])[::-1]
    names = said({"loss": loss, "val_acc": np.full(len(loss), 0.5)})
    assert not {"noisy", "loss rising", "diverged"} & set(names)


def test_a_gap_between_training_and_validation_is_overfitting():
    assert "overfitting" in said(curve(val=0.7 * CLIMB, train=CLIMB))
    assert "overfitting" not in said(curve(val=CLIMB - 0.05, train=CLIMB))


def test_overfitting_is_told_by_losses_too():
    validation = np.r_[FALL[:8], FALL[7] + 0.1 * np.arange(12)]
    assert "overfitting" in said(
        {"train_loss": FALL, "loss": FALL, "val_loss": validation}, metric="val_loss", mode="min"
    )
    assert "overfitting" not in said({"train_loss": FALL, "val_loss": FALL + 0.02}, metric="val_loss", mode="min")


def test_no_gap_and_both_low_is_underfitting():
    low = 0.4 - 0.3 * np.exp(-8 * TIME)
    assert said(curve(loss=1.6 + 0.7 * np.exp(-8 * TIME), val=low)) == ["underfitting"]


def test_an_objective_that_climbs_to_the_end_asks_for_more_epochs():
    assert "still improving" in said(curve(loss=2.3 - 1.5 * TIME, val=0.1 + 0.6 * TIME))


def test_training_data_on_their_way_ask_for_more_epochs_before_the_objective_follows():
    assert "still improving" in said(curve(val=np.full(EPOCHS, 0.3), train=0.3 + 0.3 * TIME))
    assert "still improving" not in said(curve(val=np.full(EPOCHS, 0.3), train=0.6 + 0.38 * TIME))


def test_an_objective_that_has_come_to_rest_asks_for_nothing():
    settled = 0.8 - 0.7 * np.exp(-30 * TIME)
    assert "still improving" not in said(curve(val=settled))


def test_a_peak_long_before_the_end_is_told_with_its_epoch():
    peak = np.r_[np.linspace(0.2, 0.9, 8), np.linspace(0.9, 0.2, 13)[1:]]
    found = trial_findings(frames_of(curve(val=peak)), metric="val_acc", mode="max").set_index("finding")["evidence"]
    assert found["best early"].startswith("best about epoch 8 of 20")


@pytest.mark.parametrize("ratio", [1e-6, 1e-5])
def test_updates_too_small_for_the_weights_are_told(ratio):
    assert "update ratio" in said(curve(update_ratio=np.full(EPOCHS, ratio)))


def test_the_initial_loss_is_told_only_where_the_classes_are_known():
    thrown = curve(loss=FALL + np.r_[9.0, np.zeros(EPOCHS - 1)])
    assert "initial loss" in said(thrown, classes=10)
    assert "initial loss" not in said(thrown)


def test_where_the_loss_is_not_reported_the_objective_still_speaks():
    assert said({"val_acc": 0.1 + 0.6 * TIME}) == ["still improving"]


def test_a_trial_is_judged_alike_whatever_the_order_of_the_rows():
    frames = frames_of(curve(), curve(val=0.7 * CLIMB, train=CLIMB), curve(loss=np.r_[FALL[:-1], math.nan]))
    mixed = Frames(
        frames.trials.sample(frac=1, random_state=0), frames.reports.sample(frac=1, random_state=0), frames.stages,
        frames.attempts,
    )  # fmt: skip
    pd.testing.assert_frame_equal(
        trial_findings(frames, metric="val_acc", mode="max"), trial_findings(mixed, metric="val_acc", mode="max")
    )


def test_a_run_without_trials_has_no_findings_but_all_columns():
    empty = frames_of(curve())
    empty = Frames(empty.trials.iloc[:0], empty.reports.iloc[:0], empty.stages, empty.attempts)
    found = trial_findings(empty, metric="val_acc", mode="max")
    assert list(found.columns) == list(COLUMNS)
    assert len(found) == 0


def test_every_rule_is_explained_in_the_docs(pytestconfig):
    page = (pytestconfig.rootpath / "docs" / "diagnosis.md").read_text()
    assert [rule.name for rule in RULES if f"| {rule.name} |" not in page] == []


def test_only_what_is_surely_wrong_is_a_problem():
    assert {rule.name for rule in RULES if rule.severity == PROBLEM} == {
        "diverged", "loss flat", "high plateau", "overfitting"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "names", "twin"),
    [
        ("val_acc", ["acc", "train_acc"], "train_acc"),
        ("validation/loss", ["train/loss"], "train/loss"),
        ("val_loss", ["loss"], "loss"),
        ("acc", ["train_acc"], None),
        ("value", ["ue", "trainue"], None),
    ],
)
def test_the_metric_on_the_training_data_is_found_by_its_name(metric, names, twin):
    assert training_twin(metric, names) == twin
