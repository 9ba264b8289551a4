"""What gathers between two flushes: every row once, at its best epoch, however the reports came in."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.ledger import Ledger, Place
from sweeps.objective import Objective
from workers.columns import EndColumns, ReportColumns
from workers.messages import Status

PLACE = Place(slot=1, host="here", pid=7)
SEEDS = np.arange(100, 200)
COLUMNS = {"lr": [i / 10 for i in range(100)]}


def reports(*rows):
    """Reports from (trial, epoch, metrics)."""
    columns = ReportColumns()
    for trial, epoch, metrics in rows:
        columns.add(trial, epoch, metrics)
    return columns.arrays()


def curve(trial, values, metric="val_acc"):
    return reports(*[(trial, epoch, {metric: value}) for epoch, value in enumerate(values, 1)])


def end(ledger, trial, status=Status.COMPLETED, reason=None, *, final=True, attempt=1):
    columns = EndColumns()
    columns.add(trial, status, 12.5, 0.25, reason, None)
    ledger.end(columns.arrays(), np.array([final]), np.array([attempt]), PLACE)


def taken(ledger, table):
    """The rows that are to be stored in a table, as dicts of what Arrow would store."""
    return stored(ledger.take(COLUMNS, SEEDS)[0][table])


def stored(rows):
    columns, count = rows
    lists = {name: values.tolist() if hasattr(values, "tolist") else list(values) for name, values in columns.items()}
    return [{name: values[i] for name, values in lists.items()} for i in range(count)]


@pytest.mark.parametrize(
    ("mode", "values", "epoch"),
    [
        ("max", [0.1, 0.9, 0.4], 2),
        ("min", [0.1, 0.9, 0.4], 1),
        ("max", [0.5, 0.9, 0.9], 2),
        ("max", [math.nan, 0.2, math.nan], 2),
        ("min", [math.nan, 0.2, math.nan], 2),
        ("max", [math.inf, 0.2], 2),
        ("min", [-math.inf, 0.2], 2),
        ("max", [None, 0.2], 2),
    ],
)
def test_a_trials_metrics_are_those_of_its_best_epoch_the_earliest_of_equals_and_never_nan(mode, values, epoch):
    ledger = Ledger(Objective("val_acc", mode))
    ledger.report(reports(*[(3, e, {"val_acc": v, "loss": 10.0 * e}) for e, v in enumerate(values, 1)]))
    end(ledger, 3)
    (row,) = taken(ledger, "trials")
    assert (row["best_epoch"], row["val_acc"], row["loss"]) == (epoch, values[epoch - 1], 10.0 * epoch)
    assert (row["epochs"], row["seed"], row["lr"]) == (len(values), 103, 0.3)


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, -math.inf], [None]])
def test_a_trial_without_a_finite_objective_has_no_best_epoch_and_no_metrics(values):
    ledger = Ledger(Objective("val_acc", "max"))
    ledger.report(reports((1, 1, {"val_acc": 0.5}), *[(2, e, {"val_acc": v}) for e, v in enumerate(values, 1)]))
    end(ledger, 1)
    end(ledger, 2, Status.STOPPED, "val_acc is nan at epoch 1")
    _, row = taken(ledger, "trials")
    assert (row["best_epoch"], row["val_acc"]) == (None, None)
    assert (row["status"], row["reason"], row["epochs"]) == ("stopped", "val_acc is nan at epoch 1", len(values))


def test_a_metric_is_null_where_it_was_not_reported_and_nan_where_it_was_nan():
    ledger = Ledger(Objective("val_acc", "max"))
    ledger.report(reports((0, 1, {"val_acc": 0.1}), (0, 2, {"val_acc": 0.2, "late": math.nan})))
    ledger.report(reports((1, 1, {"val_acc": 0.3})))
    end(ledger, 0)
    end(ledger, 1)
    rows, metrics = ledger.take(COLUMNS, SEEDS)
    assert metrics == ["late", "val_acc"]
    first, second, third = (row["late"] for row in stored(rows["reports"]))
    assert first is None and math.isnan(second) and third is None  # noqa: PT018 - one sentence
    assert [row["late"] is None for row in stored(rows["trials"])] == [False, True]


def test_only_trials_that_ended_are_stored_and_the_rest_stay_for_the_next_time():
    ledger = Ledger(Objective("val_acc", "max"))
    ledger.report(curve(5, [0.1, 0.2]))
    ledger.report(curve(6, [0.3]))
    end(ledger, 6)
    assert [row["trial"] for row in taken(ledger, "reports")] == [6]
    assert (ledger.finished, ledger.attempts, ledger.rows) == (0, 0, 2)
    ledger.report(reports((5, 3, {"val_acc": 0.7})))
    assert ledger.curve(5).tolist() == [0.1, 0.2, 0.7]
    end(ledger, 5)
    assert [row["epoch"] for row in taken(ledger, "reports")] == [1, 2, 3]


def test_an_attempt_that_is_tried_again_leaves_its_attempt_and_nothing_else():
    ledger = Ledger(Objective("val_acc", "max"))
    ledger.report(curve(4, [0.9, 0.9]))
    end(ledger, 4, Status.LOST, "the worker process exited with code 7", final=False)
    assert (ledger.finished, ledger.rows) == (0, 0)
    ledger.report(curve(4, [0.1]))
    end(ledger, 4, attempt=2)
    rows, _ = ledger.take(COLUMNS, SEEDS)
    (trial,) = stored(rows["trials"])
    assert (trial["status"], trial["reason"], trial["epochs"], trial["val_acc"]) == ("completed", None, 1, 0.1)
    assert [row["val_acc"] for row in stored(rows["reports"])] == [0.1]
    tries = [(row["attempt"], row["outcome"], row["error"]) for row in stored(rows["attempts"])]
    assert tries == [(1, "lost", "the worker process exited with code 7"), (2, "completed", None)]


def test_a_trial_that_is_given_up_keeps_what_it_reported():
    ledger = Ledger(Objective("val_acc", "max"))
    ledger.report(curve(4, [0.2, 0.1]))
    end(ledger, 4, Status.LOST, "the worker process exited with code 7", attempt=2)
    rows, _ = ledger.take(COLUMNS, SEEDS)
    (trial,) = stored(rows["trials"])
    assert (trial["status"], trial["reason"], trial["epochs"], trial["val_acc"]) == (
        "lost",
        "the worker process exited with code 7",
        2,
        0.2,
    )


def test_a_loss_whose_moment_nobody_knows_has_no_start_and_no_duration():
    ledger = Ledger(Objective("val_acc", "max"))
    columns = EndColumns()
    columns.add(0, Status.LOST, math.nan, math.nan, "gone", None)
    ledger.end(columns.arrays(), np.array([True]), np.array([1]), PLACE)
    (attempt,) = taken(ledger, "attempts")
    assert (attempt["started"], attempt["seconds"]) == (None, None)


VALUES = st.one_of(st.none(), st.just(math.nan), st.integers(0, 3).map(float))
NAMES = ("val_acc", "loss", "late")
CURVES = st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1), max_size=4)


def line(row, *keys):
    """A row to compare: NaN is not equal to itself."""
    return (*(row[key] for key in keys), *(str(row.get(name)) for name in NAMES))


def plainest(trial, curve):
    """The row of a trial, from a walk along its epochs."""
    best, row = -math.inf, {"best_epoch": None}
    for epoch, metrics in enumerate(curve, 1):
        value = metrics.get("val_acc")
        if value is not None and value > best:
            best, row = value, metrics | {"best_epoch": epoch}
    return line(row | {"trial": trial, "epochs": len(curve)}, "trial", "epochs", "best_epoch")


@settings(max_examples=60, deadline=None)
@given(st.lists(CURVES, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_how_reports_were_cut_into_messages_and_flushes_cannot_be_seen(curves, random):
    ledger = Ledger(Objective("val_acc", "max"))
    left = {trial: list(enumerate(curve, 1)) for trial, curve in enumerate(curves)}
    trials, lines = [], []
    while left:
        trial = random.choice(sorted(left))
        message = [left[trial].pop(0) for _ in range(min(random.randint(1, 3), len(left[trial])))]
        ledger.report(reports(*[(trial, epoch, metrics) for epoch, metrics in message]))
        if not left[trial]:
            del left[trial]
            end(ledger, trial)
        if random.random() < 0.3 or not left:
            rows, _ = ledger.take(COLUMNS, SEEDS)
            trials += [line(row, "trial", "epochs", "best_epoch") for row in stored(rows["trials"])]
            lines += [line(row, "trial", "epoch") for row in stored(rows["reports"])]
    assert sorted(trials) == [plainest(trial, curve) for trial, curve in enumerate(curves)]
    assert sorted(lines) == [
        line(metrics | {"trial": trial, "epoch": epoch}, "trial", "epoch")
        for trial, curve in enumerate(curves)
        for epoch, metrics in enumerate(curve, 1)
    ]


def test_what_is_tried_again_further_on_loses_nothing_of_the_piece_before_it():
    """A trial's second piece begins, is lost, and begins again before the end of its first piece is stored."""
    ledger = Ledger(Objective("val_acc", "max"))
    ledger.report(curve(3, [0.1, 0.2]))
    end(ledger, 3)
    ledger.reopen(3)
    ledger.report(reports((3, 3, {"val_acc": 0.3})))
    end(ledger, 3, Status.LOST, final=False, attempt=2)
    ledger.report(reports((3, 3, {"val_acc": 0.3})))
    rows, _ = ledger.take(COLUMNS, SEEDS)
    assert [(row["trial"], row["epoch"]) for row in stored(rows["reports"])] == [(3, 1), (3, 2)]
    (before,) = stored(rows["trials"])
    assert (before["epochs"], before["val_acc"]) == (2, 0.2)
    ledger.report(reports((3, 4, {"val_acc": 0.15})))
    end(ledger, 3, attempt=3)
    rows, _ = ledger.take(COLUMNS, SEEDS, lambda trials: {3: before})
    assert [(row["trial"], row["epoch"]) for row in stored(rows["reports"])] == [(3, 3), (3, 4)]
    (after,) = stored(rows[".continued"])
    assert (after["epochs"], after["best_epoch"], after["val_acc"], after["lr"]) == (4, 3, 0.3, 0.3)
    assert rows["trials"][1] == 0
