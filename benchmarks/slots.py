"""Time on 1, 8 and 32 slots: the staged search, asynchronous ASHA and TPE, with the real epoch times of LCBench.

    .venv/bin/python benchmarks/slots.py [--trainings 50] [--tasks 6] [--seeds 2] [--workers 8,16,32] [--equal]

A simulated clock: a slot trains one epoch in as many seconds as the data say (`--equal`: each in one), nothing else
takes time. `speed` is the ideal time of the jobs that were run, the larger of their sum over the slots and the longest
training of one trial, over the time that it took. `reach` is the time until the best score is as good as what the peer
ends with.
"""

import argparse
import heapq
import os
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported

import numpy as np
from replay import Task, names

from sweeps.ladder import plan
from sweeps.rehearsal import simulated
from sweeps.search import Job, Search
from sweeps.space import Floats, config_at
from workers.messages import place_of


class Even(Task):
    """A task whose epochs all take a second."""

    def seconds(self, key: object, config: dict[str, float], start: int, end: int) -> float:
        """How long epochs start + 1 .. end took."""
        return float(end - start)


class Clock:
    """What a search on slots comes to.

    Attributes:
        seconds: Time of its end.
        ideal: Least time in which its jobs could have been done.
        best: Best score.
        steps: (time, best score) each time that it became better.
        decided: The jobs in the order in which they were decided.
    """

    def __init__(self) -> None:
        """Begin."""
        self.seconds, self.best = 0.0, np.inf
        self.steps: list[tuple[float, float]] = []
        self.decided: list[Job] = []
        self.work: dict[object, float] = {}
        self.slots = 1

    @property
    def ideal(self) -> float:
        """Least time in which its jobs could have been done."""
        return max(sum(self.work.values()) / self.slots, max(self.work.values()))

    def until(self, score: float) -> float:
        """The time at which the best score was so good; infinite if it never was."""
        return next((time for time, best in self.steps if best <= score), np.inf)

    def saw(self, time: float, score: float) -> None:
        """A score was reported."""
        self.seconds = max(self.seconds, time)
        if score < self.best:
            self.best = score
            self.steps.append((time, score))


class Recorded(Search):
    """A search that remembers what it decided, in that order."""

    def __init__(self, *asked: Any) -> None:
        """Begin."""
        super().__init__(*asked)
        self.decided: list[Job] = []

    def due(self) -> list[Job]:
        """What was decided since the last time."""
        jobs = super().due()
        self.decided += jobs
        return jobs


def staged(task: Task, trainings: int, seed: int, slots: int, workers: int) -> Clock:
    """The staged search on slots, results told in the order in which they come."""
    task.begin()
    clock = Clock()
    clock.slots = slots
    search = Recorded(task.space, plan(trainings, task.epochs, len(task.space.searched), workers), seed)

    def config(job: Job) -> dict[str, float]:
        stage, index = place_of(job.id)
        return config_at(search.stages[stage].columns, index)

    def seconds(job: Job) -> float:
        took = task.seconds(job.id, config(job), job.start, job.epochs)
        clock.work[job.id] = clock.work.get(job.id, 0.0) + took
        return took

    def curve(job: Job) -> Floats:
        return task.curve(job.id, config(job), 0, job.epochs)

    for now, _, scores in simulated(search, slots, seconds, curve):
        clock.saw(now, float(scores.min()))
    clock.decided = search.decided
    return clock


def asha(task: Task, trainings: int, seed: int, slots: int) -> Clock:
    """Ray's AsyncHyperBandScheduler with its defaults: a trial that is stopped makes room for a new one at once."""
    rng = np.random.default_rng(seed)
    recorded: dict[int, list[float]] = {1: [], 4: [], 16: []}

    def trial() -> Iterator[tuple[float, float]]:
        at = rng.random(len(task.space.names))
        config = {name: p.decode(at[[j]])[0] for j, (name, p) in enumerate(task.space.parameters.items())}
        key = object()
        for epoch in range(1, task.epochs + 1):
            score = float(task.curve(key, config, epoch - 1, epoch)[0])
            yield task.seconds(key, config, epoch - 1, epoch), score
            if epoch in recorded:
                cutoff = np.percentile(recorded[epoch], 25) if recorded[epoch] else np.inf
                recorded[epoch].append(score)
                if score > cutoff:
                    return

    return _epochs(task, trainings, slots, trial)


