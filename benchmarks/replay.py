"""Learning curves of real trainings as things to search: any config can be asked for its curve, without training.

The curves are no part of the project: `CURVES` names their folder (default ../shared/data/curves beside the checkout),
whose README says where they are from.
"""

import functools
import importlib.util
import json
import os
import pathlib

import numpy as np

from sweeps.space import Floats, Range, Space

FOLDER = pathlib.Path(os.environ.get("CURVES", pathlib.Path(__file__).parents[2] / "shared" / "data" / "curves"))
_PARTS = 25  #: of its own schedule, after which a run is looked at
_ANCHORS = 600  #: random full trainings that a task's median is taken of


def present() -> bool:
    """Whether the curves are there."""
    return (FOLDER / "curves.py").exists()


class Task:
    """A search problem whose answers are known.

    Attributes:
        name: Of the data set or table.
        epochs: A full training. Where runs have schedules of their own length, it is in parts of the schedule.
        space: What is searched; `limits` are its ends, past which there are no curves.
        best: Best known score, percent of errors or loss: lower is better.
        median: Of the best score of a random full training.
    """

    def __init__(self, name: str) -> None:
        """Load a task by its name: "lcbench-3945", "taskset-0", "schedules-imagenet"."""
        curves = _loader()
        family, which = name.split("-")
        self.name, self.family = name, family
        if family == "lcbench":
            self._raw = curves.LCBench(which)
        else:
            self._raw = curves.taskset(int(which)) if family == "taskset" else _scheduled(curves, which)
        self._model = curves._model
        self.epochs = int(self._raw.R)
        self.space = Space(
            {n: Range(low, high, log, whole, (low, high)) for n, low, high, log, whole in self._raw.space}
        )
        self.best, self.median = self._anchors(curves)
        self.begin()

    def begin(self) -> None:
        """A new search: every row of a table is free again."""
        self._rows: dict[object, int] = {}
        self._asked: dict[object, Floats] = {}

    def curve(self, key: object, config: dict[str, float], start: int, end: int) -> Floats:
        """Scores after epochs start + 1 .. end of a config; infinite where training diverged.

        Args:
            key: The trial: in a table it takes the nearest row that no other trial of this search has.
            config: One value per parameter.
            start: Epochs it has behind it.
            end: Epochs it will have behind it.
        """
        if not self._raw.tabular:
            return self._whole(key, config)[start:end, 1]
        if key not in self._rows:
            at = np.array([p.encode([config[n]])[0] for n, p in self.space.parameters.items()])
            self._rows[key] = self._raw.nearest(at, self._rows.values())
        scores = self._raw.row_curve(self._rows[key], start, end)
        return np.where(np.isfinite(scores), scores, np.inf)

    def trained(self, key: object, config: dict[str, float]) -> dict[str, float]:
        """The config whose curve a trial has: the row's own in a table, so that a method learns of what was trained."""
        if not self._raw.tabular:
            return config
        self.curve(key, config, 0, 1)
        at = self._raw.U[self._rows[key]]
        return {name: p.decode(at[[j]])[0] for j, (name, p) in enumerate(self.space.parameters.items())}

    def seconds(self, key: object, config: dict[str, float], start: int, end: int) -> float:
        """How long epochs start + 1 .. end took; one second each where the data have no times."""
        if self._raw.tabular:
            return float(end - start)
        times = self._whole(key, config)[:, 0]
        return float(max(times[end - 1] - (times[start - 1] if start else 0.0), 0.0))

    def regret(self, score: float) -> float:
        """A score between 0 (best known) and 1 (median of a random full training, or worse)."""
        return min((score - self.best) / (self.median - self.best), 1.0)

    def _whole(self, key: object, config: dict[str, float]) -> Floats:
        """(epochs, 2) time and error of a trial by the LCBench surrogate, whose epoch 1 is the untrained net."""
        if key not in self._asked:
            values = [float(config[name]) for name in self.space.names]
            epochs = np.arange(2.0, self.epochs + 2)
            found = self._model(self._raw.code, np.c_[epochs, np.tile(values, (len(epochs), 1))]).astype(float)
            self._asked[key] = np.c_[found[:, 0], 100.0 - found[:, 1]]
        return self._asked[key]

    def _anchors(self, curves) -> tuple[float, float]:
        """The best known score and the median of random full trainings."""
        if self._raw.tabular:
            finals = np.nanmin(np.where(np.isfinite(self._raw.Y), self._raw.Y, np.inf), axis=1)
            return float(finals.min()), float(np.median(finals))
        at = np.random.default_rng(123).random((_ANCHORS, len(self.space.names)))
        finals = self._raw.curves(at, 0, self.epochs).min(axis=1)
        published = 100.0 - curves.META["lcbench"]["stats"][self.name.split("-")[1]]["val_accuracy"]["max"]
        return min(float(finals.min()), published), float(np.median(finals))


