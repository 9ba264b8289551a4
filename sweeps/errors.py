"""The errors of the tool, each with the exit code that the command gives for it.

    SweepError
    |-- UsageError       2  the settings, the command line or a file are wrong; nothing was run or written
    |   `-- Damaged      2  a stored file is not as it was written
    |-- NothingToLearn   1  a stage ended without a finite result, so the next one has no region
    |-- BackendFailed    4  no worker could be started
    `-- RunHeld          5  another driver holds the run

Every text is for a person: what is wrong, where, and how to mend it.
"""

from __future__ import annotations


class SweepError(Exception):
    """Anything that ends a run with one clear message."""

    exit_code = 1


class UsageError(SweepError):
    """The settings, the command line or a file are wrong."""

    exit_code = 2


class Damaged(UsageError):
    """A stored file is not as it was written; the text names it."""


class NothingToLearn(SweepError):
    """A stage has no finite result to fit the next region on; what is stored stays as it is."""

    exit_code = 1


class BackendFailed(SweepError):
    """No worker could be started."""

    exit_code = 4


class RunHeld(SweepError):
    """Another driver holds the run."""

    exit_code = 5
