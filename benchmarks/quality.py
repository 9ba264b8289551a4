"""Regret of the staged search and of the other ways to search, at equal epochs, on learning curves of real trainings.

    .venv/bin/python benchmarks/quality.py [--family lcbench] [--part test] [--seeds 20] [--methods ours,random,...]
                                           [--picture docs/pictures/search.png]

Runs what its cache (`QUALITY_CACHE`, by default in /tmp) does not hold yet, seed by seed, then prints a table of the
seeds that all its methods have; so it may be stopped and started again. Where DEHB and SMAC are in another environment,
run it there with `--methods "DEHB,SMAC multi-fidelity"`. Ours is run anew when a file that decides for it has changed.
Ours writes real results folders: `TMPDIR=/dev/shm` keeps them in memory.

Ours is `sweeps.run` with a trainer that looks curves up (`replay.train`), as any user would call it. Peers are told of
each epoch by a `replay.Meter`. Regret x 100: 0 is the best score known of a task, 100 that of the median of random full
trainings, where it is cut. Any score counts that any trial had after any of its epochs. The peers are read off one run
at each budget; the staged search has to know its budget, so each is a run of its own. In a table a trial takes the
nearest row that no trial of the same search has. Optuna and BOHB-style are told that row's own config as what was
trained; a trainer cannot report another config than it was given, so ours, DEHB and SMAC are not. Intervals: 95 % of
2,000 bootstraps over tasks.

`--family schedules --part development`: ImageNet and MNLI, whose runs have schedules of their own length. They are
looked at after equal parts of these, and a training costs as much however long its schedule is.
"""

import argparse
import contextlib
import hashlib
import io
import os
import pathlib
import tempfile
import zlib

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported

import numpy as np
import replay
from peers import PEERS
from replay import Meter, Spent, Task, loaded, names, present

import sweeps
from sweeps.declaration import written_from

TITLES = {"lcbench": "LCBench", "taskset": "TaskSet", "schedules": "ImageNet and MNLI"}
BUDGETS = {"lcbench": (20, 50, 100), "taskset": (5, 10, 20), "schedules": (5, 10, 20)}  #: full trainings
CACHE = pathlib.Path(os.environ.get("QUALITY_CACHE", "/tmp/coarsefine-quality"))
OURS = "ours"
DECIDING = ("belief", "cube", "edges", "frontier", "ladder", "proposal", "regions", "search", "surface", "views")
_TEXTS = [pathlib.Path(sweeps.__file__).with_name(f"{name}.py").read_bytes() for name in DECIDING]
VERSION = hashlib.blake2b(b"".join(_TEXTS), digest_size=4).hexdigest()  #: of what decides for ours, as it was imported


def ours(task: Task, trainings: int, seed: int) -> float:
    """The best score that the staged search finds."""
    import pandas as pd

    task.begin()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        result = sweeps.run(
            replay.train,
            space={**written_from(task.space), "task": task.name},
            search={"trainings": trainings, "epochs": task.epochs},
            metric="score",
            mode="min",
            seed=seed,
            backend="inline",
            out=folder,
        )
        if result.code == 130:  # what an interrupted run has found is no result
            raise KeyboardInterrupt
        reports = pd.read_parquet(result.folder / "reports")
    assert len(reports) <= trainings * task.epochs
    return float(reports["score"].min())


def peer(method: str, task: Task, trainings: int, seed: int) -> np.ndarray:
    """(epochs,) the best score that a peer has found after so many epochs."""
    meter = Meter(task, trainings * task.epochs)
    with contextlib.suppress(Spent):  # DEHB catches it itself
        PEERS[method](meter, seed)
    assert np.isfinite(meter.best[-1]), f"{method} stopped before its budget was spent"
    return meter.best


def cached(method: str, task_name: str, run: int) -> pathlib.Path:
    """Where the cache has the scores of a run."""
    return CACHE / f"{method}{f' {VERSION}' if method == OURS else ''} on {task_name}, run {run}.npy"


def scores(method: str, task_name: str, run: int) -> list[float]:
    """The best score at each budget, from the cache or from a run.

    Each task has seeds of its own: with one seed for all of them, a lucky start would be lucky on every task.
    """
    budgets = BUDGETS[task_name.split("-")[0]]
    file, seed = cached(method, task_name, run), zlib.crc32(f"{task_name}, run {run}".encode())
    if file.exists():
        return np.load(file).tolist()
    known = loaded(task_name)
    if method == OURS:
        found = [ours(known, budget, seed) for budget in budgets]
    else:
        best = peer(method, known, budgets[-1], seed)
        found = [float(best[budget * known.epochs - 1]) for budget in budgets]
    CACHE.mkdir(parents=True, exist_ok=True)
    np.save(file, np.array(found))
    return found


