"""Tries a trainer out before a sweep: what to run, in which order, with which config; `checking` judges it.

Two worker processes are used, one after the other: what a seed gives must depend neither on the process nor on the
trials that ran in it before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from sweeps import checking, costing
from sweeps.checking import Check, Raised, Verdict
from sweeps.errors import UsageError
from sweeps.launch import check, work_of
from sweeps.settings import CONFIRMATIONS, Settings, StageSettings
from sweeps.space import Choice, Config, Parameter, Range, Space, config_at
from sweeps.values import is_number
from sweeps.wording import clean
from workers.backend import BackendError
from workers.messages import Function
from workers.preflight import DESCRIBE, Bench, Tried, defaults
from workers.training import load

RATES = ("lr", "learning_rate", "step_size", "eta")
PENALTIES = ("reg", "weight_decay", "wd", "l2", "l1", "regularization", "regularisation", "lambda_")
EPOCHS = 3  #: of the runs that are timed and compared
OVERFIT_EPOCHS = 200  #: as in the lecture
PATIENCE_S = 600.0  #: for one run, where [stop] has no timeout
_NOTHING = 1e-9  #: what a learning rate is multiplied by to learn nothing; zero has no logarithm
_STRONG = 1e3  #: regularisation that is not searched is raised to this, as in the lecture


def preflight(settings: Settings, train: Function, setup: Function | None, classes: int | None) -> Iterator[Check]:
    """The checks of a trainer, each as soon as it is made.

    Args:
        settings: The sweep.
        train: Its trainer.
        setup: Loads data for it.
        classes: How many classes the data have; None to ask the data.
    """
    try:
        check(settings, train, setup)
    except UsageError as error:
        text, _, trace = str(error).partition("\n")
        yield Check("names", Verdict.FAIL, text, trace or None)
        return
    given = ", ".join(settings.space.names)
    yield Check("names", Verdict.PASS, f"{settings.train} takes {given}, and needs nothing else")
    try:
        yield from _Flight(settings, train, setup).checks(classes)
    except BackendError as error:
        text, _, trace = str(error).partition("\n")
        yield Check("loading", Verdict.FAIL, text, trace or None)


class _Flight:
    """The runs of a trainer that pass the first check."""

    def __init__(self, settings: Settings, train: Function, setup: Function | None) -> None:
        self._settings = settings
        free = defaults(load(train))
        known = {**free, **dict.fromkeys(settings.space.names), **middle(settings.space, settings.stages[0].include)}
        # Whole numbers called l1 and l2 are sizes of layers.
        strengths = {name: value for name, value in known.items() if isinstance(value, float) or value == 0}
        self._rate, self._penalty = _called(RATES, known), _called(PENALTIES, strengths)
        extra = tuple(name for name in (self._rate, self._penalty, "subset") if name in free)
        active = (*settings.space.names, self._rate, self._penalty)
        self._config = {name: value for name, value in known.items() if name in active and value is not None}
        names = tuple(dict.fromkeys((*settings.space.names, *extra)))
        self._work = replace(work_of(settings, train, setup), parameters=names, rules=(), timeout_s=None)
        self._limit_s = settings.stop.timeout_s or PATIENCE_S

    def checks(self, classes: int | None) -> Iterator[Check]:
        """The checks that need runs."""
        settings, metric, loss = self._settings, self._settings.objective.metric, self._settings.stop.loss
        with Bench(self._work, self._limit_s) as bench:
            loading_s = bench.loading_s
            yield Check("loading", Verdict.PASS, f"a fresh process loads the trainer and its data in {loading_s:.2g} s")
            base = bench.run(self._config, settings.seed, EPOCHS)
            yield checking.reporting(base, metric, loss)
            if base.error is not None:
                return
        if classes is None:
            classes = self._classes()
        with Bench(self._work, self._limit_s) as bench:
            start = None if self._rate is None else bench.run(self._still(0.0), settings.seed, 1)
            yield checking.initial_loss(start, loss, classes, self._how(self._still(0.0)))
            raised = self._raised(bench, start, base)
            again, brief = (bench.run(self._config, settings.seed, epochs) for epochs in (EPOCHS, 1))
            seed = checking.same_seed(base, again, metric, loss)
            yield seed
            yield checking.regularisation(raised, PENALTIES, loss, repeats=seed.verdict is Verdict.PASS)
            yield checking.overfitting(self._overfit(bench), loss)
        run, stop = settings.run, settings.stop
        found = costing.pace(again, brief)
        stages = settings.stages
        if settings.search is not None:  # it costs what its budget says, in however many pieces
            full = settings.search
            stages = (StageSettings("search", round(full.trainings) + full.confirm * CONFIRMATIONS, full.epochs),)
        yield costing.cost(found, loading_s, stages, settings.slots, stop.timeout_s, run.budget_s)
        yield costing.memory(base.peak_bytes, settings.slots, _machine_bytes())

    def _classes(self) -> int | None:
        """How many classes the data know; None if they do not."""
        if self._work.setup is None:
            return None
        with Bench(replace(self._work, train=Function(DESCRIBE), parameters=()), self._limit_s) as bench:
            reports = bench.run({}, 0, 1).reports
        found = reports[0]["classes"] if reports else None
        return None if found is None else int(found)

    def _still(self, penalty: float) -> Config:
        """The config with hardly any learning rate, and this much regularisation."""
        config = dict(self._config)
        if self._rate is not None:
            config[self._rate] *= _NOTHING
        if self._penalty is not None:
            config[self._penalty] = penalty
        return config

    def _raised(self, bench: Bench, start: Tried | None, base: Tried) -> Raised | None:
        """The untrained loss without regularisation and with much of it."""
        if start is None or self._penalty is None:
            return None
        name, seed = self._penalty, self._settings.seed
        high = strongest(self._settings.space.parameters.get(name))
        strong = bench.run(self._still(high), seed, 1)
        loss = self._settings.stop.loss
        same = [report.get(loss) for report in start.reports] == [report.get(loss) for report in strong.reports]
        # Only a penalty that does not show in the loss is looked for in the training.
        trained = bench.run({**self._config, name: high}, seed, EPOCHS) if same else None
        return Raised(name, 0.0, high, start, strong, trained, base)

    def _overfit(self, bench: Bench) -> Sequence[tuple[str, Tried]]:
        """Training on a few examples without regularisation, at higher and higher rates until one learns them."""
        if "subset" not in self._work.parameters:
            return []
        loss = self._settings.stop.loss
        tries = []
        for rate in self._rates():
            config = {**self._config, "subset": checking.SUBSET, **rate}
            if self._penalty is not None:
                config[self._penalty] = 0.0
            tried = bench.run(
                config, self._settings.seed, OVERFIT_EPOCHS, lambda reports: bool(checking.overfitted(reports, loss))
            )
            tries.append((self._how(config), tried))
            if tried.error is not None or checking.overfitted(tried.reports, loss):
                break
        return tries

    def _rates(self) -> Sequence[Config]:
        """Learning rates to overfit with: the config's own, then three quarters up its range, then its top."""
        if self._rate is None:
            return [{}]
        parameter = self._settings.space.parameters.get(self._rate)
        own = self._config[self._rate]
        higher = parameter.decode(np.array([0.75, 1.0])) if isinstance(parameter, Range) else []
        return [{self._rate: rate} for rate in (own, *(rate for rate in higher if rate > own))]

    def _how(self, config: Config) -> str:
        """Learning rate and regularisation of a config, in words."""
        names = [name for name in (self._rate, self._penalty) if name is not None]
        return ", ".join(f"{name} {config[name]:.3g}" for name in names) or "as configured"


