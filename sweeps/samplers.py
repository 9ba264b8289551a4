"""The configs of a stage given by hand whose method is a sampler of Optuna: asked of it, told of all before."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sweeps.arrow import numbers
from sweeps.errors import UsageError
from sweeps.objective import Objective
from sweeps.proposal import Proposal
from sweeps.regions import Region
from sweeps.settings import OPTUNA, StageSettings
from sweeps.space import Choice, Columns, Config, Floats, Range, Space, Value
from sweeps.store import Store
from sweeps.tables import configs_of
from workers.messages import Status
from workers.training import did_you_mean

if TYPE_CHECKING:
    import optuna


def check(space: Space, stages: Sequence[StageSettings]) -> None:
    """Raise unless the samplers that the stages name can propose configs of a space.

    Raises:
        UsageError: Optuna is not there, has none of that name, or it cannot be used here.
    """
    for method in {stage.method for stage in stages if stage.method.startswith(OPTUNA)}:
        with _quietly(method):
            _asked(_study(method, 0), space, 1)


def sampled(
    store: Store, space: Space, objective: Objective, seed: int, stages: Sequence[StageSettings], number: int
) -> Proposal:
    """What an Optuna sampler proposes for a stage, asked for all its trials before any of them is told.

    The study is made anew: what the sampler proposed in earlier stages it proposes once more, so that what it keeps
    beside the results is there too; the trials of other stages are added. It is told the best score of each trial
    within the budget of the stage it was born in, so that it proposes the same when some have gone on since.

    Args:
        store: Holds the results.
        space: What is searched.
        objective: What is optimised.
        seed: Seed of the sweep.
        stages: The plan.
        number: Number of the stage, at least 1.
    """
    method, told = stages[number].method, 0
    with _quietly(method):
        from optuna.trial import TrialState, create_trial

        study = _study(method, seed)
        for past, stage in enumerate(stages[:number]):
            asked = _asked(study, space, stage.trials)[0] if stage.method == method else []
            columns, scores, states = _results(store, space, objective, past, stage.epochs)
            space = _widened(space, columns)
            distributions = _distributions(space)
            for i, (score, state) in enumerate(zip(scores, states, strict=True)):
                value = score if state == TrialState.COMPLETE else None
                if asked:
                    study.tell(asked[i], value, state)
                    continue
                params = _params(space, {name: column[i] for name, column in columns.items()})
                active = {name: distributions[name] for name in params}
                study.add_trial(create_trial(state=state, value=value, params=params, distributions=active))
            told += len(states)
        configs = _asked(study, space, stages[number].trials)[1]
    columns = {name: [config.get(name) for config in configs] for name in space.names}
    region = Region(space, (f"{method.removeprefix(OPTUNA)} of Optuna, told of {told} trials",))
    return Proposal(columns, region, region, None)


def _asked(study: optuna.Study, space: Space, count: int) -> tuple[list[optuna.Trial], list[Config]]:
    """So many new trials of a study, and their configs."""
    trials = [study.ask() for _ in range(count)]
    return trials, [_config(trial, space) for trial in trials]


def _config(trial: optuna.Trial, space: Space) -> Config:
    """The config of a new trial, parents before what depends on them, without what is not active."""
    config: Config = {}

    def settle(name: str) -> None:
        conditions = space.when.get(name, {})
        for parent in conditions:
            if parent not in config:
                settle(parent)
        if all(_among(config.get(parent), values) for parent, values in conditions.items()):
            config[name] = _suggested(trial, name, space)

    for name in space.names:
        if name not in config:
            settle(name)
    return config


def _among(value: Value, values: Sequence[Value]) -> bool:
    """Whether a value is one of several: True is not 1."""
    return any(value == each and type(value) is type(each) for each in values)


def _suggested(trial: optuna.Trial, name: str, space: Space) -> Value:
    """The value that a new trial has of a parameter."""
    parameter = space.parameters[name]
    if isinstance(parameter, Range):
        if parameter.integer:
            return trial.suggest_int(name, int(parameter.low), int(parameter.high), log=parameter.log)
        return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
    if isinstance(parameter, Choice):  # by its place: Optuna takes no list, and 1 for True
        return parameter.values[trial.suggest_categorical(name, list(range(len(parameter.values))))]
    return parameter.value


def _params(space: Space, config: Config) -> dict[str, Any]:
    """A config as Optuna keeps it."""
    params = {}
    for name in space.searched:
        parameter, value = space.parameters[name], config[name]
        if value is not None:
            params[name] = parameter.index(value) if isinstance(parameter, Choice) else value
    return params


def _distributions(space: Space) -> Mapping[str, Any]:
    """The searched parameters as Optuna knows them."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for name in space.searched:
        parameter = space.parameters[name]
        if isinstance(parameter, Choice):
            found[name] = CategoricalDistribution(range(len(parameter.values)))
        elif isinstance(parameter, Range) and parameter.integer:
            found[name] = IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log)
        elif isinstance(parameter, Range):
            found[name] = FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    return found


