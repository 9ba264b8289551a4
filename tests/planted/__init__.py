"""Small deliberate mistakes, each of which the tests must catch."""

from planted import checkpoints, runs, storage, trials

BUGS = storage.BUGS + trials.BUGS + checkpoints.BUGS + runs.BUGS