@functools.cache
def loaded(name: str) -> Task:
    """A task that is loaded already, or is from now on."""
    return Task(name)


def train(config, *, epochs, seed):
    """A trainer that looks its curve up, in the task that the config names.

    A trial that goes on is gone through from its start: nothing is trained, so nothing is trained again.
    """
    key = (seed, *config.values())
    for score in loaded(config["task"]).curve(key, config, 0, epochs):
        yield {"score": float(score)}


def names(family: str, part: str) -> list[str]:
    """Tasks of a family that are for tuning ("development": every fourth) or for the table ("test")."""
    if family == "schedules":  # both were used to develop the method
        return [f"{family}-{name}" for name in ("imagenet", "mnli") if part == "development"]
    which = json.loads((FOLDER / "meta.json").read_text())["lcbench"]["tasks"] if family == "lcbench" else range(6)
    return [f"{family}-{name}" for i, name in enumerate(which) if (i % 4 == 0) == (part == "development")]


def _scheduled(curves, which: str):
    """A table of runs that are looked at after equal parts of their own schedules, however long these are.

    A run's length is one of its parameters, and sets its learning rate at any time: runs of different lengths can be
    compared at the same part of their schedules, not at the same epoch.
    """
    table = curves.imagenet("alexnet") if which == "imagenet" else _mnli(curves)
    seen = np.ceil(np.arange(1, _PARTS + 1) / _PARTS * table.lengths[:, None]).astype(int) - 1
    table.Y, table.R = np.take_along_axis(table.Y, seen, axis=1), _PARTS
    table.space = [("schedule", *rest) if name == "epochs" else (name, *rest) for name, *rest in table.space]
    return table


def _mnli(curves):
    """The table of fine-tunings on MNLI, of which `curves` has no loader."""
    packed = np.load(FOLDER / "mnli_deberta-base.npz")
    epochs, batch_size, steps, lr, warmup, dropout = packed["X"].astype(float).T
    space = [
        ("epochs", 1, 4, False, True),
        ("batch_size", 16, 64, True, True),
        ("lr", 1e-6, 1e-3, True, False),
        ("warmup", 0.0, 0.6, False, False),  # of all steps
        ("dropout", 0.0, 0.3, False, False),
    ]
    errors, lengths = 100 * (1 - packed["curves"][:, :, 1].astype(float)), packed["curves"][:, :, 0]
    at = np.stack([epochs, batch_size, lr, warmup / steps, dropout], axis=1)
    return curves.Table("mnli", space, at, errors, errors.shape[1], np.isfinite(lengths).sum(axis=1))


def _loader():
    """The module that reads the files."""
    spec = importlib.util.spec_from_file_location("curves", FOLDER / "curves.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if module._model is None:
        module._model = module.LCBenchModel()
    return module


class Spent(Exception):
    """The budget of epochs is used up."""


class Meter:
    """Trains for a peer, counts epochs and keeps the best score after each.

    Attributes:
        best: (budget,) best score after so many epochs were spent.
    """

    def __init__(self, task: Task, budget: int) -> None:
        """Begin a search of `budget` epochs."""
        task.begin()
        self.task, self.budget = task, budget
        self.best = np.full(budget, np.inf)
        self._spent = 0
        self._curves: dict[object, Floats] = {}
        self._count = 0

    def key(self) -> int:
        """The key of a new trial."""
        self._count += 1
        return self._count

    def train(self, key: object, config: dict[str, float], epochs: int) -> Floats:
        """Scores of epochs 1 .. `epochs` of a trial, fewer where it diverged or nothing is left; goes on where it was.

        Raises:
            Spent: There were no epochs left before.
        """
        known = self._curves.get(key, np.empty(0))
        alive = not len(known) or np.isfinite(known[-1])
        if len(known) < epochs and alive:
            if self._spent >= self.budget:
                raise Spent
            end = min(epochs, len(known) + self.budget - self._spent)
            new = self.task.curve(key, config, len(known), end)
            if not np.isfinite(new).all():
                new = new[: int(np.argmin(np.isfinite(new))) + 1]
            for score in new:
                before = self.best[self._spent - 1] if self._spent else np.inf
                self.best[self._spent] = min(before, score)
                self._spent += 1
            known = self._curves[key] = np.r_[known, new]
        return known[:epochs]
