"""CS231n's trainer, as a trainer of this product: trains `workers.network` and reports every epoch.

Sweep files may name it: `train = "workers.reference:train"`, `setup = "workers.reference:load_digits"`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from workers import datasets, network, updates
from workers.datasets import Dataset
from workers.network import Array, Network
from workers.updates import Step

Rows = npt.NDArray[np.integer[Any]]

SAMPLE = 1000  # training examples that train_acc is measured on: as many as CS231n takes


def load_digits() -> Dataset:
    """scikit-learn's digits, the data set that needs no download."""
    return datasets.digits()


def train(
    lr: float,
    reg: float,
    hidden: int = 50,
    layers: int = 1,
    batch: int = 200,
    update: str = "momentum",
    momentum: float = 0.9,
    rms_decay: float = 0.99,
    beta1: float = 0.9,
    beta2: float = 0.999,
    decay: float = 0.95,
    init: str = "small",
    batch_norm: bool = False,
    subset: int = 0,
    verbose: bool = False,
    *,
    epochs: int,
    seed: int,
    data: Dataset,
) -> Iterator[dict[str, float]]:
    """One report per epoch of a ReLU network in training; the defaults are CS231n's two-layer net.

    Args:
        lr: Learning rate of the first epoch.
        reg: Strength of the L2 regularisation.
        hidden: Units of each hidden layer.
        layers: Hidden layers.
        batch: Examples of a minibatch.
        update: sgd, momentum, nesterov, rmsprop or adam.
        momentum: Of momentum and nesterov.
        rms_decay: Of rmsprop.
        beta1: Of adam.
        beta2: Of adam.
        decay: What the learning rate is multiplied by after every epoch.
        init: small, xavier or he. The latter two are meant for inputs of variance 1; pixels are far from it,
            so they start at a high loss.
        batch_norm: Whether hidden layers are batch-normalised.
        subset: Train on the first so many examples only; 0 for all. A network that cannot overfit 20
            examples has a bug.
        verbose: Whether to print CS231n's line after every epoch.
        epochs: How many.
        seed: Everything random follows from it; the same seed gives the same bits.
        data: What to learn.

    Yields:
        loss: Mean over the epoch's minibatches of the regularised loss, each before its update: less noisy
            than the last minibatch, which CS231n prints. Not finite once the training has diverged.
        train_acc: Accuracy on the first 1,000 training examples after the epoch.
        val_acc: Accuracy on the validation part after the epoch.
        learning_rate: The learning rate of the epoch.
        update_ratio: Norm of the epoch's last update over the norm of the weights; about 1e-3 is healthy,
            0 where regularisation has left no weights.

    Source: CS231n, lecture 6 and assignment 1 (`ClassifierTrainer`).
    """
    if subset:
        data = data.subset(subset)
    rng = np.random.default_rng(seed)
    net = _untrained(hidden, layers, init, batch_norm, rng, data)
    step = updates.create(update, net.parameters.flat, momentum=momentum, rms_decay=rms_decay, beta1=beta1, beta2=beta2)
    for epoch in range(1, epochs + 1):
        loss, update_ratio = _epoch(net, step, lr, reg, batch, rng, data)
        report = {
            "loss": loss,
            "train_acc": network.accuracy(net, data.x_train[:SAMPLE], data.y_train[:SAMPLE]),
            "val_acc": network.accuracy(net, data.x_val, data.y_val),
            "learning_rate": lr,
            "update_ratio": update_ratio,
        }
        if verbose:
            print(_line(epoch, epochs, report))
        yield report
        lr *= decay


def initial_loss(
    reg: float,
    hidden: int = 50,
    layers: int = 1,
    init: str = "small",
    batch_norm: bool = False,
    *,
    seed: int,
    data: Dataset,
) -> float:
    """The loss of the untrained network, on the first 1,000 training examples.

    About log(classes) with small weights and `reg` 0; it rises with `reg`.
    """
    net = _untrained(hidden, layers, init, batch_norm, np.random.default_rng(seed), data)
    return network.backpropagate(net, data.x_train[:SAMPLE], data.y_train[:SAMPLE], reg)


def _untrained(
    hidden: int, layers: int, init: str, batch_norm: bool, rng: np.random.Generator, data: Dataset
) -> Network:
    sizes = [data.x_train.shape[1], *[hidden] * layers, len(data.classes)]
    return network.create(sizes, rng, init=init, batch_norm=batch_norm)


def _epoch(
    net: Network, step: Step, lr: float, reg: float, batch: int, rng: np.random.Generator, data: Dataset
) -> tuple[float, float]:
    """Trains once through the data, in a new order; the mean loss and the last update ratio.

    Examples that do not fill a minibatch wait for another epoch.
    """
    n = len(data.x_train)
    batch = min(batch, n)
    x = np.empty((batch, data.x_train.shape[1]), data.x_train.dtype)
    weights = net.parameters.decayed

    def descend(rows: Rows) -> float:
        np.take(data.x_train, rows, axis=0, out=x, mode="clip")  # the default mode would copy once more
        loss = network.backpropagate(net, x, data.y_train[rows], reg)
        step(net.gradient.flat, lr)
        return loss

    batches = rng.permutation(n)[: n - n % batch].reshape(-1, batch)
    losses = [descend(rows) for rows in batches[:-1]]
    before = weights.copy()
    losses.append(descend(batches[-1]))
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.mean(losses)), _update_ratio(before, weights)


def _update_ratio(before: Array, after: Array) -> float:
    """Norm of the update over norm of the weights; 0 where regularisation has left no weights."""
    # In double precision: squares of single-precision weights underflow where `reg` is strong.
    size = np.linalg.norm(before.astype(np.float64))
    return float(np.linalg.norm(after.astype(np.float64) - before) / size) if size else 0.0


def _line(epoch: int, epochs: int, report: dict[str, float]) -> str:
    """The line that CS231n's trainer prints after an epoch."""
    return (
        f"Finished epoch {epoch} / {epochs}: cost {report['loss']:f}, train: {report['train_acc']:f}, "
        f"val {report['val_acc']:f}, lr {report['learning_rate']:e}"
    )