def run(methods: list[str], tasks: list[str], seeds: int) -> None:
    """Fill the cache, one seed of all methods and tasks after the other."""
    missing: set[str] = set()
    for number in range(seeds):
        for method in methods:
            for name in tasks:
                if method in missing:
                    continue
                try:
                    scores(method, name, number)
                except ImportError as error:
                    print(f"{method} is left out: {error}")
                    missing.add(method)
            print(f"seed {number}: {method}", flush=True)


def held(methods: list[str], tasks: list[str], seeds: int) -> dict[str, np.ndarray]:
    """(tasks, seeds, budgets) regrets of each method that the cache has of all tasks, of the seeds that all have."""
    files = {m: [[cached(m, name, seed) for seed in range(seeds)] for name in tasks] for m in methods}
    there = {m: np.array([[file.exists() for file in row] for row in files[m]]).all(axis=0) for m in methods}
    there = {m: seeds for m, seeds in there.items() if seeds.any()}
    common = np.flatnonzero(np.logical_and.reduce(list(there.values())))
    for name in tasks:  # the best known is also what any method found
        found = [np.load(file).min() for file in CACHE.glob(f"* on {name}, *.npy")]
        loaded(name).best = min([loaded(name).best, *found])
    return {
        m: np.array(
            [
                [[100 * loaded(name).regret(score) for score in np.load(row[seed])] for seed in common]
                for name, row in zip(tasks, files[m], strict=True)
            ]
        )
        for m in there
    }


def interval(by_task: np.ndarray) -> tuple[float, float]:
    """95 % of the means of bootstraps over tasks."""
    draws = np.random.default_rng(0).integers(len(by_task), size=(2000, len(by_task)))
    low, high = np.percentile(by_task[draws].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def ranks(regrets: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """(tasks, seeds, budgets) rank of each method among all on the same task and seed; ties share their mean."""
    stack = np.stack(list(regrets.values()))
    below = (stack[:, None] > stack[None]).sum(axis=1)
    equal = (stack[:, None] == stack[None]).sum(axis=1)
    return dict(zip(regrets, below + (equal + 1) / 2, strict=True))


def table(family: str, regrets: dict[str, np.ndarray]) -> None:
    """Print mean regret, its interval and mean rank of every method at every budget."""
    budgets, rank = BUDGETS[family], ranks(regrets)
    print(f"{'regret x 100 (95 %), rank':<26}" + "".join(f"{budget:>26} " for budget in budgets))
    for method, found in sorted(regrets.items(), key=lambda pair: float(np.mean(pair[1]))):
        cells = []
        for k in range(len(budgets)):
            by_task = found[:, :, k].mean(axis=1)
            low, high = interval(by_task)
            cells.append(f"{by_task.mean():>8.1f} [{low:5.1f}, {high:5.1f}] {rank[method][:, :, k].mean():4.1f} ")
        print(f"{method:<26}" + "".join(cells))


def picture(found: dict[str, dict[str, np.ndarray]], file: pathlib.Path) -> None:
    """Draw mean regret against the budget, a panel per family."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(found), figsize=(5 * len(found), 4.4), squeeze=False, layout="constrained")
    for panel, (family, regrets) in zip(panels[0], found.items(), strict=True):
        for method, values in regrets.items():
            mean = values.mean(axis=(0, 1))
            own = method == OURS
            panel.plot(BUDGETS[family], mean, marker="o", lw=3 if own else 1.2, label=method, zorder=3 if own else 2)
        panel.set_xscale("log")
        panel.set_xticks(BUDGETS[family], [str(budget) for budget in BUDGETS[family]])
        panel.minorticks_off()
        panel.set(title=TITLES[family], xlabel="budget, full trainings", ylabel="mean regret x 100", ylim=(0, None))
        panel.grid(alpha=0.3)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
    figure.savefig(file, dpi=120)
    print(file)


def main() -> None:
    """Fill the cache, print the tables, draw the figure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--family", default="lcbench,taskset")
    parser.add_argument("--part", default="test", choices=("test", "development"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--methods", default=",".join([OURS, *PEERS]))
    parser.add_argument("--picture", type=pathlib.Path)
    parser.add_argument("--table", action="store_true", help="run nothing: what the cache holds")
    asked = parser.parse_args()
    if not present():
        raise SystemExit("no curves: say where they are with CURVES=FOLDER")
    methods = asked.methods.split(",")
    found = {}
    for family in asked.family.split(","):
        tasks = names(family, asked.part)
        if not asked.table:
            run(methods, tasks, asked.seeds)
        found[family] = held(methods, tasks, asked.seeds)
        seeds = next(iter(found[family].values())).shape[1]
        print(f"\n{family}: {len(tasks)} {asked.part} tasks, {seeds} seeds")
        table(family, found[family])
    if asked.picture:
        picture(found, asked.picture)


if __name__ == "__main__":
    main()
