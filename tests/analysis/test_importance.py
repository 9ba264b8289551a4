"""Importance of parameters: as Optuna has it, and silent where chance would say as much."""

import math

import numpy as np
import optuna
import pandas as pd
import pytest

from analysis.frames import Frames
from analysis.importance import LEAST, best_share, cells_of, divergence, importance
from sweeps.settings import settings_from
from sweeps.space import Choice, Range

SPACE = {
    "lr": {"log": [1e-6, 1e-1]},
    "drop": {"uniform": [0.0, 0.5]},
    "hidden": {"int": [16, 256], "log": True},
    "layers": {"int": [1, 6]},
    "update": ["sgd", "momentum", "adam"],
}


def run(space, objective, count, seed=0):
    """Frames and settings of one stage whose objective is a function of the drawn columns."""
    written = {"train": "t.py:t", "metric": "score", "mode": "min", "space": space}
    settings = settings_from({**written, "stage": [{"name": "only", "trials": count, "epochs": 1}]}, None)
    rng = np.random.default_rng(seed)
    columns = settings.space.decode({name: rng.random(count) for name in settings.space.searched}, count)
    frame = pd.DataFrame(settings.space.conditioned(columns))
    frame["score"] = objective(frame, rng)
    trials = frame.assign(stage="only", trial=range(count), status="completed", reason=None)
    return Frames(trials, pd.DataFrame(), pd.DataFrame(), pd.DataFrame()), settings


def mostly_lr(frame, rng):
    return (
        (np.log10(frame["lr"]) + 3) ** 2
        + 2 * frame["drop"]
        + 0.3 * (frame["update"] == "sgd")
        + rng.normal(0, 0.1, len(frame))
    )


def optuna_says(frames, space):
    """The same trials in Optuna's hands."""
    ranges = {
        "lr": optuna.distributions.FloatDistribution(1e-6, 1e-1, log=True),
        "drop": optuna.distributions.FloatDistribution(0.0, 0.5),
        "hidden": optuna.distributions.IntDistribution(16, 256, log=True),
        "layers": optuna.distributions.IntDistribution(1, 6),
        "update": optuna.distributions.CategoricalDistribution(["sgd", "momentum", "adam"]),
    }
    study = optuna.create_study()
    for row in frames.trials.to_dict("records"):
        params = {name: row[name] for name in space}
        study.add_trial(
            optuna.trial.create_trial(params=params, distributions={n: ranges[n] for n in space}, value=row["score"])
        )
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


@pytest.mark.parametrize(("count", "seed"), [(60, 0), (300, 1), (1000, 2)])
def test_shares_agree_with_optunas(count, seed):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    frames, settings = run(SPACE, mostly_lr, count, seed)
    ours, theirs = importance(frames, settings), optuna_says(frames, SPACE)
    assert dict(ours) == pytest.approx(theirs, abs=1e-6)


def test_shares_are_of_one_and_the_largest_comes_first():
    shares = importance(*run(SPACE, mostly_lr, 300))
    assert shares.index[0] == "lr"
    assert shares.sum() == pytest.approx(1.0)
    assert list(shares) == sorted(shares, reverse=True)


def test_too_few_trials_say_nothing():
    assert importance(*run(SPACE, mostly_lr, LEAST - 1)).empty


def test_where_only_chance_differs_it_is_seldom_that_anything_is_said():
    spoken = [
        not importance(
            *run({"a": {"uniform": [0, 1]}, "b": {"uniform": [0, 1]}}, lambda f, r: r.random(len(f)), 60, i)
        ).empty
        for i in range(40)
    ]
    assert np.mean(spoken) <= 0.1


def test_trials_without_a_finite_objective_do_not_count():
    frames, settings = run(SPACE, mostly_lr, 300)
    broken = frames.trials.assign(trial=frames.trials["trial"] + 300, score=math.nan)
    both = Frames(pd.concat([frames.trials, broken]), frames.reports, frames.stages, frames.attempts)
    pd.testing.assert_series_equal(importance(both, settings), importance(frames, settings))


def test_a_conditional_parameter_counts_where_it_is_active():
    space = {
        "update": ["sgd", "momentum"],
        "beta": {"uniform": [0.0, 1.0], "when": {"update": "momentum"}},
        "other": {"uniform": [0.0, 1.0]},
    }
    shares = importance(*run(space, lambda f, r: (f["beta"] - 0.5).abs().fillna(0.3), 400))
    assert shares["beta"] > 5 * shares["other"]


def test_ties_belong_to_the_best():
    assert list(best_share(np.array([1.0, 1.0, 2.0, 3.0]))) == [True, True, False, False]


@pytest.mark.parametrize("parameter", [Range(0.0, 1.0), Range(1, 8, integer=True), Choice((1, 2, 3), (1.0, 1.0, 1.0))])
def test_the_best_that_are_all_trials_differ_in_nothing(parameter):
    cells = cells_of(parameter, parameter.decode(np.random.default_rng(0).random(50)))
    assert divergence(cells, np.ones(50, bool), parameter) == pytest.approx(0.0, abs=1e-12)
