"""What a trainer is: how it is found, which names it takes, how its answer becomes epochs.

A trainer imports nothing of ours. It is a generator that yields one dict of metrics per epoch; a function that
returns a dict or a number counts as one report.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import pathlib
import sys
import traceback
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle

from workers.command import CommandError, is_command
from workers.messages import Function
from workers.script import Script, ScriptFailed

INJECTED = ("epochs", "seed", "data", "checkpoint", "context")
_PLUMBING = ("workers.", "sweeps.", "importlib")


class TrainerError(Exception):
    """The trainer cannot be used as it is; the text says what to change."""


@dataclass(frozen=True, slots=True)
class Binding:
    """How a trainer is called.

    Attributes:
        as_dict: The whole config goes into one parameter called `config`.
        epochs: The trainer takes its budget by name.
        seed: The trainer takes its seed by name.
        data: The trainer takes the result of `setup` by name.
        checkpoint: The trainer takes the folder of its checkpoint by name.
        context: The trainer takes what is known of its trial by name.
    """

    as_dict: bool
    epochs: bool
    seed: bool
    data: bool
    checkpoint: bool = False
    context: bool = False


def load(function: Function) -> Callable[..., Any]:
    """The function that a reference names.

    Raises:
        TrainerError: The file, module or name does not exist, or its import fails.
    """
    if function.payload is not None:
        return cloudpickle.loads(function.payload)  # type: ignore[no-any-return]
    if is_command(function.source):
        try:
            return Script(function.source)
        except CommandError as error:
            raise TrainerError(str(error)) from error
    where, _, name = function.source.rpartition(":")
    if not where or not name:
        raise TrainerError(f'{function.source!r} names no function: write "train.py:train" or "package.module:train"')
    module = _load_file(pathlib.Path(where)) if where.endswith(".py") else _load_module(where)
    if not hasattr(module, name):
        functions = [n for n, value in vars(module).items() if callable(value) and not n.startswith("_")]
        raise TrainerError(f"{where} has no function {name!r}{did_you_mean(name, functions)}")
    found = getattr(module, name)
    if not callable(found):
        raise TrainerError(f"{function.source} is a {type(found).__name__}, not a function")
    return found  # type: ignore[no-any-return]


def bind(train: Callable[..., Any], parameters: Sequence[str], optional: Sequence[str], has_data: bool) -> Binding:
    """How to call a trainer with these parameters.

    Args:
        train: The trainer.
        parameters: Names of the space's parameters.
        optional: Those of them that are not active in every config: the trainer needs a default for them.
        has_data: A `setup` function gives `data`.

    Raises:
        TrainerError: A name is missing or unknown, on one side or the other; the text names the nearest.
    """
    what = f"{getattr(train, '__name__', 'the trainer')}()"
    try:
        signature = inspect.signature(train)
    except (TypeError, ValueError) as error:
        raise TrainerError(f"{what} has no signature that can be read: wrap it in a function of your own") from error
    named = {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.POSITIONAL_ONLY and (name in parameters or parameter.default is parameter.empty):
            raise TrainerError(f"{what} takes {name!r} by position only, but it is called with names: remove the `/`")
    as_dict = "config" in named and not any(name in named for name in parameters)
    if not as_dict:
        _check_names(what, named, takes_any, parameters, optional)
    # A default other than None says that the name means something else here: the length of a context, a file.
    free = {n for n, p in named.items() if n not in parameters and (p.default is None or p.default is p.empty)}
    for name, parameter in named.items():
        given = name in parameters or name in ("epochs", "seed") or (name == "data" and has_data)
        given = given or name in free & {"checkpoint", "context"}
        if as_dict and name == "config":
            given = True
        if not given and parameter.default is parameter.empty:
            raise TrainerError(f"{what} needs {name!r}, {_remedy(name, parameters)}")
    return Binding(
        as_dict,
        "epochs" in named,
        "seed" in named,
        "data" in named and has_data,
        "checkpoint" in free,
        "context" in free,
    )


def reports_of(answer: Any) -> Iterator[Any]:
    """What a trainer's answer reports, one item per epoch: the generator itself, or a single item."""
    if isinstance(answer, Iterator):
        return answer
    return iter((answer,))


def users_traceback(error: BaseException) -> str:
    """The traceback as the user's own program would have printed it: our frames above it left out."""
    frame = error.__traceback__
    while frame is not None and str(frame.tb_frame.f_globals.get("__name__")).startswith(_PLUMBING):
        frame = frame.tb_next
    # Where all frames are ours there is no user's program to show. A syntax error tells its place, a script its own.
    if frame is None and not isinstance(error, SyntaxError | ScriptFailed):
        frame = error.__traceback__
    return "".join(traceback.format_exception(type(error), error, frame))


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The end of an error message: `; did you mean 'lr'?`, or what is known, or nothing."""
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if nearest:
        return f"; did you mean {nearest[0]!r}?"
    return f"; known: {', '.join(known)}" if 0 < len(known) <= 12 else ""


def _check_names(
    what: str,
    named: Mapping[str, inspect.Parameter],
    takes_any: bool,
    parameters: Sequence[str],
    optional: Sequence[str],
) -> None:
    """Raise when the space gives the trainer a name that it does not take, or may withhold one that it needs."""
    for name in parameters:
        if name in named and name in optional and named[name].default is inspect.Parameter.empty:
            raise TrainerError(f"{what} must give {name!r} a default: it is not active in every config")
        if name not in named and not takes_any:
            free = [n for n in named if n not in INJECTED and n not in parameters]
            raise TrainerError(f"{what} has no parameter {name!r}{did_you_mean(name, free)}")


def _remedy(name: str, parameters: Sequence[str]) -> str:
    """What to do about a parameter of the trainer that nothing gives."""
    if name == "data":
        return 'which `setup` gives: add setup = "file.py:function"'
    return f"which the space does not give: add it to [space] or give it a default{did_you_mean(name, parameters)}"


def _load_file(path: pathlib.Path) -> Any:
    """The module of a Python file, imported once per process, with its folder on the path for its siblings."""
    if not path.is_file():
        raise TrainerError(f"there is no file {path}")
    # A file may be called like a module that exists (`random.py`): then it is kept under a name of its own.
    for name in (path.stem, f"_trainer_{path.stem}_{zlib.crc32(bytes(path)):08x}"):
        loaded = sys.modules.get(name)
        if loaded is None:
            break
        if getattr(loaded, "__file__", None) == str(path):
            return loaded
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TrainerError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _load_module(name: str) -> Any:
    """An importable module."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            hint = f'; for a file write "{name}.py:..."' if pathlib.Path(f"{name}.py").is_file() else ""
            raise TrainerError(f"there is no module {name!r} to import{hint}") from error
        raise
