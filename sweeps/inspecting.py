"""A run, or one trial of it, for a person or a program that looks: `status` and `show`."""

from __future__ import annotations

import json
import math
from typing import Any

from sweeps.arrow import chosen
from sweeps.errors import UsageError
from sweeps.reading import Run
from sweeps.summary import ranked
from sweeps.wording import clean, show_value, sparkline
from workers.messages import Status
from workers.training import did_you_mean

_LOG_LINES = 20


def status_lines(run: Run) -> list[str]:
    """How a run stands, in words."""
    lines = []
    for stage in run.stages():
        done = sum(stage[each.word] for each in Status)
        counts = ", ".join(f"{stage[each.word]:,} {each.word}" for each in Status if stage[each.word])
        lines.append(
            f"{stage['stage']}: {done:,} of {stage['trials']:,} trials ended" + (f" ({counts})" if counts else "")
        )
    for row in run.table("stages").to_pylist():
        lines += [f"{row['stage']}: {clean(sentence)}" for sentence in row["evidence"] or ()]
    best = ranked(run, 1)
    if best:
        lines.append(f"best: {best[0].line(run.settings.objective.metric)}  {best[0].stage}, epoch {best[0].epoch}")
    return lines


def status_json(run: Run) -> str:
    """How a run stands, as one JSON object."""
    best = ranked(run, 1)
    return json.dumps(
        {
            "run": str(run.folder),
            "stages": run.stages(),
            "done": all(sum(s[each.word] for each in Status) >= s["trials"] for s in run.stages()),
            "best": None if not best else {"stage": best[0].stage, "trial": best[0].trial, "value": best[0].value},
        },
        indent=2,
    )


def trial_lines(run: Run, name: str) -> list[str]:
    """One trial in words: config, curve, log, traceback."""
    found = _trial(run, name)
    trial, metric = found["trial"], run.settings.objective.metric
    head = f"{found['stage']}/{trial}  {found['status']}" + (f": {clean(found['reason'])}" if found["reason"] else "")
    lines = [head, f"epochs {found['epochs']}, best epoch {found['best_epoch']}, seed {found['seed']}", ""]
    lines += [f"  {key} = {clean(show_value(value))}" for key, value in found["config"].items()]
    curves = found["curves"]
    for key in sorted(curves, key=lambda key: (key != metric, key)):
        numbers = [math.nan if v is None else v for v in curves[key]]
        if numbers:
            lines.append(f"  {clean(key):<16} {sparkline(numbers, 40)}  {numbers[0]:.6g} -> {numbers[-1]:.6g}")
    for attempt in found["attempts"]:
        where = f"{attempt['host']}, slot {attempt['slot']}"
        lines += ["", f"attempt {attempt['attempt']}: {attempt['outcome']} on {where}, {attempt['seconds'] or 0:.2f} s"]
        lines += [f"    {clean(line)}" for line in (attempt["traceback"] or "").splitlines()]
    log = run.folder / "logs" / f"{found['stage']}-{trial}.log"
    if log.is_file() and not log.is_symlink():  # a stranger's link might lead to a file that is to be shown to others
        lines += ["", f"printed ({log}):"]
        lines += [f"    {clean(line)}" for line in log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:]]
    return lines


def trial_json(run: Run, name: str) -> str:
    """One trial as one JSON object; what is not finite is null."""
    found = _trial(run, name)
    curves = {
        key: [v if v is not None and math.isfinite(v) else None for v in values]
        for key, values in found["curves"].items()
    }
    attempts = [{**each, "started": each["started"] and each["started"].isoformat()} for each in found["attempts"]]
    return json.dumps({**found, "curves": curves, "attempts": attempts}, indent=2, default=str)


def _trial(run: Run, name: str) -> dict[str, Any]:
    """Everything that is stored of one trial.

    Raises:
        UsageError: There is no such trial.
    """
    stages = [stage.name for stage in run.settings.stages]
    stage, _, number = name.rpartition("/")
    if not stage and len(stages) == 1:
        stage = stages[0]
    counts = number.isdecimal() and len(number) <= 18
    if stage not in stages or not counts:
        nearest = did_you_mean(stage, stages) if stage and stage not in stages else ""
        hint = nearest or f": write {stage or stages[0]}/{number if counts else 0}"
        raise UsageError(f"{name!r} names no trial{hint}")

    def mine(table: str) -> Any:
        return chosen(chosen(run.table(table), "stage", [stage]), "trial", [int(number)])

    trials = mine("trials")
    if not trials.num_rows:
        raise UsageError(f"{name!r} is not stored: it has not ended, or is not in the plan")
    row = trials.select(["stage", "trial", "status", "reason", "epochs", "best_epoch", "seed"]).to_pylist()[0]
    reports = mine("reports").sort_by("epoch")
    curves = {key: reports[key].to_pylist() for key in reports.column_names if key not in ("stage", "trial", "epoch")}
    attempts = mine("attempts").sort_by("attempt").drop_columns(["stage", "trial"]).to_pylist()
    return {**row, "config": run.configs(trials)[0], "curves": curves, "attempts": attempts}
