"""Puts a run together: settings, trainer, store, backend and view; the one place that knows them all."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Callable
from dataclasses import dataclass

from sweeps import samplers
from sweeps.changes import keep, settle
from sweeps.driver import Driver
from sweeps.errors import BackendFailed, SweepError, UsageError
from sweeps.interrupts import Interrupts
from sweeps.patience import Patience
from sweeps.progress import View
from sweeps.settings import Settings
from sweeps.source import digests
from sweeps.stage import Halt
from sweeps.store import Store
from workers.backend import Backend, BackendError
from workers.command import CommandError, is_command, placed
from workers.gpus import VISIBLE, present, room
from workers.messages import Function, Work
from workers.training import TrainerError, bind, load, users_traceback

BACKENDS = ("auto", "local", "inline", "ray")
_OURS = ("analysis", "sweeps", "workers")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call of `launch` ended.

    Attributes:
        code: Exit code: 0 done, 1 done with failed trials, 3 budget spent, 130 interrupted.
        text: Why it ended early; None when the plan is done.
    """

    code: int
    text: str | None


def reference(written: str, folder: pathlib.Path) -> Function:
    """Where a function of the sweep file is: files are relative to the sweep file's folder.

    Raises:
        UsageError: It names no function.
    """
    if is_command(written):
        try:
            return Function(placed(written, lambda path: (folder / path).resolve()))
        except CommandError as error:
            raise UsageError(str(error)) from error
    where, colon, name = written.rpartition(":")
    if not colon or not where or not name:
        raise UsageError(f'{written!r} names no function: write "train.py:train" or "package.module:train"')
    return Function(f"{(folder / where).resolve()}:{name}" if where.endswith(".py") else written)


def check(settings: Settings, train: Function, setup: Function | None) -> None:
    """Load the trainer and check that its names and the space's fit, and that Optuna has the samplers of the plan.

    Raises:
        UsageError: They do not, it cannot be imported, or a sampler cannot be used.
    """
    samplers.check(settings.space, settings.stages)
    folder = str(settings.folder.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        bind(load(train), settings.space.names, tuple(settings.space.when), setup is not None)
        if setup is not None:
            load(setup)
    except TrainerError as error:
        raise UsageError("\n".join(filter(None, (str(error), _hidden(error.__cause__))))) from error
    except SweepError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"cannot import {train.source}\n{users_traceback(error)}{_hidden(error)}") from error


def work_of(settings: Settings, train: Function, setup: Function | None, folder: pathlib.Path | None = None) -> Work:
    """What all trials of a sweep have in common; `folder` is that of the run, if there is one."""
    return Work(
        train=train,
        setup=setup,
        metric=settings.objective.metric,
        parameters=settings.space.names,
        rules=settings.stop.rules,
        timeout_s=settings.stop.timeout_s,
        threads=settings.run.demand.cpus,
        gpus=settings.run.demand.gpus,
        sweep="" if folder is None else folder.name,
        checkpoints=None if folder is None else str(folder.absolute() / "checkpoints"),
    )


def launch(
    settings: Settings,
    train: Function,
    setup: Function | None,
    folder: pathlib.Path,
    backend: str,
    view: View,
    address: str | None = None,
    accept_changes: bool = False,
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
        accept_changes: Go on although configs are trained in another way than when the run began.

    Raises:
        SweepError: It cannot run, or cannot go on; the text says why.
    """
    work = work_of(settings, train, setup, folder)
    with Interrupts() as interrupts:
        opener = _opener(backend, work, settings, interrupts, folder, address, view)
        store: Store | None = None
        try:
            sweep, remark = settle(settings, digests(train, setup), folder, accept_changes)
            store = Store(folder, settings.space, Patience(view, interrupts))
            for line in store.damaged:
                view.say(line)
            if remark:
                view.say(remark)
            keep(sweep, folder)
            driver = Driver(settings, store, opener, view, interrupts)
            driver.run()
        except Halt as halt:
            return Ended(halt.code, str(halt))
        except KeyboardInterrupt:
            return Ended(130, "interrupted")
        except OSError as error:
            raise UsageError(
                f"cannot write results to {folder}: {error.strerror or error}; choose another place with --out"
            ) from error
        finally:
            view.close()
            if store is not None:
                store.close()
    return Ended(int(driver.failed), None)


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
    if backend != "ray" and (demand.memory or demand.resources):
        raise UsageError("[run]: memory and resources are for clusters: leave them out or use --backend ray")
    if backend != "ray" and demand.gpus:
        _refuse_missing_gpus(backend, demand.gpus)

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


def _refuse_missing_gpus(backend: str, share: float) -> None:
    """Raise when the slots of this machine cannot have the GPUs that they are to have."""
    if backend == "inline":
        raise UsageError("[run]: gpus are given to processes: use --backend local, or leave gpus out")
    devices = present(os.environ)
    if not room(devices, share):
        found = f"{len(devices)} of them" if devices else "none"
        raise UsageError(
            f"[run]: a trial is to have {share:g} GPUs, and this machine has {found} to be seen: "
            f"leave gpus out (--set run.gpus=0), set {VISIBLE}, or use --backend ray"
        )


def _hidden(error: BaseException | None) -> str:
    """A line more for an import that failed because a package of ours has the name of the user's; or nothing."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if package not in _OURS:
        return ""
    return f"coarsefine has a package {package!r} of its own, which hides yours: rename your {package!r}"
