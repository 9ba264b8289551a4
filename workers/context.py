"""What a trainer may know of its trial, for loggers of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Context:
    """A trial's name and place in its sweep, injected as `context`.

    Attributes:
        sweep: Name of the run; loggers call it a group or an experiment.
        stage: Name of the stage that the trial was born in.
        trial: Its index there.
        seed: Its seed.
        start: Epochs that are stored already: 0, or more when a later stage continues the trial.
        epochs: The epoch up to which it is trained.
    """

    sweep: str
    stage: str
    trial: int
    seed: int
    start: int
    epochs: int

    @property
    def name(self) -> str:
        """`sweep-stage-trial`, for people."""
        return f"{self.sweep}-{self.stage}-{self.trial}"

    @property
    def group(self) -> str:
        """The sweep's name, as loggers call it."""
        return self.sweep

    @property
    def id(self) -> str:
        """The same for every attempt at this trial, and another one for every other trial: to resume a log by."""
        return f"{self.name}-{self.seed:08x}"
