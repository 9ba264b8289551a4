"""Puts a run together: settings, trainer, store, backend and view; the one place that knows them all."""

from __future__ import annotations

import os
import pathlib
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tomli_w

from sweeps.driver import Driver
from sweeps.errors import BackendFailed, SweepError, UsageError
from sweeps.interrupts import Interrupts
from sweeps.patience import Patience
from sweeps.progress import View
from sweeps.settings import Settings
from sweeps.stage import Halt
from sweeps.store import Store
from sweeps.sweepfile import resolved
from sweeps.tables import sync_folder
from workers.backend import Backend, BackendError
from workers.messages import Function, Work
from workers.training import TrainerError, bind, load, users_traceback

BACKENDS = ("auto", "local", "inline", "ray")
_STAGE_KEYS = ("epochs", "method", "include")
_SWEEP_KEYS = ("train", "setup", "metric", "mode", "seed", "space")
_STOP_KEYS = ("nan", "blowup", "loss")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call of `launch` ended.

    Attributes:
        code: Exit code: 0 done, 1 done with failed trials, 3 budget spent, 130 interrupted.
        folder: The run's folder.
        text: Why it ended early; None when the plan is done.
    """

    code: int
    folder: pathlib.Path
    text: str | None


def reference(written: str, folder: pathlib.Path) -> Function:
    """Where a function of the sweep file is: files are relative to the sweep file's folder.

    Raises:
        UsageError: It names no function.
    """
    where, colon, name = written.rpartition(":")
    if not colon or not where or not name:
        raise UsageError(f'{written!r} names no function: write "train.py:train" or "package.module:train"')
    return Function(f"{(folder / where).resolve()}:{name}" if where.endswith(".py") else written)


def check(settings: Settings, train: Function, setup: Function | None) -> None:
    """Load the trainer and check that its names and the space's fit.

    Raises:
        UsageError: They do not, or it cannot be imported.
    """
    folder = str(settings.folder.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        bind(load(train), settings.space.names, tuple(settings.space.when), setup is not None)
        if setup is not None:
            load(setup)
    except TrainerError as error:
        raise UsageError(str(error)) from error
    except SweepError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"cannot import {train.source}\n{users_traceback(error)}") from error


def work_of(settings: Settings, train: Function, setup: Function | None) -> Work:
    """What all trials of a sweep have in common."""
    return Work(
        train=train,
        setup=setup,
        metric=settings.objective.metric,
        parameters=settings.space.names,
        rules=settings.stop.rules,
        timeout_s=settings.stop.timeout_s,
        threads=settings.run.demand.cpus,
    )


def launch(
    settings: Settings,
    train: Function,
    setup: Function | None,
    folder: pathlib.Path,
    backend: str,
    view: View,
    address: str | None = None,
) -> Ended:
    """Run what is left of a sweep, in the folder of its run.

    Args:
        settings: The sweep.
        train: The trainer.
        setup: Loads data for it, once per worker process.
        folder: The run's folder; made if need be.
        backend: One of `BACKENDS`.
        view: Shows how it stands; closed at the end.
        address: Of a Ray cluster; the settings' or $RAY_ADDRESS by default.

    Raises:
        SweepError: It cannot run, or cannot go on; the text says why.
    """
    work = work_of(settings, train, setup)
    with Interrupts() as interrupts:
        opener = _opener(backend, work, settings, interrupts, folder, address, view)
        store: Store | None = None
        try:
            _refuse_changes(settings, folder)
            store = Store(folder, settings.space, Patience(view, interrupts))
            _keep(settings, folder)
            driver = Driver(settings, store, opener, view, interrupts)
            driver.run()
        except Halt as halt:
            return Ended(halt.code, folder, str(halt))
        except KeyboardInterrupt:
            return Ended(130, folder, "interrupted")
        except OSError as error:
            raise UsageError(
                f"cannot write results to {folder}: {error.strerror or error}; choose another place with --out"
            ) from error
        finally:
            view.close()
            if store is not None:
                store.close()
    return Ended(int(driver.failed), folder, None)


def _opener(
    backend: str,
    work: Work,
    settings: Settings,
    interrupts: Interrupts,
    results: pathlib.Path,
    address: str | None,
    view: View,
) -> Callable[[], Backend]:
    """What starts the slots of a backend, imported only when they are needed."""
    demand = settings.run.demand
    address = address or settings.run.address or os.environ.get("RAY_ADDRESS")
    if backend == "auto":
        backend = "ray" if address else "local"
    if backend not in BACKENDS:
        raise BackendFailed(f"unknown backend {backend!r}: {', '.join(BACKENDS)}")
    if backend != "ray" and (demand.gpus or demand.memory or demand.resources):
        raise UsageError("[run]: gpus, memory and resources are for clusters: leave them out or use --backend ray")

    def inline() -> Backend:
        from workers.inline import Inline

        try:
            return Inline(work, stopping=lambda: interrupts.asked)
        except TrainerError as error:
            raise BackendError(str(error)) from error
        except (Exception, SystemExit) as error:
            raise BackendError(f"could not load the trainer or its data\n{users_traceback(error)}") from error

    def local() -> Backend:
        from workers.processes import Processes

        return Processes(work, settings.slots)

    def ray() -> Backend:
        view.say(f"connecting to Ray at {address}" if address else "starting Ray on this machine")
        from workers.actors import Actors

        return Actors(work, settings.run.slots, settings.most_trials, demand, address, settings.folder, results)

    return {"inline": inline, "local": local, "ray": ray}[backend]


def _refuse_changes(settings: Settings, folder: pathlib.Path) -> None:
    """Raise when the folder holds a run whose results these settings would not have given.

    Trials and stages may be added, and how trials are run may change: nothing of that moves a result.
    """
    path = folder / "sweep.toml"
    if not path.exists():
        return
    try:
        before = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} is damaged: {error}; use --name for a new run") from error
    after = resolved(settings)
    changes = _changed(before, after, _SWEEP_KEYS, "") + _changed(
        before.get("stop", {}), after["stop"], _STOP_KEYS, "stop."
    )
    for was, now in zip(before.get("stage", []), after["stage"], strict=False):
        name = f"stage.{was.get('name')}."
        changes += _changed(was, now, ("name", *_STAGE_KEYS), name)
        if was.get("trials") != now["trials"] and now["method"] in ("lhs", "grid"):
            changes += _changed(was, now, ("trials",), name)
    if changes:
        raise UsageError(
            f"{folder} holds a run with other settings: {'; '.join(changes)}; "
            "change them back to go on with it, or give the new run a --name of its own"
        )


def _changed(before: Mapping[str, Any], after: Mapping[str, Any], keys: tuple[str, ...], where: str) -> list[str]:
    """What differs, in words."""
    return [
        f"{where}{key} was {before.get(key)!r}, is {after.get(key)!r}"
        for key in keys
        if before.get(key) != after.get(key)
    ]


def _keep(settings: Settings, folder: pathlib.Path) -> None:
    """Write the settings as resolved beside the results, if they are not there yet."""
    text = tomli_w.dumps(resolved(settings))
    path = folder / "sweep.toml"
    if path.exists() and path.read_text("utf-8") == text:
        return
    temporary = folder / ".sweep.toml.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_folder(folder)
