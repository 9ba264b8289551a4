"""What a trial is told of itself."""

import pathlib

import pandas as pd
from conftest import run_sweep, sweep

from workers.context import Context

TRAINERS = pathlib.Path(__file__).parents[1] / "trainers_saving.py"
STAGES = [{"name": "coarse", "trials": 3, "epochs": 2}, {"name": "fine", "trials": 2, "epochs": 5, "continue": 1}]


def test_its_names_are_those_of_the_run_the_stage_and_the_trial():
    context = Context("digits", "coarse", 17, 255, 0, 5)
    assert (context.name, context.group) == ("digits-coarse-17", "digits")


def test_its_id_is_that_of_no_other_trial_and_the_same_for_every_attempt():
    context = Context("digits", "coarse", 17, 255, 0, 5)
    assert context.id == Context("digits", "coarse", 17, 255, 5, 20).id
    others = [Context("x", "coarse", 17, 255, 0, 5), Context("digits", "fine", 17, 255, 0, 5)]
    others += [Context("digits", "coarse", 18, 255, 0, 5), Context("digits", "coarse", 17, 256, 0, 5)]
    assert len({context.id, *(other.id for other in others)}) == 5


def test_a_trainer_that_names_context_knows_where_it_is_and_how_far_it_goes(folder):
    written = sweep(stages=STAGES) | {"train": f"{TRAINERS}:knowing"}
    run_sweep(written, folder, backend="local")
    trials = pd.read_parquet(folder / "trials").set_index(["stage", "trial"])
    for (stage, trial), row in trials.iterrows():
        lines = (folder / "logs" / f"{stage}-{trial}.log").read_text().splitlines()
        goes_on = stage == "coarse" and row.epochs == 5
        budgets = [(0, 2), (2, 5)] if goes_on else [(0, 2) if stage == "coarse" else (0, 5)]
        assert len(lines) == len(budgets)
        for line, (start, epochs) in zip(lines, budgets, strict=True):
            context = Context("x", stage, trial, row.seed, start, epochs)
            assert line == f"{context!r} {context.name} {context.group} {context.id}"
