"""Regret of the staged search and of the other ways to search, at equal epochs, on learning curves of real trainings.

    .venv/bin/python benchmarks/quality.py [--family lcbench] [--part test] [--seeds 20] [--methods ours,random,...]
                                           [--picture docs/pictures/search.png]

Runs what its cache (`QUALITY_CACHE`, by default in /tmp) does not hold yet, then prints a table of what it holds. Where
DEHB and SMAC are in another environment, run it there once with `--methods "DEHB,SMAC multi-fidelity"`.

Regret x 100: 0 is the best score known of a task, 100 that of the median of random full trainings, where it is cut.
Any score counts that any trial had after any of its epochs. The peers are read off one run at each budget; the staged
search has to know its budget, so each is a run of its own. In a table a trial takes the nearest row that no trial of
the same search has, and every method is told that row's own config as what was trained. Intervals: 95 % of 2,000
bootstraps over tasks.
"""

import argparse
import os
import pathlib

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported

import numpy as np
from peers import PEERS
from replay import Meter, Spent, Task, names, present

from sweeps.ladder import plan
from sweeps.search import BITS, Search

BUDGETS = {"lcbench": (20, 50, 100), "taskset": (5, 10, 20)}  #: full trainings
CACHE = pathlib.Path(os.environ.get("QUALITY_CACHE", "/tmp/coarsefine-quality"))
OURS = "ours"


def ours(task: Task, trainings: int, seed: int) -> float:
    """The best score that the staged search finds."""
    meter = Meter(task, trainings * task.epochs)
    search = Search(task.space, plan(trainings, task.epochs, len(task.space.searched)), seed)
    best = np.inf
    while not search.done:
        for job in search.due():
            columns, index = search.stages[job.id >> BITS].columns, job.id & (2**BITS - 1)
            config = {name: column[index] for name, column in columns.items()}
            curve = meter.train(job.id, config, job.epochs)
            if job.start == 0:
                for name, value in task.trained(job.id, config).items():
                    search._columns[name][search._rows[job.id]] = value
            best = min(best, float(curve.min()))
            search.tell(job.id, curve, len(curve) < job.epochs or not np.isfinite(curve[-1]))
    return best


def scores(method: str, task_name: str, seed: int, loaded: dict[str, Task]) -> list[float]:
    """The best score at each budget, from the cache or from a run."""
    budgets = BUDGETS[task_name.split("-")[0]]
    file = CACHE / f"{method} on {task_name}, seed {seed}.npy"
    if file.exists():
        return np.load(file).tolist()
    task = loaded.setdefault(task_name, Task(task_name))
    if method == OURS:
        found = [ours(task, budget, seed) for budget in budgets]
    else:
        meter = Meter(task, budgets[-1] * task.epochs)
        try:
            PEERS[method](meter, seed)
        except Spent:
            found = [float(meter.best[budget * task.epochs - 1]) for budget in budgets]
    CACHE.mkdir(parents=True, exist_ok=True)
    np.save(file, np.array(found))
    return found


def run(methods: list[str], tasks: list[str], seeds: int) -> None:
    """Fill the cache, one seed of all methods and tasks after the other."""
    loaded: dict[str, Task] = {}
    missing: set[str] = set()
    for seed in range(seeds):
        for method in methods:
            for task in tasks:
                if method in missing:
                    continue
                try:
                    scores(method, task, seed, loaded)
                except ImportError as error:
                    print(f"{method} is left out: {error}")
                    missing.add(method)
            print(f"seed {seed}: {method}", flush=True)


def held(methods: list[str], tasks: list[str], seeds: int) -> dict[str, np.ndarray]:
    """(tasks, seeds, budgets) regrets of each method that the cache has of all tasks; NaN where a seed is not there."""
    loaded = {name: Task(name) for name in tasks}
    for name, task in loaded.items():  # the best known is also what any method found
        task.best = min([task.best, *(np.load(file).min() for file in CACHE.glob(f"* on {name}, seed *.npy"))])
    budgets = len(BUDGETS[tasks[0].split("-")[0]])
    found = {}
    for method in methods:
        regrets = np.full((len(tasks), seeds, budgets), np.nan)
        for i, name in enumerate(tasks):
            for seed in range(seeds):
                file = CACHE / f"{method} on {name}, seed {seed}.npy"
                if file.exists():
                    regrets[i, seed] = [100 * loaded[name].regret(score) for score in np.load(file)]
        if not np.isnan(regrets).all(axis=(1, 2)).any():
            found[method] = regrets
    return found


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
    rank = np.where(np.isnan(stack).any(axis=0), np.nan, below + (equal + 1) / 2)
    return dict(zip(regrets, rank, strict=True))


def table(family: str, regrets: dict[str, np.ndarray]) -> None:
    """Print mean regret, its interval and mean rank of every method at every budget."""
    budgets, rank = BUDGETS[family], ranks(regrets)
    print(f"{'regret x 100 (95 %), rank':<26}" + "".join(f"{budget:>26} " for budget in budgets) + "   seeds")
    for method, found in sorted(regrets.items(), key=lambda pair: float(np.nanmean(pair[1]))):
        cells = []
        for k in range(len(budgets)):
            by_task = np.nanmean(found[:, :, k], axis=1)
            low, high = interval(by_task)
            place = np.nanmean(rank[method][:, :, k])
            cells.append(f"{by_task.mean():>8.1f} [{low:5.1f}, {high:5.1f}] {place:4.1f} ")
        print(f"{method:<26}" + "".join(cells) + f"{int((~np.isnan(found[:, :, 0])).sum(axis=1).min()):>8}")


def picture(found: dict[str, dict[str, np.ndarray]], file: pathlib.Path) -> None:
    """Draw mean regret against the budget, a panel per family."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(found), figsize=(5 * len(found), 4), squeeze=False, layout="constrained")
    for panel, (family, regrets) in zip(panels[0], found.items(), strict=True):
        for method, values in regrets.items():
            mean = np.nanmean(np.nanmean(values, axis=1), axis=0)
            own = method == OURS
            panel.plot(BUDGETS[family], mean, marker="o", lw=3 if own else 1.2, label=method, zorder=3 if own else 2)
        panel.set_xscale("log")
        panel.set_xticks(BUDGETS[family], [str(budget) for budget in BUDGETS[family]])
        panel.minorticks_off()
        panel.set(title=family, xlabel="budget, full trainings", ylabel="mean regret x 100", ylim=(0, None))
        panel.grid(alpha=0.3)
    panels[0][-1].legend(fontsize=8)
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
    found = {}
    for family in asked.family.split(","):
        tasks = names(family, asked.part)
        if not asked.table:
            run(asked.methods.split(","), tasks, asked.seeds)
        found[family] = held([OURS, *PEERS], tasks, asked.seeds)
        print(f"\n{family}: {len(tasks)} {asked.part} tasks")
        table(family, found[family])
    if asked.picture:
        picture(found, asked.picture)


if __name__ == "__main__":
    main()
