"""What a sweep would run: stages, trials, epochs, first configs, and what is done already."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

from sweeps.costing import most_epochs
from sweeps.ladder import ETA
from sweeps.reading import Run
from sweeps.rehearsal import rehearse
from sweeps.sampling import draw
from sweeps.search import Search
from sweeps.settings import CONFIRMATIONS, SearchSettings, Settings, StageSettings
from sweeps.space import config_at
from sweeps.wording import clean, show_config, show_count
from workers.gpus import present

_SHOWN = 5
_SHARES = {2: "half", 3: "third", 4: "quarter"}


def plan_lines(settings: Settings, folder: pathlib.Path) -> list[str]:
    """The plan in words."""
    done = _done(folder)
    aim = "maximise" if settings.objective.mode == "max" else "minimise"
    lines = [
        f"{aim} {settings.objective.metric} of {settings.train}, {show_count(settings.slots, 'slot')}, into {folder}"
    ]
    if settings.search is not None:
        lines += _search_lines(settings, settings.search, sum(done.values()))
    for i, stage in enumerate(settings.stages if settings.search is None else ()):
        where = "in the space as given" if i == 0 else f"in the region fitted on {settings.stages[i - 1].name!r}"
        if stage.proposed:
            where = "from the results of all stages before it"
        stored = done.get(stage.name, 0)
        again = f", and the best {stage.continued} before go on" if stage.continued else ""
        lines.append(
            f"{stage.name}: {show_count(stage.trials, 'trial')} of {show_count(stage.epochs, 'epoch')}, "
            f"{stage.method}, {where}{again}; {stored:,} done"
        )
    devices = present(os.environ)
    if devices and not settings.run.demand.gpus:
        lines.append(
            f"{show_count(len(devices), 'GPU')} present, none requested: with [run] gpus = 1, or a share such as 0.25, "
            "each trial has its own"
        )
    if settings.search is None:
        lines.append(f"in all {most_epochs(settings.stages):,} epochs")
    lines += [f"first configs of {settings.stages[0].name!r}:"]
    return lines + [f"  {i}  {clean(show_config(config))}" for i, config in enumerate(_first(settings))]


def _search_lines(settings: Settings, asked: SearchSettings, done: int) -> list[str]:
    """What a search lays out from its budget."""
    layout = asked.layout(settings.space)
    found = rehearse(layout, settings.slots)
    looks = "each is a full training: the budget pays for enough of them"
    if len(layout.rungs) > 1:
        rungs = ", ".join(map(str, layout.rungs))
        looks = f"looked at after {rungs} epochs: from each, the best {_SHARES[ETA]} go on from their checkpoints"
    lines = [
        f"search: {asked.trainings:g} trainings of {show_count(asked.epochs, 'epoch')}, "
        f"{layout.budget:,} epochs in all",
        f"  about {show_count(found.trials, 'trial')} in {show_count(found.stages, 'stage')}, "
        f"{layout.coarse} of them before anything is known; {done:,} done",
        f"  {looks}",
        f"  decided for {show_count(layout.workers, 'virtual worker')}: "
        f"{show_count(settings.slots, 'slot')} busy for {found.busy:.0%} of the time, if all epochs take as long",
    ]
    if layout.workers < settings.slots:
        lines.append(f"  more slots would be busy with `workers = {settings.slots}`, which learn later from each other")
    if asked.confirm:
        again = asked.confirm * CONFIRMATIONS
        lines.append(
            f"confirm: {show_count(again, 'trial')} of {show_count(asked.epochs, 'epoch')}, "
            f"the best {asked.confirm} again with {CONFIRMATIONS} new seeds each: {again * asked.epochs:,} epochs more"
        )
    return lines


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
            "epochs": most_epochs(settings.stages)
            if settings.search is None
            else round(settings.search.trainings * settings.search.epochs),
            "first": _first(settings),
        },
        indent=2,
    )


def _first(settings: Settings) -> list[dict[str, Any]]:
    """The first configs of the first stage."""
    stage = settings.stages[0]
    if settings.search is not None:
        search = Search(settings.space, settings.search.layout(settings.space), settings.seed)
        search.due()
        columns = search.stages[0].columns
    else:
        columns, _ = draw(settings.space, stage.method, settings.seed, 0, stage.trials, stage.include)
    return [config_at(columns, i) for i in range(min(_SHOWN, stage.trials))]


def _done(folder: pathlib.Path) -> dict[str, int]:
    """Stored trials of each stage."""
    if not (folder / "sweep.toml").exists():
        return {}
    counts: dict[str, int] = {}
    for stage in Run(folder).table("trials")["stage"].value_counts().to_pylist():
        counts[stage["values"]] = stage["counts"]
    return counts
