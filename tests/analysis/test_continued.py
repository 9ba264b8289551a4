"""Trials that a later stage continued: born in `coarse`, where they keep their place, and trained longer in `fine`."""

import numpy as np
import pandas as pd
import pytest
from conftest import sweep

from analysis import captions, figures
from analysis.diagnosis import trial_findings
from analysis.frames import Frames, _told
from analysis.histories import busy_share, short_and_long
from analysis.sections import sections_of
from analysis.stages import sweep_findings
from sweeps.settings import settings_from

SHORT, LONG, COUNT, WENT_ON = 3, 12, 40, 12
STAGES = [{"name": "coarse", "trials": COUNT, "epochs": SHORT}, {"name": "fine", "trials": 20, "epochs": LONG}]


def score(epoch, limit):
    return limit * (1 - 0.5 * 0.8**epoch)


def made(went_on=range(WENT_ON), best_coarse=0.95, best_fine=0.9):
    """Frames of a sweep whose stage `fine` continued the first trials of `coarse`, which are its best."""
    settings = settings_from(sweep(stages=STAGES), None)
    trials, reports, attempts = [], [], []
    clock = pd.Timestamp("2026-01-01", tz="UTC")
    for stage, count in (("coarse", COUNT), ("fine", 20)):
        for i in range(count):
            limit = (best_coarse if stage == "coarse" else best_fine) - 0.01 * i
            epochs = LONG if stage == "fine" or i in went_on else SHORT
            key = {"stage": stage, "trial": i}
            lr = 10 ** (-5 + 3 * ((7 * i) % count) / count)
            curve = [score(epoch, limit) for epoch in range(1, epochs + 1)]
            reports += [{**key, "epoch": e + 1, "loss": 1 - v, "val_acc": v} for e, v in enumerate(curve)]
            told = {"status": "completed", "reason": None, "epochs": epochs, "best_epoch": epochs, "seed": i, "lr": lr}
            trials.append({**key, **told, "loss": 1 - curve[-1], "val_acc": curve[-1]})
            tries = [SHORT, LONG - SHORT] if epochs == LONG and stage == "coarse" else [epochs]
            for number, seconds in enumerate(tries):
                ran = {"attempt": number + 1, "outcome": "completed", "host": "h", "slot": 0, "pid": 1}
                attempts.append({**key, **ran, "started": clock, "seconds": float(seconds)})
                clock += pd.Timedelta(seconds=seconds)
    frames = [pd.DataFrame(rows) for rows in (trials, reports, attempts)]
    return Frames(frames[0], frames[1], pd.DataFrame(), frames[2].assign(error=None, traceback=None), {"x": settings})


@pytest.fixture(scope="module")
def frames():
    return made()


def test_budgets_are_compared_by_all_trials_that_outlived_the_short_one(frames):
    early, late = short_and_long(frames)
    assert len(early) == WENT_ON + 20
    assert early["coarse", 0] == pytest.approx(score(SHORT, 0.95))
    assert late["coarse", 0] == pytest.approx(score(LONG, 0.95))
    assert "over 32 trials" in captions.agreement(frames)


def test_every_picture_is_drawn(frames):
    drawn = {figure.id for section in sections_of(frames) for figure in section.figures}
    assert {"scatter", "over-trials", "over-time", "curves-objective", "agreement", "utilisation"} <= drawn


def test_a_curve_that_went_on_is_one_line_without_a_gap(frames):
    bold = figures.learning_curves(frames, best=1).data[-1]
    assert bold.name == "coarse/0"
    assert list(bold.x) == list(range(1, LONG + 1))


def test_slots_are_busy_in_both_of_its_attempts(frames):
    assert busy_share(frames) == pytest.approx(1.0)


def test_its_whole_curve_is_looked_at():
    frames = made()
    fallen = frames.reports["val_acc"].where(frames.reports["epoch"] <= SHORT, 0.3)
    first = (frames.reports["stage"] == "coarse") & (frames.reports["trial"] == 0)
    frames.reports["val_acc"] = frames.reports["val_acc"].mask(first, fallen)
    found = trial_findings(frames, metric="val_acc", mode="max")
    told = found[(found["stage"] == "coarse") & (found["trial"] == 0)].set_index("finding")["evidence"]
    assert told["best early"].startswith("best about epoch 2 of 12")


def test_a_gain_of_a_trial_that_went_on_is_a_gain_of_the_later_stage(frames):
    names = [each.name for each in sweep_findings(frames, frames.settings)]
    assert "no gain" not in names


def test_a_later_stage_that_found_nothing_better_says_so():
    frames = made(went_on=(), best_fine=0.3)
    assert "no gain" in [each.name for each in sweep_findings(frames, frames.settings)]


def test_reports_past_the_end_of_a_trial_that_is_going_on_are_left_out(frames):
    trials = frames.trials.assign(epochs=np.where(frames.trials["stage"] == "coarse", SHORT, LONG))
    told = _told(frames.reports, trials)
    assert len(told) == trials["epochs"].sum()
    assert told.columns.tolist() == frames.reports.columns.tolist()
