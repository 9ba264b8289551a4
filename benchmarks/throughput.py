"""No-op trials of 5 reports each, a second: ours (stored in Parquet), Optuna in memory, and a bare loop.

    .venv/bin/python benchmarks/throughput.py [TRIALS] [REPEATS]

All in one run, taking turns, so that they share the machine's moods; medians, and the spread.
"""

import pathlib
import statistics
import sys
import tempfile
import time
import tomllib

from sweeps.launch import launch, reference
from sweeps.progress import open_view
from sweeps.settings import settings_from

REPORTS = 5
OPTUNA_TRIALS = 1000


def train(lr, reg, *, epochs, seed):
    """A trial that does nothing but report."""
    for epoch in range(1, epochs + 1):
        yield {"loss": 1.0 / epoch, "val_acc": lr * epoch}


def bare(trials: int) -> float:
    """Seconds of the same loop, results kept in a list."""
    began, kept = time.perf_counter(), []
    for trial in range(trials):
        kept.extend([dict(report) for report in train(1e-3, 1e-3, epochs=REPORTS, seed=trial)])
    return time.perf_counter() - began


def optuna_in_memory(trials: int) -> float:
    """Seconds of a random search with reports in Optuna's memory."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), direction="maximize")

    def objective(trial: "optuna.Trial") -> float:
        lr = trial.suggest_float("lr", 1e-6, 1e-3, log=True)
        reg = trial.suggest_float("reg", 1e-5, 1e5, log=True)
        best = 0.0
        for epoch, report in enumerate(train(lr, reg, epochs=REPORTS, seed=0)):
            trial.report(report["val_acc"], epoch)
            best = max(best, report["val_acc"])
        return best

    began = time.perf_counter()
    study.optimize(objective, n_trials=trials)
    return time.perf_counter() - began


def ours(trials: int, backend: str) -> float:
    """Seconds from nothing to the last canonical file, workers' start included."""
    written = tomllib.loads(
        f"""
        train = "{pathlib.Path(__file__).resolve()}:train"
        metric = "val_acc"
        mode = "max"
        [space]
        lr = {{ log = [1e-6, 1e-3] }}
        reg = {{ log = [1e-5, 1e5] }}
        [[stage]]
        name = "only"
        trials = {trials}
        epochs = {REPORTS}
        """
    )
    settings = settings_from(written, pathlib.Path.cwd())
    with tempfile.TemporaryDirectory() as folder, open("/dev/null", "w") as quiet:
        began = time.perf_counter()
        launch(
            settings,
            reference(settings.train, settings.folder),
            None,
            pathlib.Path(folder) / "x",
            backend,
            open_view(quiet),
        )
        return time.perf_counter() - began


def main() -> None:
    """Print a table of medians."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    what = {
        "bare loop, one core": lambda: trials / bare(trials),
        "coarsefine, inline": lambda: trials / ours(trials, "inline"),
        "coarsefine, local": lambda: trials / ours(trials, "local"),
        f"optuna in memory, {OPTUNA_TRIALS} trials": lambda: OPTUNA_TRIALS / optuna_in_memory(OPTUNA_TRIALS),
    }
    rates: dict[str, list[float]] = {name: [] for name in what}
    for _ in range(repeats):
        for name, measure in what.items():
            rates[name].append(measure())
    print(f"no-op trials of {REPORTS} reports a second; {trials:,} trials, median of {repeats} (lowest - highest)")
    for name, found in rates.items():
        print(f"{name:<32} {statistics.median(found):>10,.0f}   ({min(found):,.0f} - {max(found):,.0f})")


if __name__ == "__main__":
    main()
