"""The other ways to search, each a function of (meter, seed) that trains until it is stopped.

As installed where there is a package (Optuna; DEHB and SMAC if they are there). Hyperband, ASHA and BOHB in numpy,
which may go on from checkpoints here and pay for the new epochs only.
"""

import math
import warnings

import numpy as np
from replay import Meter

from sweeps.space import Floats, Range

ETA = 3


def _config(meter: Meter, at: Floats) -> dict[str, float]:
    """The config at a point of the unit cube."""
    return {name: p.decode(at[[j]])[0] for j, (name, p) in enumerate(meter.task.space.parameters.items())}


def _place(meter: Meter, config: dict[str, float]) -> Floats:
    """The point of a config."""
    return np.array([p.encode([config[name]])[0] for name, p in meter.task.space.parameters.items()])


def random(meter: Meter, seed: int) -> None:
    """Full trainings at random."""
    rng = np.random.default_rng(seed)
    while True:
        meter.train(meter.key(), _config(meter, rng.random(len(meter.task.space.names))), meter.task.epochs)


def hyperband(meter: Meter, seed: int) -> None:
    """Hyperband (Li et al. 2018)."""
    rng = np.random.default_rng(seed)
    _brackets(meter, lambda: rng.random(len(meter.task.space.names)), lambda at, epochs, score: None)


def _brackets(meter: Meter, draw, learn) -> None:
    """Hyperband's brackets without end: `draw` gives a point, `learn` is told (point, epochs, score)."""
    longest = meter.task.epochs
    most = int(math.log(longest) / math.log(ETA) + 1e-9)
    while True:
        for s in range(most, -1, -1):
            count = math.ceil((most + 1) / (s + 1) * ETA**s)
            points = [(meter.key(), draw()) for _ in range(count)]
            for i in range(s + 1):
                epochs = max(round(longest * float(ETA) ** (i - s)), 1)
                scores = []
                for key, at in points:
                    curve = meter.train(key, _config(meter, at), epochs)
                    scores.append(curve[-1])
                    trained = meter.task.trained(key, _config(meter, at))
                    learn(_place(meter, trained), epochs, curve[-1])
                order = np.argsort(scores, kind="stable")[: max(int(len(points) / ETA), 1)]
                points = [points[j] for j in order if np.isfinite(scores[j])]


def asha(meter: Meter, seed: int) -> None:
    """Ray Tune's AsyncHyperBandScheduler with its defaults (grace 1, reduction 4), trials one after the other."""
    rng = np.random.default_rng(seed)
    factor, longest = 4, meter.task.epochs
    rungs = [factor**k for k in range(int(math.log(longest) / math.log(factor)) + 1)]
    recorded: dict[int, list[float]] = {rung: [] for rung in rungs}
    while True:
        key, at = meter.key(), rng.random(len(meter.task.space.names))
        config = _config(meter, at)
        for epoch in range(1, longest + 1):
            score = meter.train(key, config, epoch)[-1]
            if not np.isfinite(score):
                break
            if epoch in recorded:
                cutoff = np.percentile(recorded[epoch], 100 / factor) if recorded[epoch] else np.inf
                recorded[epoch].append(score)
                if score > cutoff:
                    break


def tpe(meter: Meter, seed: int) -> None:
    """Optuna's TPE, full trainings."""
    _optuna(meter, seed, False)


def tpe_hyperband(meter: Meter, seed: int) -> None:
    """Optuna's TPE with its Hyperband pruner."""
    _optuna(meter, seed, True)


def _optuna(meter: Meter, seed: int, pruned: bool) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions = {name: distribution(p) for name, p in meter.task.space.parameters.items()}
    longest = meter.task.epochs
    pruner = optuna.pruners.HyperbandPruner(1, longest, ETA) if pruned else optuna.pruners.NopPruner()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruner)
        while True:
            trial = study.ask(distributions)
            key, best, stopped = meter.key(), math.inf, False
            trained = meter.task.trained(key, trial.params)
            if trained != trial.params:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                study.enqueue_trial(trained)
                trial = study.ask(distributions)
            for epoch in range(1, longest + 1):
                score = float(meter.train(key, trial.params, epoch)[-1])
                best = min(best, score)
                trial.report(score, epoch)
                if not math.isfinite(score) or (pruned and trial.should_prune()):
                    stopped = True
                    break
            study.tell(trial, None if stopped else best, optuna.trial.TrialState.PRUNED if stopped else None)


def distribution(parameter: Range):
    """A range as Optuna says it."""
    import optuna

    if parameter.integer:
        return optuna.distributions.IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log)
    return optuna.distributions.FloatDistribution(parameter.low, parameter.high, log=parameter.log)


