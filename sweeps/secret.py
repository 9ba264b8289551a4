"""Passwords and keys: refused in settings, which are stored, and masked in what a trainer says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sweeps.errors import UsageError

_WORDS = r"(?:password|passwd|passphrase|secret|credentials?|token|(?:api|access|private|secret|auth)[_-]?key)"
_NAME = re.compile(rf"(?:^|[^a-z]){_WORDS}$")
_MARK = re.compile(r"[<\[{(|].*")  # "<pad>", "[MASK]": tokens of a vocabulary
_URL = re.compile(rf"(://[^/\s:@]*:)[^/\s@]+(?=@)|([?&](?:[\w-]*[_-])?{_WORDS}=)[^&#\s'\"]+", re.IGNORECASE)
_OPTION = re.compile(rf"(--(?:[\w-]*-)?{_WORDS}[= ])(?![{{\d-])\S+", re.IGNORECASE)
_ADVICE = "settings are stored: let the trainer read it from the environment, with os.environ"


def refuse_secrets(written: Any, name: str = "", where: str = "") -> None:
    """Raise when settings hold what looks like a secret: a text called so, or a URL or an option with one in it.

    Args:
        written: The settings, or a part of them.
        name: The key under which it is.
        where: How to find it.

    Raises:
        UsageError: The text names its place, not what is there.
    """
    if isinstance(written, Mapping):
        for key, value in written.items():
            inner = str(key)
            named = name if inner in ("fixed", "choice") else inner
            refuse_secrets(value, named, f"{where}.{inner}" if where else inner)
    elif isinstance(written, str):
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        if written and _NAME.search(snake) and not _MARK.fullmatch(written):
            raise UsageError(f"{where} looks like a secret, and {_ADVICE}[{snake.upper()!r}]")
        if hidden(written) != written:
            raise UsageError(f"{where} has a key or a password in it, and {_ADVICE}")
    elif isinstance(written, Sequence) and not isinstance(written, bytes):
        for value in written:
            refuse_secrets(value, name, where)


def hidden(text: str) -> str:
    """The text with `***` for passwords and keys in its URLs and options."""
    if "://" not in text and "--" not in text:
        return text
    return _OPTION.sub(r"\1***", _URL.sub(lambda found: f"{found[1] or found[2]}***", text))
