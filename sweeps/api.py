"""`sweeps.run(...)`: the same sweep from a script or a notebook, with a function instead of a file."""

from __future__ import annotations

import html
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle

from sweeps.hold import place
from sweeps.launch import check, launch, reference
from sweeps.progress import View, open_view
from sweeps.reading import Run
from sweeps.settings import settings_from
from sweeps.summary import closing, ranked
from workers.command import command_from, is_command
from workers.messages import Function


@dataclass(frozen=True, slots=True)
class Result:
    """A run that ended.

    Attributes:
        folder: The results folder; `analysis.load(folder)` gives its tables as frames.
        code: What the command would have exited with: 0, 1, 3 or 130.
    """

    folder: pathlib.Path
    code: int

    @property
    def best_params(self) -> dict[str, Any]:
        """The config of the best trial, for `train(**result.best_params)`; empty when nothing finite was reported."""
        best = ranked(Run(self.folder), 1)
        return best[0].config if best else {}

    def __repr__(self) -> str:
        """What the run came to, in lines."""
        return "\n".join(closing(Run(self.folder), None))

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def run(
    train: Callable[..., Any] | str,
    *,
    space: Mapping[str, Any],
    stages: Sequence[Mapping[str, Any]] = (),
    search: Mapping[str, Any] | None = None,
    metric: str,
    mode: str,
    setup: Callable[..., Any] | str | None = None,
    seed: int = 0,
    stop: Mapping[str, Any] | None = None,
    slots: int | str = "auto",
    cpus: int = 1,
    gpus: float = 0,
    retries: int = 1,
    budget: float | str | None = None,
    backend: str = "auto",
    address: str | None = None,
    out: str | pathlib.Path = "runs",
    name: str | None = None,
    accept_changes: bool = False,
) -> Result:
    """A sweep carried out, or gone on with: the same call again runs only what is missing.

    Args:
        train: The trainer: a function, `"file.py:name"`, or a command such as `"script.py --lr {lr}"`.
        space: As in the sweep file's [space].
        stages: As in the sweep file's [[stage]], such as `{"name": "coarse", "trials": 100, "epochs": 5}`.
        search: Instead of stages a budget, as in the sweep file's [search]: `{"trainings": 50, "epochs": 50}`.
        metric: What is optimised.
        mode: "max" or "min".
        setup: Loads data, once per worker process; the trainer gets the result as `data`.
        seed: Seed of everything that is drawn.
        stop: As in the sweep file's [stop].
        slots: How many trials run at the same time.
        cpus: Cores of a trial.
        gpus: GPUs of a trial; may be a part of one.
        retries: Tries after a lost worker or a time-out.
        budget: Wall-clock limit of the sweep, in seconds or as "2h".
        backend: "auto", "local", "inline" or "ray".
        address: Of a Ray cluster, or "auto".
        out: Folder of runs.
        name: Name of the run; the trainer's by default.
        accept_changes: Go on with a run although the trainer or its stop rules have changed since it began.

    Raises:
        UsageError: An argument is wrong; nothing was run or written.
    """
    written: dict[str, Any] = {
        "train": _words(train),
        "metric": metric,
        "mode": mode,
        "seed": seed,
        "space": dict(space),
        **({"stage": [dict(stage) for stage in stages]} if search is None or stages else {}),
        **({} if search is None else {"search": dict(search)}),
        "stop": dict(stop or {}),
        "run": {"slots": slots, "cpus": cpus, "gpus": gpus, "retries": retries},
    }
    if setup is not None:
        written["setup"] = _words(setup)
    if budget is not None:
        written["run"]["budget"] = budget
    settings = settings_from(written, pathlib.Path.cwd())
    trainer = _function(train, settings.folder)
    loader = None if setup is None else _function(setup, settings.folder)
    check(settings, trainer, loader)
    folder = place(pathlib.Path(out), name or _title(_words(train)))
    ended = launch(settings, trainer, loader, folder, backend, _view(), address, accept_changes)
    return Result(folder, ended.code)


def _view() -> View:
    """Where progress is shown: in the cell of a notebook, else on standard error."""
    if "IPython" in sys.modules and hasattr(sys.modules["IPython"].get_ipython(), "kernel"):
        from sweeps.notebook import Notebook  # here, since it costs an import of rich

        return Notebook()
    return open_view(sys.stderr)


def _title(words: str) -> str:
    """The name of a run that has been given none."""
    return pathlib.Path(command_from(words).name).stem if is_command(words) else words.rpartition(":")[2]


def _words(function: Callable[..., Any] | str) -> str:
    """A function as the sweep file would name it."""
    if isinstance(function, str):
        return function
    return f"{getattr(function, '__module__', '__main__')}:{getattr(function, '__qualname__', 'function')}"


def _function(function: Callable[..., Any] | str, folder: pathlib.Path) -> Function:
    """A function as it travels: pickled, by value if it lives in `__main__` or a notebook."""
    if isinstance(function, str):
        return reference(function, folder)
    return Function(_words(function), cloudpickle.dumps(function))
