"""What a sweep is: its settings, checked, whether their keys come from TOML, YAML or Python."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweeps.declaration import RESERVED, config_from, space_from
from sweeps.errors import UsageError
from sweeps.ladder import Plan, plan, stage_name
from sweeps.objective import Objective
from sweeps.rules import BlowUp, NonFinite
from sweeps.sampling import METHODS, grid_size
from sweeps.secret import refuse_secrets
from sweeps.section import Section
from sweeps.space import Config, Space
from sweeps.values import is_number, native
from workers.demand import Demand
from workers.gpus import present, room
from workers.messages import Rule
from workers.training import did_you_mean

CONFIRM = "confirm"  #: the stage in which a search trains its best configs again, with new seeds
CONFIRMATIONS = 3  #: seeds of each: fewer have no spread worth naming
MODEL = "model"  #: the method of a stage whose configs a model of the earlier results proposes
OPTUNA = "optuna:"  #: begins the method of a stage whose configs a sampler of Optuna proposes: "optuna:TPESampler"
MAX_MODELLED = 1_000  #: trials of such a stage: one after the other they are weighed against each other
SEARCH = "search"  #: the method of a stage that a search lays out
MAX_TRIALS = 100_000_000
MAX_TRAININGS, MAX_EPOCHS = 10_000, 1_000_000  #: of a search, whose decisions hold each trial's scores
_TOP = ("train", "setup", "metric", "mode", "seed", "space", "stage", "search", "stop", "run")
_STAGE = ("name", "trials", "epochs", "method", "include", "continue")
_SEARCH = ("trainings", "epochs", "confirm", "workers")
_STOP = ("nan", "blowup", "loss", "timeout")
_RUN = ("slots", "cpus", "gpus", "memory", "resources", "retries", "budget", "address")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class StageSettings:
    """One stage as it was asked for.

    Attributes:
        name: Its name, in the tables and in file names.
        trials: How many trials.
        epochs: Budget of each.
        method: How configs are drawn: one of `METHODS`, "model", or "optuna:" with the name of a sampler.
        include: Configs of the first trials, full or partial.
        continued: How many of the best earlier trials go on to this stage's budget.
    """

    name: str
    trials: int
    epochs: int
    method: str = "random"
    include: tuple[Config, ...] = ()
    continued: int = 0

    @property
    def proposed(self) -> bool:
        """Whether its configs follow from the results of the stages before."""
        return self.method == MODEL or self.method.startswith(OPTUNA)


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """A plan from a budget, as it was asked for.

    Attributes:
        trainings: The budget, in full trainings.
        epochs: A full training.
        confirm: How many of the best configs are trained again at the end, with new seeds.
        workers: Virtual workers that decisions are taken for.
    """

    trainings: float
    epochs: int
    confirm: int
    workers: int

    def layout(self, space: Space) -> Plan:
        """How the budget is laid out."""
        return plan(self.trainings, self.epochs, len(space.searched), self.workers)


@dataclass(frozen=True, slots=True)
class StopSettings:
    """When a trial is stopped.

    Attributes:
        nan: Stop at a metric that is not finite.
        blowup: Stop when the loss is so many times its first value; None for never.
        loss: The metric that `blowup` watches.
        timeout_s: Wall-clock seconds of a trial; None for no limit.
    """

    nan: bool = True
    blowup: float | None = 3.0
    loss: str = "loss"
    timeout_s: float | None = None

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in the order in which they are asked."""
        rules: list[Rule] = [NonFinite()] if self.nan else []
        if self.blowup is not None:
            rules.append(BlowUp(self.loss, self.blowup))
        return tuple(rules)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How trials are run; nothing here changes a result.

    Attributes:
        slots: How many trials run at the same time; None for as many as the cores, or the cluster, allow.
        demand: What a trial takes up; its cores are also the threads of its BLAS.
        retries: How often a trial is tried again after its worker was lost or it ran out of time.
        budget_s: Wall-clock seconds for the whole sweep; None for no limit.
        address: Of a Ray cluster, or "auto" for the one that this machine belongs to; None for no cluster.
    """

    slots: int | None = None
    demand: Demand = field(default_factory=Demand)
    retries: int = 1
    budget_s: float | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """A sweep, checked.

    Attributes:
        train: `file.py:function` or `package.module:function`.
        setup: The same for the function that loads data, or None.
        objective: The metric that is optimised, and its direction.
        seed: Seed of everything that is drawn.
        space: What is searched.
        stages: The plan, in order; of a search, as far as it is known beforehand.
        stop: When a trial is stopped.
        run: How trials are run.
        folder: What relative files are relative to.
        search: The budget that the plan was laid out for, if it was.
    """

    train: str
    setup: str | None
    objective: Objective
    seed: int
    space: Space
    stages: tuple[StageSettings, ...]
    stop: StopSettings
    run: RunSettings
    folder: pathlib.Path
    search: SearchSettings | None = None

    @property
    def slots(self) -> int:
        """How many trials run at the same time on this machine."""
        if self.run.demand.gpus:
            admitted = max(1, room(present(os.environ), self.run.demand.gpus))
            return min(self.run.slots or admitted, admitted, self.most_trials)
        return min(self.run.slots or max(1, len(os.sched_getaffinity(0)) // self.run.demand.cpus), self.most_trials)

    @property
    def most_trials(self) -> int:
        """Trials of the largest stage: more slots than that are of no use."""
        return max(stage.trials for stage in self.stages)


def settings_from(written: Mapping[str, Any], folder: pathlib.Path, *, seed: int | None = None) -> Settings:
    """Checked settings.

    Args:
        written: The sweep file's keys.
        folder: What relative files are relative to.
        seed: Replaces the file's seed.

    Raises:
        UsageError: The first thing that is wrong, in one line that says how to mend it.
    """
    try:
        written = native(written)
        refuse_secrets(written)
    except RecursionError:
        raise UsageError("the settings are nested too deeply") from None
    top = Section("the sweep file", written, _TOP)
    space = space_from(top.table("space"))
    metric = top.text("metric", "the metric that is optimised, as the trainer reports it")
    if metric.casefold() in {name.casefold() for name in (*RESERVED, *space.names)}:
        raise UsageError(f"metric = {metric!r} is also a parameter or a table column: report it under another name")
    mode = top.text("mode", 'mode = "max" or mode = "min"')
    if mode not in ("max", "min"):
        raise UsageError(f'mode must be "max" or "min", found {mode!r}')
    search = _search(written["search"], space) if "search" in written else None
    given = written.get("stage", [])
    if search is not None and given:
        raise UsageError("[search] lays out the stages: leave out [[stage]], or leave out [search]")
    if search is None and (not isinstance(given, Sequence) or not given):
        raise UsageError("there is no stage: add [[stage]] with name, trials and epochs, or [search] with a budget")
    if search is not None:
        stages = _laid_out(search, space)
    else:
        stages = tuple(_stage(stage, i, space) for i, stage in enumerate(given))
    names = [stage.name.casefold() for stage in stages]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two stages are called {name!r}: every stage needs a name of its own")
    return Settings(
        train=top.text("train", '"train.py:train" or "package.module:function"'),
        setup=top.text("setup", default=None),
        objective=Objective(metric, mode),
        seed=top.whole("seed", 0, 0) if seed is None else seed,
        space=space,
        stages=stages,
        stop=_stop(top.table("stop")),
        run=_run(top.table("run")),
        folder=folder,
        search=search,
    )


def _laid_out(search: SearchSettings, space: Space) -> tuple[StageSettings, ...]:
    """The stages of a search, as far as they are known beforehand: dead trials make room for more."""
    layout = search.layout(space)
    sizes = [layout.coarse, *[layout.batch] * (layout.stages - 1)]
    return tuple(StageSettings(stage_name(i), size, search.epochs, SEARCH) for i, size in enumerate(sizes))


def _stage(written: Any, number: int, space: Space) -> StageSettings:
    """One checked stage."""
    section = Section(f"[[stage]] number {number + 1}", written, _STAGE)
    name = section.text("name", 'a name such as "coarse"')
    if not _NAME.fullmatch(name):
        raise UsageError(f"stage name {name!r}: letters, digits, '_' and '-' only, since files are called so")
    where = f"stage {name!r}"
    section = Section(where, written, _STAGE)
    method = section.text("method", default="random")
    proposed = StageSettings(name, 0, 0, method).proposed
    if method not in METHODS and not proposed:
        raise UsageError(f"{where}: unknown method {method!r}{did_you_mean(method, (*METHODS, MODEL))}")
    if proposed and not number:
        raise UsageError(f"{where}: {method!r} needs results to learn from: use another method for the first stage")
    continued = section.whole("continue", 0, 0, MAX_TRIALS)
    if continued and not number:
        raise UsageError(f"{where}: continue = {continued}, but no stage comes before it: leave it out")
    trials = section.whole("trials", most=MAX_TRIALS)
    include = section.get("include", [])
    if not isinstance(include, Sequence) or isinstance(include, str):
        raise UsageError(f"{where}: include must be a list of configs, such as [{{ lr = 1e-3 }}]")
    if len(include) > trials:
        raise UsageError(f"{where}: includes {len(include)} configs but has {trials} trials")
    if proposed and trials > MAX_MODELLED:
        raise UsageError(f"{where}: {method!r} proposes at most {MAX_MODELLED:,} trials; found {trials:,}")
    if (proposed or method == "grid") and include:
        raise UsageError(f"{where}: {method!r} has its own configs: leave out include, or use another method")
    if method == "grid":
        trials = grid_size(space, trials)
    configs = tuple(config_from(config, space, f"{where}, include {i + 1}") for i, config in enumerate(include))
    return StageSettings(name, trials, section.whole("epochs"), method, configs, continued)


def _search(written: Any, space: Space) -> SearchSettings:
    """The checked [search] table."""
    section = Section("[search]", written, _SEARCH)
    trainings = section.get("trainings", None)
    if not is_number(trainings) or not 1 <= trainings <= MAX_TRAININGS:
        raise UsageError(
            f"[search]: trainings must be a number from 1 to {MAX_TRAININGS:,}, the budget in full trainings; "
            f"found {trainings!r}"
        )
    epochs, confirm = section.whole("epochs", most=MAX_EPOCHS), section.whole("confirm", 0, 0, 1000)
    suited = plan(trainings, epochs, len(space.searched)).workers
    return SearchSettings(float(trainings), epochs, confirm, section.whole("workers", suited, 1, 10_000))


def _stop(written: Mapping[str, Any]) -> StopSettings:
    """The checked [stop] table."""
    section = Section("[stop]", written, _STOP)
    nan, blowup = section.get("nan", True), section.get("blowup", 3.0)
    if not isinstance(nan, bool):
        raise UsageError(f"[stop]: nan must be true or false, found {nan!r}")
    if blowup is False or blowup is None:
        blowup = None
    elif not is_number(blowup) or blowup <= 1:
        raise UsageError(f"[stop]: blowup must be a number above 1, such as 3.0, or false; found {blowup!r}")
    return StopSettings(
        nan, None if blowup is None else float(blowup), section.text("loss", default="loss"), section.seconds("timeout")
    )


def _run(written: Mapping[str, Any]) -> RunSettings:
    """The checked [run] table."""
    section = Section("[run]", written, _RUN)
    slots = None if section.get("slots", "auto") == "auto" else section.whole("slots", most=100_000)
    gpus, resources = section.get("gpus", 0), section.table("resources")
    for name, amount in [("gpus", gpus), *resources.items()]:
        if not isinstance(name, str) or not name or not name.isprintable():
            raise UsageError(f"[run]: {name!r} cannot be the name of a resource")
        if not is_number(amount) or amount < 0 or (amount > 1 and amount != int(amount)):
            raise UsageError(f"[run]: {name} must be a whole number or a share of one, such as 0.25; found {amount!r}")
    custom = {name: float(amount) for name, amount in resources.items()}
    demand = Demand(section.whole("cpus", 1), float(gpus), section.size("memory"), custom)
    retries, budget_s = section.whole("retries", 1, 0), section.seconds("budget")
    return RunSettings(slots, demand, retries, budget_s, section.text("address", default=None))
