"""A finding: one thing that a diagnosis says, with what it says it by and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

PROBLEM = "problem"  #: acting on it makes the result better
HINT = "hint"  #: worth a look
GOOD_TO_KNOW = "good to know"  #: says how to read the results


@dataclass(frozen=True, slots=True)
class Finding:
    """One diagnosed thing.

    Attributes:
        name: A few words, the same for all findings of its kind.
        severity: `PROBLEM`, `HINT` or `GOOD_TO_KNOW`.
        evidence: What was seen, in numbers.
        advice: What to do, in one sentence.
    """

    name: str
    severity: str
    evidence: str
    advice: str
