"""A corpus of training curves whose faults are known, because what cures them was really trained.

A *case* is a data set, an update rule and a budget, drawn from a seed. In each case the same problem is trained by
nine kinds of network or data (`KINDS`), each at every rung of a ladder of learning rates, for 2.5 times the budget;
by the reference network, or by torch where the seed is `TORCH` or more.
All of it is trained twice, with other initial weights and another order of the examples the second time, so that
luck can be told from what would happen again.
A trial is the first part of such a run, cut as a sweep would cut it. What is wrong with it is then no opinion:

    the learning rate was too high, if a lower rung ends with a much lower loss;
    it should have trained longer, if the rest of the very same run is much better;
    it lacked capacity, if the wider network learns the same training data much better at the same rate; ...

Where the cure does a lot the fault is there, where it does next to nothing it is not, and between the two lies what
no one can call: those are left out, and counted.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from workers import datasets, reference
from workers.datasets import Dataset

KINDS = ("base", "tiny", "few", "noise", "deep", "deep small", "unscaled", "small", "growing")
RATES = {"sgd": 10.0 ** np.arange(-4, 0.8, 0.5), "momentum": 10.0 ** np.arange(-5, 0.3, 0.5)}
RATES["adam"] = 10.0 ** np.arange(-5.5, 0.3, 0.5)
BUDGETS = (8, 15, 30)
LONGER = 2.5  # times the budget
TWIN = {"small": "base", "deep small": "deep", "growing": "base"}  # the same network, well initialised, a falling rate
TORCH = 10_000  # seeds from here on are trained by torch
AGAIN = 5_000  # from the luck of the first training of a case to that of the second
GROWTH = 10.0  # of the learning rate within the budget, where it grows
METRICS = ("loss", "train_acc", "val_acc", "learning_rate", "update_ratio")


@dataclass(frozen=True)
class Case:
    """What all trainings of a seed share.

    Attributes:
        trainer: Whose `train` and `initial_loss` they are of.
        data: What is learnt, by kind.
        update: The update rule.
        epochs: The budget of a trial.
        settings: Everything else that the trainer is given, by kind.
        chance: Loss of a network that knows nothing, log(classes).
    """

    trainer: ModuleType
    data: Mapping[str, Dataset]
    update: str
    epochs: int
    settings: Mapping[str, Mapping[str, object]]
    chance: float

    def initial_loss(self, seed: int, kind: str) -> float:
        """The loss of an untrained network, without regularisation."""
        keys = {name: self.settings[kind][name] for name in ("hidden", "layers", "init") if name in self.settings[kind]}
        return self.trainer.initial_loss(0.0, **keys, seed=seed, data=self.data[kind])


def draw(seed: int) -> Case:
    """The case of a seed."""
    rng = np.random.default_rng([7, seed])
    data, few, tiny = [_digits, _blobs, _spirals][seed % 3](rng)
    update = ("sgd", "momentum", "adam")[seed // 3 % 3]
    common = {
        "reg": float(rng.choice([0.0, 1e-5, 1e-4])),
        "hidden": 64,
        "init": "he",
        "batch": int(rng.choice([50, 100])),
        "decay": float(rng.choice([0.95, 0.98, 1.0])),
        "update": update,
    }
    classes = len(data.classes)
    flipped = rng.random(len(data.y_train)) < 0.4
    noisy = np.where(flipped, rng.integers(0, classes, len(data.y_train)), data.y_train)
    kinds = dict.fromkeys(KINDS, data)
    kinds["few"] = data.subset(few)
    kinds["noise"] = replace(data.subset(few * 4), y_train=noisy[: few * 4])
    kinds["unscaled"] = replace(data, x_train=data.x_train * 16, x_val=data.x_val * 16)
    settings: dict[str, dict[str, object]] = {kind: dict(common) for kind in KINDS}
    settings["tiny"]["hidden"] = tiny
    settings["deep"] |= {"layers": 3}
    settings["small"] |= {"init": "small"}
    settings["deep small"] |= {"layers": 3, "init": "small"}
    epochs = int(rng.choice(BUDGETS))
    settings["growing"] |= {"decay": GROWTH ** (1 / epochs)}
    return Case(_trainer(seed), kinds, update, epochs, settings, math.log(classes))


def train(seed: int, luck: int) -> dict[str, np.ndarray]:
    """What every run of a case reported, by kind: (rates, epochs, metrics), NaN after a run has diverged.

    Args:
        seed: Of the case.
        luck: Seed of the initial weights and of the order of the examples.
    """
    found = draw(seed)
    total = math.ceil(LONGER * found.epochs)
    runs = {}
    for kind in KINDS:
        grid = np.full((len(RATES[found.update]), total, len(METRICS)), np.nan)
        for rung, rate in enumerate(RATES[found.update]):
            keys = found.settings[kind]
            run = found.trainer.train(lr=float(rate), **keys, epochs=total, seed=luck, data=found.data[kind])
            for epoch, report in enumerate(run):
                grid[rung, epoch] = [report[name] for name in METRICS]
                if not math.isfinite(report["loss"]):
                    break
        runs[kind] = grid
    return runs


def _trainer(seed: int) -> ModuleType:
    """Who trains the case of a seed; torch is imported where it is used only."""
    return reference if seed < TORCH else importlib.import_module("torch_network")


def _spread(x: np.ndarray) -> np.ndarray:
    """Inputs of variance 1, which He's initialisation is meant for."""
    return (x / x.std()).astype(np.float32)


def _digits(rng: np.random.Generator) -> tuple[Dataset, int, int]:
    """Half of scikit-learn's digits; how many examples are too few, and how many units."""
    data = datasets.digits()
    x = np.concatenate([data.x_train, data.x_val, data.x_test])
    y = np.concatenate([data.y_train, data.y_val, data.y_test])
    order = rng.permutation(len(x))[:1000]
    return datasets.split(_spread(x[order]), y[order], validation=400, test=0, classes=data.classes), 40, 2


def _blobs(rng: np.random.Generator) -> tuple[Dataset, int, int]:
    """Classes of several Gaussian clusters each."""
    classes, clusters, inputs = int(rng.integers(3, 9)), 2, 16
    centres = rng.normal(0, 1.0, (classes * clusters, inputs))
    which = rng.integers(0, classes * clusters, 1000)
    x = _spread(centres[which] + rng.normal(0, 0.5, (1000, inputs)))
    names = tuple(map(str, range(classes)))
    return datasets.split(x, which % classes, validation=400, test=0, classes=names), 6 * classes, 1


def _spirals(rng: np.random.Generator) -> tuple[Dataset, int, int]:
    """CS231n's spirals: one arm per class."""
    classes = int(rng.integers(2, 5))
    labels = rng.integers(0, classes, 1000)
    radius = rng.random(1000)
    angle = labels * 2 * np.pi / classes + radius * 4.0 + rng.normal(0, 0.15, 1000)
    x = _spread(np.c_[radius * np.sin(angle), radius * np.cos(angle)])
    names = tuple(map(str, range(classes)))
    return datasets.split(x, labels, validation=400, test=0, classes=names), 12 * classes, 2