def bohb(meter: Meter, seed: int) -> None:
    """BOHB (Falkner et al. 2018): Hyperband whose points come from the ratio of two kernel density estimates."""
    rng = np.random.default_rng(seed)
    d = len(meter.task.space.names)
    seen: dict[int, list[tuple[Floats, float]]] = {}

    def draw() -> Floats:
        ready = [epochs for epochs, found in seen.items() if len(found) >= d + 3]
        if not ready or rng.random() < 1 / 3:
            return rng.random(d)
        found = seen[max(ready)]
        x, y = np.array([at for at, _ in found]), np.array([score for _, score in found])
        order = np.argsort(y, kind="stable")
        good_count = max(d + 1, round(0.15 * len(y)))
        good, bad = x[order[:good_count]], x[order[max(good_count, len(y) - max(d + 1, round(0.85 * len(y)))) :]]
        if len(bad) < 2:
            bad = x[order[-2:]]
        width_good, width_bad = (_scott(points) for points in (good, bad))
        centres = good[rng.integers(len(good), size=64)]
        candidates = centres + rng.normal(size=(64, d)) * width_good * 3.0
        candidates = np.where((candidates < 0) | (candidates > 1), rng.random((64, d)), candidates)
        ratio = _density(candidates, good, width_good) - _density(candidates, bad, width_bad)
        return np.minimum(candidates[int(np.argmax(ratio))], 1 - 1e-12)

    _brackets(meter, draw, lambda at, epochs, score: seen.setdefault(epochs, []).append((at, score)))


def _scott(points: Floats) -> Floats:
    """(d,) widths of kernels by Scott's rule."""
    return np.maximum(points.std(axis=0) * len(points) ** (-1 / (points.shape[1] + 4)), 1e-3)


def _density(x: Floats, points: Floats, width: Floats) -> Floats:
    """(m,) logarithm of a kernel density."""
    z = (x[:, None] - points[None]) / width
    logs = -0.5 * np.sum(z**2, axis=2) - np.sum(np.log(width))
    top = logs.max(axis=1)
    return top + np.log(np.exp(logs - top[:, None]).mean(axis=1) + 1e-300)


def dehb(meter: Meter, seed: int) -> None:
    """DEHB 0.1 as installed; it starts every training anew and pays for it, as published."""
    from dehb import DEHB
    from loguru import logger

    space = _config_space(meter, seed)

    def objective(config, fidelity, **_):
        curve = meter.train(meter.key(), dict(config), max(round(float(fidelity)), 1))
        return {"fitness": float(min(curve[-1], 1e6)), "cost": float(fidelity)}

    tool = DEHB(
        f=objective, cs=space, dimensions=len(space), min_fidelity=1, max_fidelity=meter.task.epochs, eta=ETA,
        n_workers=1, seed=seed, output_path="/tmp/dehb", log_level="ERROR",
    )  # fmt: skip
    logger.remove()  # it would print the end of the budget as an error, with all variables
    tool.run(fevals=10**6)


def smac(meter: Meter, seed: int) -> None:
    """SMAC's multi-fidelity facade (random forest and Hyperband), as installed, asked and told.

    Its forest grows in one thread and sets aside room for thousands of leaves instead of a million, and nothing is
    saved: the same proposals in a third of the time.
    """
    import tempfile

    import smac as package
    from smac.runhistory import TrialValue

    keys: dict[tuple, int] = {}
    scenario = package.Scenario(
        _config_space(meter, seed), deterministic=True, n_trials=10**5, min_budget=1, max_budget=meter.task.epochs,
        seed=seed, output_directory=tempfile.mkdtemp(),
    )  # fmt: skip
    facade = package.MultiFidelityFacade
    model = facade.get_model(scenario)
    model._rf_opts |= {"n_jobs": 1, "max_leaf_nodes": 2**12}
    tool = facade(scenario, lambda config, seed, budget: None, model=model, logging_level=50, overwrite=True)
    while True:
        asked = tool.ask()
        values = dict(asked.config)
        key = keys.setdefault(tuple(values.items()), len(keys))
        score = meter.train(key, values, max(round(asked.budget), 1))[-1]
        tool.tell(asked, TrialValue(cost=float(min(score, 1e6))), save=False)


def _config_space(meter: Meter, seed: int):
    import ConfigSpace

    space = ConfigSpace.ConfigurationSpace(seed=seed)
    for name, p in meter.task.space.parameters.items():
        kind = ConfigSpace.UniformIntegerHyperparameter if p.integer else ConfigSpace.UniformFloatHyperparameter
        low, high = (int(p.low), int(p.high)) if p.integer else (p.low, p.high)
        space.add(kind(name, low, high, log=p.log))
    return space


PEERS = {
    "random": random,
    "Hyperband": hyperband,
    "ASHA (Ray's defaults)": asha,
    "Optuna TPE": tpe,
    "Optuna TPE + Hyperband": tpe_hyperband,
    "BOHB-style": bohb,
    "DEHB": dehb,
    "SMAC multi-fidelity": smac,
}
