"""What a run came to, in words: counts, the best configs as CS231n prints them, failures grouped, what to do next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.arrow import numbers
from sweeps.reading import Run
from sweeps.space import Config
from sweeps.wording import clean, show_count, show_value
from workers.messages import Status

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Ranked:
    """A trial in the order of the objective.

    Attributes:
        value: Its objective at its best epoch.
        stage: Name of its stage.
        trial: Its index there.
        total: Trials of the stage.
        epoch: Its best epoch.
        config: Its config.
        seeds: With how many new seeds it was confirmed; 0 if it was not. `value` is then their mean.
        spread: The standard deviation over these seeds.
    """

    value: float
    stage: str
    trial: int
    total: int
    epoch: int
    config: Config
    seeds: int = 0
    spread: float | None = None

    def line(self, metric: str) -> str:
        """`val_acc: 0.482000, lr: 4.296863e-04, reg: 6.642555e-01, (9 / 100)`."""
        shown = [f"{name}: {_show(value)}" for name, value in self.config.items()]
        value = f"{self.value:.6f}"
        if self.seeds:
            spread = "" if self.spread is None else f" ± {self.spread:.6f}"
            value += f"{spread} over {show_count(self.seeds, 'new seed')}"
        return clean(", ".join([f"{metric}: {value}", *shown, f"({self.trial} / {self.total})"]))


@dataclass(frozen=True, slots=True)
class Failure:
    """Trials that failed in one and the same way.

    Attributes:
        count: How many.
        stage: Stage of the first.
        trial: The first.
        error: What it said.
        traceback: The user's own traceback, if there is one.
    """

    count: int
    stage: str
    trial: int
    error: str
    traceback: str | None


def ranked(run: Run, count: int) -> list[Ranked]:
    """The best trials of a run, best first; ties go to the lowest (stage, trial)."""
    totals = {stage.name: stage.trials for stage in run.settings.stages}
    return [
        Ranked(
            row["value"],
            row["stage"],
            row["trial"],
            totals[row["stage"]],
            row["best_epoch"],
            row["config"],
            row.get("seeds", 0),
            row.get("spread"),
        )
        for row in run.best(count)
    ]


def failures(run: Run) -> list[Failure]:
    """The failed trials, grouped by what went wrong and where; the most frequent first."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in run.failed():
        trace = row["traceback"]
        # The same place in the same file is one failure, whatever numbers its message carries.
        where = "\n".join(line for line in trace.splitlines() if line.startswith("  ")) if trace else row["error"]
        kind = (row["error"] or "").partition(":")[0]
        groups.setdefault((kind, where or ""), []).append(row)
    found = [
        Failure(len(rows), rows[0]["stage"], rows[0]["trial"], rows[0]["error"] or "", rows[0]["traceback"])
        for rows in groups.values()
    ]
    return sorted(found, key=lambda failure: -failure.count)


def closing(run: Run, command: str | None) -> list[str]:
    """The last words of a run, line by line."""
    lines = _stages(run)
    metric = run.settings.objective.metric
    best = ranked(run, _SHOWN)
    if best:
        lines += ["", f"best {len(best)}:"]
        lines += [f"  {each.line(metric)}  {each.stage}, epoch {each.epoch}" for each in best]
    for failure in failures(run):
        lines += ["", f"{failure.count} x {clean(failure.error)}  (first: {failure.stage} {failure.trial})"]
        if failure.traceback:
            lines += ["    " + clean(line) for line in failure.traceback.rstrip().splitlines()[-12:]]
    folder = run.folder
    lines += ["", f"results  {folder}", f"table    sweeps best {folder} -k 10", f"report   sweeps report {folder}"]
    if best:
        lines.append(f"curve    sweeps show {folder} {best[0].stage}/{best[0].trial}")
    if command is not None:
        lines.append(f"go on    {command}")
    return lines


def _stages(run: Run) -> list[str]:
    """What became of the trials, a line for each stage; one for all of a search's."""
    stages = run.stages()
    words = [status.word for status in Status]
    if run.settings.search is None:
        shown = [(each["stage"], each, f" of {each['trials']} trials, {each['epochs']} epochs each") for each in stages]
    else:
        asked, total = run.settings.search, {word: sum(stage[word] for stage in stages) for word in words}
        trained = int(numbers(run.table("trials")["epochs"]).sum())
        shown = [("search", total, f" in {len(stages)} stages, {trained:,} epochs in all, {asked.epochs} at most")]
    lines = []
    for name, counts, rest in shown:
        counted = ", ".join(f"{counts[word]} {word}" for word in words if counts[word])
        lines.append(f"{name}: {counted or 'not begun'}{rest}")
    return lines


def as_json(best: Sequence[Ranked], metric: str) -> str:
    """The best trials as one JSON object."""
    return json.dumps(
        {
            "metric": metric,
            "best": [
                {
                    "stage": each.stage,
                    "trial": each.trial,
                    metric: each.value,
                    "epoch": each.epoch,
                    "config": each.config,
                    **({"seeds": each.seeds, "spread": each.spread} if each.seeds else {}),
                }
                for each in best
            ],
        },
        indent=2,
    )


def _show(value: Any) -> str:
    """A value of a config: floats as CS231n prints them."""
    return f"{value:e}" if isinstance(value, float) else show_value(value)