def tpe(task: Task, trainings: int, seed: int, slots: int) -> Clock:
    """Optuna's TPE, full trainings, told of a trial when it ends."""
    import optuna
    from peers import distribution

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    distributions = {name: distribution(p) for name, p in task.space.parameters.items()}

    def trial() -> Iterator[tuple[float, float]]:
        asked = study.ask(distributions)
        best, key = np.inf, object()
        for epoch in range(1, task.epochs + 1):
            score = float(task.curve(key, asked.params, epoch - 1, epoch)[0])
            best = min(best, score)
            yield task.seconds(key, asked.params, epoch - 1, epoch), score
        study.tell(asked, best)

    return _epochs(task, trainings, slots, trial)


def _epochs(task: Task, trainings: int, slots: int, trial) -> Clock:
    """A peer on slots, epoch by epoch, until the epochs are spent: each slot takes the next trial when it is free."""
    task.begin()
    clock = Clock()
    clock.slots = slots
    left = trainings * task.epochs
    running: list[tuple[float, int, float, Iterator]] = []

    def go_on(slot: int, now: float, training: Iterator) -> bool:
        nonlocal left
        step = next(training, None) if left else None
        if step is None:
            return False
        seconds, score = step
        clock.work[id(training)] = clock.work.get(id(training), 0.0) + seconds
        kept.append(training)
        left -= 1
        heapq.heappush(running, (now + seconds, slot, score, training))
        return True

    kept: list[Iterator] = []  # so that no id comes twice
    for slot in range(slots):
        go_on(slot, 0.0, trial())
    while running:
        now, slot, score, training = heapq.heappop(running)
        clock.saw(now, score)
        if not go_on(slot, now, training) and left:
            go_on(slot, now, trial())
    return clock


def main() -> None:
    """Print speed and regret by slots and virtual workers, and the time to reach what the peers end with."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trainings", type=int, default=50)
    parser.add_argument("--tasks", type=int, default=6)
    parser.add_argument("--part", default="development")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--slots", default="1,8,32")
    parser.add_argument("--workers", default="8,16,32")
    parser.add_argument("--equal", action="store_true", help="all epochs take as long")
    asked = parser.parse_args()
    slots = [int(text) for text in asked.slots.split(",")]
    kind = Even if asked.equal else Task
    tasks = [kind(name) for name in names("lcbench", asked.part)[: asked.tasks]]
    cases = [(task, seed) for seed in range(asked.seeds) for task in tasks]

    def regret(runs: list[Clock]) -> float:
        return float(np.mean([100 * task.regret(run.best) for (task, _), run in zip(cases, runs, strict=True)]))

    print(
        f"{asked.trainings} trainings, {len(tasks)} {asked.part} tasks of LCBench, {asked.seeds} seeds; mean (lowest)"
    )
    peers = {
        (name, w): [peer(task, asked.trainings, seed, w) for task, seed in cases]
        for name, peer in (("ASHA", asha), ("TPE", tpe))
        for w in slots
    }
    for workers in map(int, asked.workers.split(",")):
        runs = {w: [staged(task, asked.trainings, seed, w, workers) for task, seed in cases] for w in slots}
        first = runs[slots[0]]
        for w in slots:
            assert all(a.decided == b.decided for a, b in zip(runs[w], first, strict=True))  # the same at any slots
            speeds = [clock.ideal / clock.seconds for clock in runs[w]]
            line = f"workers {workers:>3}  slots {w:>3}  speed {np.mean(speeds):4.0%} ({min(speeds):4.0%})"
            line += f"  regret {regret(runs[w]):5.1f}"
            for name in ("ASHA", "TPE"):
                peer = peers[name, w]
                ratios = [p.seconds / clock.until(p.best) for p, clock in zip(peer, runs[w], strict=True)]
                reached = np.mean([ratio > 0 for ratio in ratios])
                line += f"  {name} {regret(peer):5.1f}: reached in {reached:4.0%}, {np.median(ratios):4.1f} x as fast"
            print(line, flush=True)


if __name__ == "__main__":
    main()
