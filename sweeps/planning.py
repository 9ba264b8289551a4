"""What a sweep would run: stages, trials, epochs, first configs, and what is done already."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from sweeps.reading import Run
from sweeps.sampling import draw
from sweeps.settings import Settings, StageSettings
from sweeps.wording import clean, show_config, show_count

_SHOWN = 5


def plan_lines(settings: Settings, folder: pathlib.Path) -> list[str]:
    """The plan in words."""
    done = _done(folder)
    aim = "maximise" if settings.objective.mode == "max" else "minimise"
    lines = [
        f"{aim} {settings.objective.metric} of {settings.train}, {show_count(settings.slots, 'slot')}, into {folder}"
    ]
    for i, stage in enumerate(settings.stages):
        where = "the space as given" if i == 0 else f"the region fitted on {settings.stages[i - 1].name!r}"
        stored = done.get(stage.name, 0)
        lines.append(
            f"{stage.name}: {show_count(stage.trials, 'trial')} of {show_count(stage.epochs, 'epoch')}, "
            f"{stage.method}, in {where}; {stored:,} done"
        )
    epochs = sum(stage.trials * stage.epochs for stage in settings.stages)
    lines += [f"in all {epochs:,} epochs", f"first configs of {settings.stages[0].name!r}:"]
    return lines + [f"  {i}  {clean(show_config(config))}" for i, config in enumerate(_first(settings))]


def plan_json(settings: Settings, folder: pathlib.Path) -> str:
    """The plan as one JSON object."""
    done = _done(folder)

    def row(stage: StageSettings) -> dict[str, Any]:
        return {
            "stage": stage.name,
            "trials": stage.trials,
            "epochs": stage.epochs,
            "method": stage.method,
            "done": done.get(stage.name, 0),
        }

    return json.dumps(
        {
            "run": str(folder),
            "slots": settings.slots,
            "stages": [row(stage) for stage in settings.stages],
            "epochs": sum(stage.trials * stage.epochs for stage in settings.stages),
            "first": _first(settings),
        },
        indent=2,
    )


def _first(settings: Settings) -> list[dict[str, Any]]:
    """The first configs of the first stage."""
    stage = settings.stages[0]
    columns, seeds = draw(settings.space, stage.method, settings.seed, 0, stage.trials, stage.include)
    count = min(_SHOWN, len(seeds))
    return [{n: column[i] for n, column in columns.items() if column[i] is not None} for i in range(count)]


def _done(folder: pathlib.Path) -> dict[str, int]:
    """Stored trials of each stage."""
    if not (folder / "sweep.toml").exists():
        return {}
    counts: dict[str, int] = {}
    for stage in Run(folder).table("trials")["stage"].value_counts().to_pylist():
        counts[stage["values"]] = stage["counts"]
    return counts
