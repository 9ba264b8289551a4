"""A range that ends before the best values: the staged search with and without moving it, and peers, who cannot.

    .venv/bin/python benchmarks/wrong_range.py [--trainings 50] [--part test] [--tasks 6] [--seeds 5]

LCBench with the learning rate given as [1e-4, 1e-3], where the data go to 1e-1. Regret x 100 as in quality.py.
"""

import argparse
import os
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported

import numpy as np
from quality import interval, ours, peer
from replay import loaded, names

GIVEN = (1e-4, 1e-3)


def main() -> None:
    """Print mean regrets."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trainings", type=int, default=50)
    parser.add_argument("--part", default="test")
    parser.add_argument("--tasks", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--peers", default="random,ASHA (Ray's defaults),Optuna TPE + Hyperband")
    asked = parser.parse_args()
    tasks = [loaded(name) for name in names("lcbench", asked.part)[: asked.tasks]]
    print(f"{asked.trainings} trainings, {len(tasks)} {asked.part} tasks of LCBench, {asked.seeds} seeds, regret x 100")
    whole = {task.name: task.space for task in tasks}

    def show(label: str, limits: tuple[float, float] | None, method: str | None = None) -> None:
        found = np.empty((len(tasks), asked.seeds))
        for i, task in enumerate(tasks):
            rate = whole[task.name].parameters["learning_rate"]
            given = rate if limits is None else replace(rate, low=GIVEN[0], high=GIVEN[1], limits=limits)
            task.space = whole[task.name].narrowed({"learning_rate": given})
            for seed in range(asked.seeds):
                if method is None:
                    score = ours(task, asked.trainings, seed)
                else:
                    score = float(peer(method, task, asked.trainings, seed)[-1])
                found[i, seed] = 100 * task.regret(score)
        low, high = interval(found.mean(axis=1))
        print(f"{label:<40} {found.mean():6.1f} [{low:5.1f}, {high:5.1f}]", flush=True)

    show("ours, the range may be moved", (GIVEN[0], 0.1))
    show("ours, it may not", GIVEN)
    show("ours, the right range", None)
    for method in filter(None, asked.peers.split(",")):
        show(method, GIVEN, method)


if __name__ == "__main__":
    main()
