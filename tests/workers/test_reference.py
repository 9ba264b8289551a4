"""The reference trainer: its reports, its repeatability, and the lecture's sanity checks."""

import inspect
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workers import cifar10, reference
from workers.reference import initial_loss, train

SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def digits():
    return reference.load_digits()


@pytest.fixture(scope="session")
def cifar(tmp_path_factory):
    """CIFAR-10, by way of its standard folder."""
    if not SHARED.is_dir():
        pytest.skip(f"no CIFAR-10 on this machine: {SHARED} is absent")
    folder = tmp_path_factory.mktemp("cifar10")
    subprocess.run([sys.executable, SHARED / "make_cifar10.py", folder], check=True)
    return cifar10.load(folder)


def reports(data, lr=0.1, reg=1e-4, epochs=3, seed=0, **config):
    return list(train(lr, reg, **config, epochs=epochs, seed=seed, data=data))


def test_it_is_a_trainer_of_the_product():
    assert inspect.isgeneratorfunction(train)
    injected = [p.name for p in inspect.signature(train).parameters.values() if p.kind is p.KEYWORD_ONLY]
    assert injected == ["epochs", "seed", "data"]


def test_every_epoch_is_reported_as_plain_numbers(digits):
    rows = reports(digits)
    assert len(rows) == 3
    for row in rows:
        assert list(row) == ["loss", "train_acc", "val_acc", "learning_rate", "update_ratio"]
        assert all(type(value) is float for value in row.values())


def test_the_same_seed_gives_the_same_bits(digits):
    assert reports(digits, seed=5) == reports(digits, seed=5)
    assert reports(digits, seed=5) != reports(digits, seed=6)


def test_a_longer_run_begins_like_a_shorter_one(digits):
    assert reports(digits, epochs=5)[:3] == reports(digits, epochs=3)


def test_training_changes_no_data(digits):
    before = digits.x_train.copy()
    reports(digits)
    np.testing.assert_array_equal(digits.x_train, before)


def test_the_learning_rate_decays_per_epoch(digits):
    rates = [row["learning_rate"] for row in reports(digits, lr=0.1, decay=0.5, epochs=4)]
    assert rates == pytest.approx([0.1, 0.05, 0.025, 0.0125])


def test_the_printed_line_is_that_of_the_lecture(digits, capsys):
    row = reports(digits, lr=1e-6, epochs=10, verbose=True)[0]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[0] == (
        f"Finished epoch 1 / 10: cost {row['loss']:.6f}, train: {row['train_acc']:.6f}, "
        f"val {row['val_acc']:.6f}, lr 1.000000e-06"
    )
    lecture = "Finished epoch 1 / 10: cost 2.302576, train: 0.080000, val 0.103000, lr 1.000000e-06"
    assert re.sub(r"\d\.\d{6}", "#", lines[0]) == re.sub(r"\d\.\d{6}", "#", lecture)


def test_nothing_is_printed_unless_wanted(digits, capsys):
    reports(digits)
    assert capsys.readouterr() == ("", "")


def test_the_first_loss_is_that_of_an_untrained_network(digits):
    """With a learning rate of nothing, the mean over minibatches is the untrained network's loss."""
    still = reports(digits, lr=0.0, reg=2.0, epochs=1)[0]
    assert still["loss"] == pytest.approx(initial_loss(2.0, seed=0, data=digits), rel=1e-4)
    assert still["update_ratio"] == 0.0


def test_the_loss_is_the_mean_over_minibatches(digits):
    """Two minibatches, `reg` alone in charge: a step halves the weights, so the penalty falls to 1/4."""
    first = initial_loss(1e5, seed=0, data=digits)
    loss = reports(digits, lr=5e-6, reg=1e5, update="sgd", subset=400, epochs=1)[0]["loss"]
    assert loss - math.log(10) == pytest.approx((first - math.log(10)) * (1 + 1 / 4) / 2, rel=1e-2)


def test_every_epoch_goes_through_the_examples_in_a_new_order(digits):
    """Two of seven examples wait each time, so that the loss of a network that stays as it is varies."""
    rows = reports(digits, lr=0.0, reg=0.0, init="he", subset=7, batch=5, epochs=5)
    assert len({row["loss"] for row in rows}) > 2


def test_layers_and_units_are_those_asked_for(digits):
    kinds = [{}, {"layers": 2}, {"layers": 3}, {"hidden": 51}]
    assert len({reports(digits, epochs=1, init="he", **kind)[0]["loss"] for kind in kinds}) == 4


def test_the_initial_loss_is_log_classes_and_rises_with_regularisation(digits):
    losses = [initial_loss(reg, seed=0, data=digits) for reg in (0.0, 1e3, 1e5)]
    assert losses[0] == pytest.approx(math.log(10), abs=1e-3)
    weights = 64 * 50 + 50 * 10
    assert losses[2] - losses[0] == pytest.approx(0.5 * 1e5 * weights * 1e-8, rel=0.1)
    assert losses == sorted(losses)