def _widened(space: Space, columns: Columns) -> Space:
    """The space with ranges that reach as far as what was tried: an earlier stage may have moved one."""
    ranges = {}
    for name, parameter in space.parameters.items():
        tried = [value for value in columns[name] if value is not None]
        if isinstance(parameter, Range):
            ranges[name] = replace(parameter, low=min([parameter.low, *tried]), high=max([parameter.high, *tried]))
    return space.narrowed(ranges)


def _results(
    store: Store, space: Space, objective: Objective, number: int, epochs: int
) -> tuple[Columns, list[float], list[Any]]:
    """The configs of a finished stage's trials, their best scores within so many epochs, and their states in Optuna.

    What has a score is complete, also if it diverged later. What diverged before is pruned, which says that it is bad;
    what failed says nothing.
    """
    from optuna.trial import TrialState

    table = store.trials(number, ["trial", "status", *space.names])
    reports = store.reports(number, objective.metric)
    columns = configs_of(table, space)
    best: Floats = np.full(len(table), np.inf)
    early = numbers(reports["epoch"]) <= epochs
    rows = np.searchsorted(numbers(table["trial"]), numbers(reports["trial"])[early])
    np.minimum.at(best, rows, objective.scores(numbers(reports[objective.metric]))[early])
    without = {Status.STOPPED.word: TrialState.PRUNED}
    states = [
        TrialState.COMPLETE if scored else without.get(status, TrialState.FAIL)
        for scored, status in zip(np.isfinite(best).tolist(), table["status"].to_pylist(), strict=True)
    ]
    return columns, best.tolist(), states


def _study(method: str, seed: int) -> optuna.Study:
    """An empty study with the sampler that a method names, with its own defaults but for the seed."""
    import optuna

    name = method.removeprefix(OPTUNA)
    known = [each for each in optuna.samplers.__all__ if each.endswith("Sampler")]
    if name not in known:
        raise UsageError(f"Optuna has no sampler {name!r}{did_you_mean(name, known)}")
    word = int(np.random.SeedSequence(seed).generate_state(1)[0])
    try:
        return optuna.create_study(sampler=getattr(optuna.samplers, name)(seed=word))
    except TypeError as error:
        raise UsageError(f"method = {method!r} cannot be used here: it wants more than a seed") from error


@contextmanager
def _quietly(method: str) -> Iterator[None]:
    """Without Optuna's lines about each trial and its warnings of what is experimental; its errors as ours.

    Raises:
        UsageError: Optuna is not there, or the sampler cannot be used here.
    """
    try:
        import optuna
    except ImportError as error:
        raise UsageError(f"method = {method!r} needs Optuna: pip install optuna") from error
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    except (ImportError, ValueError) as error:  # a package that it needs, a kind of parameter that it cannot have
        raise UsageError(f"method = {method!r} cannot be used here: {error}") from error
    finally:
        optuna.logging.set_verbosity(verbosity)
