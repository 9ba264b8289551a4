"""What was changed in a sweep since its run began, and what may be: said before anything is touched.

Trials and stages may be added, and how trials are run may change: no result moves. A stage that has not begun may
change in every way. How a config is trained may change when the user says so. Which configs are tried, for how long,
and what makes one better than another, cannot: regions, configs and best epochs are stored as they were.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import tomli_w

from sweeps.arrow import chosen, numbers
from sweeps.errors import UsageError
from sweeps.private import opener
from sweeps.reading import Run
from sweeps.settings import CONFIRM, Settings
from sweeps.sweepfile import resolved
from workers.durable import sync_folder

_SEARCH = ("metric", "mode", "seed", "search", "space")
_TRAINING = ("train", "setup")
_STAGE = ("name", "epochs", "method", "include", "continue")
_STOP = ("nan", "blowup", "loss")
_BEGUN = re.compile(r"(\d{3})-.*\.parquet")
_LONGEST = 200  # characters of a value
_ABSENT = object()


class Kind(Enum):
    """What a change is of."""

    SEARCH = auto()  #: which configs are tried, for how long, and what makes one better
    TRAINING = auto()  #: how one is trained
    CODE = auto()  #: the same, as far as it is seen in a file's content only


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is not as it was when the run began: what of, and what in words."""

    kind: Kind
    text: str


def compared(before: Mapping[str, Any], after: Mapping[str, Any], begun: int) -> list[Change]:
    """What differs between two sweeps as resolved that matters to stages that have begun.

    Args:
        before: The sweep as it was.
        after: The sweep as it is.
        begun: How many stages have begun.
    """
    if not begun:
        return []
    found = [Change(Kind.SEARCH, text) for key in _SEARCH for text in _differences(key, before, after)]
    found += [Change(Kind.TRAINING, text) for key in _TRAINING for text in _differences(key, before, after)]
    for key, name in (("train", "trainer"), ("setup", "setup function")):
        if before.get(key) == after.get(key):
            found += [Change(Kind.CODE, text) for text in _recoded(key, name, before, after)]
    stop, stop_now = before.get("stop", {}), after["stop"]
    found += [Change(Kind.TRAINING, f"stop.{text}") for key in _STOP for text in _differences(key, stop, stop_now)]
    for i, was in enumerate(before.get("stage", [])[:begun]):
        where = f"stage.{was['name']}"
        if i == len(after.get("stage", [])):
            return [*found, Change(Kind.SEARCH, f"{where} was there, is not")]
        now = after["stage"][i]
        keys = (*_STAGE, "trials") if now["method"] in ("lhs", "grid") else _STAGE
        found += [Change(Kind.SEARCH, f"{where}.{text}") for key in keys for text in _differences(key, was, now)]
    return found


def settle(
    settings: Settings, sources: Mapping[str, str], folder: pathlib.Path, accept: bool
) -> tuple[dict[str, Any], str]:
    """The sweep as it is to be kept beside the results, and what to say first, if anything.

    Args:
        settings: The sweep as it is now.
        sources: Digests of its functions' code.
        folder: Of the run that goes on with it, or is to begin.
        accept: The user wants to go on in spite of changes in how configs are trained.

    Raises:
        UsageError: The run began with another sweep; the text says what differs, and what can be done.
    """
    after = {**resolved(settings), **({"source": dict(sources)} if sources else {})}
    if not (folder / "sweep.toml").exists():
        return after, ""
    run = Run(folder)
    before = tomllib.loads((folder / "sweep.toml").read_text("utf-8"))
    begun = [int(found[1]) for path in (folder / "stages").glob("*.parquet") if (found := _BEGUN.fullmatch(path.name))]
    changes = [*compared(before, after, 1 + max(begun, default=-1)), *_taken_away(run, after)]
    if not changes:
        return after, ""
    told = "; ".join(change.text for change in changes)
    if all(change.kind is Kind.CODE for change in changes) and _is_done(run, after):
        return {**after, "source": before["source"]}, f"{told}, but nothing is left to run: --new runs it all again"
    if any(change.kind is Kind.SEARCH for change in changes):
        advice = "change them back, or begin a new run with --new"
    elif not accept:
        advice = "change them back, go on with --accept-changes (what is stored stays), or begin a new run with --new"
    else:
        return after, f"going on: {told}; what is stored stays"
    lines = "\n".join(f"  {change.text}" for change in changes)
    raise UsageError(f"{folder} holds a run with other settings:\n{lines}\n{advice}")


def keep(sweep: Mapping[str, Any], folder: pathlib.Path) -> None:
    """Write the sweep as resolved beside the results, if it is not there yet."""
    text = tomli_w.dumps(sweep)
    path = folder / "sweep.toml"
    if path.exists() and path.read_text("utf-8") == text:
        return
    temporary = folder / ".sweep.toml.tmp"
    with open(temporary, "w", encoding="utf-8", opener=opener) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(folder)


def _taken_away(run: Run, after: Mapping[str, Any]) -> Iterator[Change]:
    """The stored trials that a stage is not to have any more."""
    planned = {stage.name: stage.trials for stage in run.settings.stages}
    for stage in after.get("stage", []):
        name, count = stage["name"], stage["trials"]
        if count < planned.get(name, 0):
            last = int(max(numbers(chosen(run.table("trials"), "stage", [name])["trial"]), default=-1))
            if last >= count:
                yield Change(Kind.SEARCH, f"stage.{name}.trials was {planned[name]}, is {count}: {last} is stored")


def _is_done(run: Run, after: Mapping[str, Any]) -> bool:
    """Whether all trials are stored; the stages of a search have their counts when it has ended."""
    if "search" in after:
        counts = {row["stage"]: row["completed"] for row in run.table("stages").to_pylist()}
        confirmed = CONFIRM in counts or not after["search"]["confirm"]
        return bool(counts) and None not in counts.values() and confirmed
    stored = {pair["values"]: pair["counts"] for pair in run.table("trials")["stage"].value_counts().to_pylist()}
    return all(stored.get(stage["name"], 0) >= stage["trials"] for stage in after["stage"])


def _recoded(key: str, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """The files of a function that are not as they were; what came or went is told by the file that imports it."""
    was, now = (each.get("source", {}) for each in (before, after))
    for part in sorted(was.keys() & now.keys()):
        if was[part] == now[part]:
            continue
        if part == key:
            yield f"the code of the {name} has changed since ({after[key]})"
        elif part.startswith(f"{key}/"):
            yield f"{part.removeprefix(f'{key}/')} has changed since, which the {name} imports ({after[key]})"


def _differences(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """What differs at a key, and below it where there are tables."""
    was, now = before.get(key, _ABSENT), after.get(key, _ABSENT)
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for inner in dict.fromkeys((*was, *now)):
            yield from (f"{key}.{text}" for text in _differences(inner, was, now))
    elif was != now:
        yield f"{key} was {_word(was)}, is {_word(now)}"


def _word(value: Any) -> str:
    """A value in a message."""
    text = "not there" if value is _ABSENT else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
