"""A command with parameters in braces, as a sweep file names a script: `train.py --lr {lr} --reg {reg=0.0}`.

Only read here, and filled in; `workers.script` runs it. No shell is involved, so no value can be taken for an option or
a command of its own.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
import shlex
import shutil
import string
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workers.context import Context

_PYTHON = ("python", "python3")
_REFUSED = {
    "data": "a script loads its own data; `setup` is for functions",
    # It may be an epoch ahead of the report that its files would be kept with.
    "checkpoint": "a script does not wait for its epochs to be stored, so it cannot go on from one: leave it out",
}
_PLACE = re.compile(r"([^\W\d]\w*)(?:\.(\w+))?(?:=(.*))?", re.DOTALL)


class CommandError(Exception):
    """The command cannot be used as it is; the text says what to change."""


@dataclass(frozen=True, slots=True)
class Place:
    """A word in braces.

    Attributes:
        name: The parameter, or what else a trainer may ask for by name.
        attribute: What of it: `{context.name}`; empty for the whole.
        default: What stands there when the parameter is not given; None if it always is.
    """

    name: str
    attribute: str
    default: str | None

    def text(self, values: Mapping[str, Any]) -> str:
        """What stands in its place: a text as it is, anything else as in JSON."""
        if self.name not in values:
            return self.default or ""
        value = getattr(values[self.name], self.attribute) if self.attribute else values[self.name]
        return str(value) if isinstance(value, str | pathlib.Path) else json.dumps(value)


@dataclass(frozen=True, slots=True)
class Command:
    """A command that can be started.

    Attributes:
        name: What it runs, for people.
        words: Each in pieces: texts, and places to be filled in.
    """

    name: str
    words: tuple[tuple[str | Place, ...], ...]

    @property
    def parameters(self) -> dict[str, Any]:
        """The names that it takes, each with its default as a value; None for those that must be given."""
        found: dict[str, Any] = {}
        for place in (piece for word in self.words for piece in word if isinstance(piece, Place)):
            if place.default is None or place.name not in found:
                found[place.name] = None if place.default is None else _value(place.default)
        return found

    def filled(self, values: Mapping[str, Any]) -> list[str]:
        """The words with values in their places."""
        return ["".join(p if isinstance(p, str) else p.text(values) for p in word) for word in self.words]


def is_command(source: str) -> bool:
    """Whether a trainer is named as a command: only there are braces."""
    return "{" in source


def command_from(written: str) -> Command:
    """A command as it is written, checked.

    Raises:
        CommandError: It cannot be read, or there is no such file or program.
    """
    words = _split(written)
    file = _file(words)
    name = pathlib.Path(words[0 if file is None else file]).name
    if file is not None and not pathlib.Path(words[file]).is_file():
        raise CommandError(f"there is no file {words[file]}")
    if file == 0:
        words = [sys.executable, *words]
    elif words[0] in _PYTHON:
        words = [sys.executable, *words[1:]]
    elif shutil.which(words[0]) is None:
        raise CommandError(f"there is no program {words[0]!r} to start: is it installed, and executable?")
    return Command(name, tuple(tuple(_pieces(word)) for word in words))


def placed(command: str, place: Callable[[pathlib.Path], pathlib.Path]) -> str:
    """The command with its Python file named anew; other programs are found as a shell finds them.

    Args:
        command: The command.
        place: From the file's name to the new one.

    Raises:
        CommandError: The command cannot be read.
    """
    words = _split(command)
    file = _file(words)
    if file is not None:
        words[file] = str(place(pathlib.Path(words[file])))
    return shlex.join(words)


def _split(command: str) -> list[str]:
    """The words of a command, at least one."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise CommandError(f"train = {command!r} cannot be read as a command: {str(error).lower()}") from error
    if not words or "{" in words[0]:
        raise CommandError(f'train = {command!r} must begin with the script: "train.py --lr {{lr}}"')
    return words


def _file(words: list[str]) -> int | None:
    """Which of the words is the Python file that is run; None for other programs and for `python -m`."""
    first = 0
    if words[0] in _PYTHON:
        first = next((i for i, word in enumerate(words) if i and not word.startswith("-")), 0)
    return first if words[first].endswith(".py") else None


def _pieces(word: str) -> Iterator[str | Place]:
    """The texts and places of a word, in order.

    Raises:
        CommandError: What is in its braces is no name.
    """
    try:
        pieces = list(string.Formatter().parse(word))
    except ValueError as error:
        raise CommandError(f"{word!r} in train: {error}; write {{{{ and }}}} for braces") from error
    for text, field, form, conversion in pieces:
        if text:
            yield text
        if field is None:
            continue
        found = _PLACE.fullmatch(field)
        if found is None or form or conversion:
            raise CommandError(
                f"{word!r} in train: write a name in braces, as in {{lr}} or {{lr=0.1}}; {{{{ for a brace"
            )
        name, attribute, default = found.groups()
        if name in _REFUSED:
            raise CommandError(f"{word!r} in train: {_REFUSED[name]}")
        if attribute and (name != "context" or not hasattr(Context, attribute)):
            raise CommandError(f"{word!r} in train: {name} has no {attribute!r}")
        yield Place(name, attribute or "", default)


def _value(written: str) -> Any:
    """A default as a value: a number if it reads like one."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(written)
    return written