def test_twenty_examples_are_learnt_by_heart(digits):
    last = reports(digits, lr=0.1, reg=0.0, subset=20, decay=1.0, epochs=100)[-1]
    assert last["train_acc"] == 1.0
    assert last["loss"] < 1e-3
    assert last["val_acc"] < 0.9  # twenty examples do not teach ten digits


def test_a_learning_rate_too_low_hardly_moves_the_cost(digits):
    rows = reports(digits, lr=1e-6, epochs=5)
    assert rows[0]["loss"] - rows[-1]["loss"] < 1e-3


@pytest.mark.parametrize("update", ["sgd", "momentum", "nesterov"])
def test_a_learning_rate_too_high_is_not_a_number(digits, update):
    rows = reports(digits, lr=1e6, update=update)
    assert not math.isfinite(rows[-1]["loss"])
    assert rows[-1]["val_acc"] < 0.3


@pytest.mark.parametrize(
    ("lr", "config"),
    [
        (0.3, {"update": "sgd", "init": "he", "reg": 0.0}),
        (0.1, {"update": "momentum"}),
        (0.1, {"update": "nesterov"}),
        (3e-3, {"update": "rmsprop"}),
        (1e-2, {"update": "adam"}),
        (3e-2, {"layers": 3, "init": "he", "hidden": 30}),
        (0.1, {"layers": 3, "batch_norm": True}),
        (0.02, {"batch": 50, "init": "xavier"}),
    ],
)
def test_digits_are_learnt_in_many_ways(digits, lr, config):
    rows = reports(digits, lr=lr, epochs=20, **config)
    assert rows[-1]["val_acc"] > 0.93
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_the_update_ratio_is_that_of_the_last_step(digits):
    """One minibatch, plain descent with `reg` alone in charge: w shrinks by lr * reg."""
    ratio = reports(digits, lr=1e-6, reg=1e4, update="sgd", subset=200, epochs=1)[0]["update_ratio"]
    assert ratio == pytest.approx(1e-2, rel=0.1)


def test_weights_regularised_away_are_no_divergence(digits):
    """A step leaves 0.01 of the weights: soon their squares are too small for single precision."""
    rows = reports(digits, lr=1e-12, reg=0.99e12, update="sgd", decay=1.0, epochs=10)
    assert all(math.isfinite(value) for row in rows for value in row.values())
    assert rows[-1]["loss"] == pytest.approx(math.log(10), abs=0.01)
    assert reference._update_ratio(np.zeros(3, np.float32), np.ones(3, np.float32)) == 0.0


def test_a_minibatch_is_never_larger_than_the_data(digits):
    assert reports(digits, subset=7, batch=200, epochs=2) == reports(digits, subset=7, batch=7, epochs=2)


@pytest.mark.parametrize("config", [{"update": "sdg"}, {"init": "huge"}])
def test_unknown_names_are_refused_at_the_first_epoch(digits, config):
    with pytest.raises(ValueError, match="known are"):
        next(train(0.1, 0.0, **config, epochs=1, seed=0, data=digits))


@pytest.mark.slow
def test_cifar10_starts_as_in_the_lecture(cifar):
    """CS231n, lecture 6: 2.302 without regularisation, 3.068 with 1e3."""
    assert initial_loss(0.0, seed=0, data=cifar) == pytest.approx(2.3026, abs=1e-3)
    assert initial_loss(1e3, seed=0, data=cifar) == pytest.approx(3.068, abs=0.01)


@pytest.mark.slow
def test_cifar10_subset_is_learnt_by_heart(cifar):
    """CS231n, lecture 6: 20 examples, lr 1e-3, reg 0, sgd; 200 epochs end at 0.0026 and 1.00."""
    rows = reports(cifar, lr=1e-3, reg=0.0, update="sgd", decay=1.0, subset=20, epochs=200)
    assert rows[-1]["train_acc"] == 1.0
    assert rows[-1]["loss"] < 0.01


@pytest.mark.slow
def test_cifar10_loss_hardly_moves_while_accuracy_climbs(cifar):
    """CS231n, lecture 6: lr 1e-6, reg 1e-6, ten epochs; 2.302576 to 2.302420, validation 0.103 to 0.192."""
    rows = reports(cifar, lr=1e-6, reg=1e-6, update="sgd", batch=100, decay=1.0, epochs=10, seed=1)
    assert 0 < rows[0]["loss"] - rows[-1]["loss"] < 1e-3
    assert rows[0]["val_acc"] == pytest.approx(0.1, abs=0.03)
    assert rows[-1]["val_acc"] == pytest.approx(0.2, abs=0.04)


@pytest.mark.slow
def test_cifar10_diverges_at_a_million(cifar):
    """CS231n, lecture 6: lr 1e6 gives NaN at once."""
    assert math.isnan(reports(cifar, lr=1e6, reg=1e-6, epochs=1)[0]["loss"])


@pytest.mark.slow
def test_cifar10_two_layer_net_learns(cifar):
    assert reports(cifar, lr=2e-4, reg=1e-2, decay=0.7, epochs=4)[-1]["val_acc"] > 0.48