def middle(space: Space, include: Sequence[Config]) -> Config:
    """The config in the middle of every range, each on its own scale, with what the first of `include` says."""
    columns = {name: parameter.decode(np.array([0.5])) for name, parameter in space.parameters.items()}
    for name, value in (include[0] if include else {}).items():
        columns[name] = [value]
    return config_at(space.conditioned(columns), 0)


def strongest(parameter: Parameter | None) -> float:
    """The most regularisation that a sweep tries; the lecture's 1e3 where it searches none."""
    if isinstance(parameter, Range):
        return float(parameter.high)
    if isinstance(parameter, Choice):
        return float(max(value for value in parameter.values if is_number(value)))
    return _STRONG


def lines_of(made: Check) -> list[str]:
    """A check in words: its line, and the traceback where there is one."""
    trace = (made.traceback or "").splitlines()
    return [f"{made.verdict:<12} {made.name:<15} {clean(made.text)}", *(f"    {clean(line)}" for line in trace)]


def json_of(made: Sequence[Check]) -> str:
    """All checks as one JSON object."""
    return json.dumps({"checks": [asdict(each) for each in made], "passed": passed(made)}, indent=2)


def passed(made: Sequence[Check]) -> bool:
    """Whether no check has failed."""
    return all(each.verdict is not Verdict.FAIL for each in made)


def _called(names: Sequence[str], known: Mapping[str, Any]) -> str | None:
    """The parameter that goes by one of these names and is a number."""
    return next((name for name, value in known.items() if name.casefold() in names and is_number(value)), None)


def _machine_bytes() -> int | None:
    """The memory of this machine."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
