"""Ray's messages in plain words: pages of advice become one line of what happened and what to do."""

from __future__ import annotations

import pathlib
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Loss:
    """Why an actor died.

    Attributes:
        reason: One line for a person.
        node: Its node went, and the actor with it.
        user: It could not be made at all, and never will be.
    """

    reason: str
    node: bool
    user: bool = False


def loss_of(text: str, host: str, *, preempted: bool = False) -> Loss:
    """What the message of an actor's death says.

    Args:
        text: Ray's message.
        host: Where the actor was, if that is known.
        preempted: Its node was taken back by its provider; the message does not say so (Ray 2.60).
    """
    where = re.search(r"\tip: (\S+)", text)
    node = f"node {host or (where[1] if where else '')}".strip()
    if "creation task" in text:
        return Loss(one_line(text, last=True), False, user=True)
    if preempted:
        return Loss(f"{node} was preempted", True)
    if "node has died" in text or "node was terminated" in text:
        return Loss(f"{node} was lost", True)
    if "OUT_OF_MEMORY" in text or "running low on memory" in text:
        return Loss(f"killed by Ray: {node} ran out of memory", False)
    if "is unavailable" in text:
        return Loss(f"{node} cannot be reached", True)
    kind = re.search(r"Worker exit type: (\w+)", text)
    return Loss(f"the worker on {node} died" + (f" ({kind[1].lower().replace('_', ' ')})" if kind else ""), False)


def remedy(text: str, root: pathlib.Path | None) -> str:
    """What to do about a cluster that cannot be joined; empty when nobody knows."""
    if re.search(r"[Pp]ackage.* size", text):
        return f"; all of {root} travels: name what is large in a .gitignore or .rayignore there"
    if "ersion mismatch" in text:
        return "; use the cluster's versions of Python and Ray here"
    if re.search(r"[Aa]uth.*[Tt]oken", text):
        return "; put the cluster's token into ~/.ray/auth_token and set RAY_AUTH_MODE=token"
    if "any running Ray instance" in text or "onnect" in text or "refused" in text or "imed out" in text:
        return "; is it up? `ray status` on its head tells"
    return ""


def one_line(text: object, *, last: bool = False) -> str:
    """The gist of a long message: its first line, or the last one of a traceback."""
    lines = [line.strip() for line in str(text).splitlines() if line.strip()]
    return (lines[-1 if last else 0] if lines else type(text).__name__)[:300]
