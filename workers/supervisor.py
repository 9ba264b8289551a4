"""One slot of a cluster, on its node: a worker process of the local backend, and the word of it carried on request.

The trial runs in a child process. So whatever a trial does to its process (a crash, a hang in C, a fork left behind)
is handled beside it, by the same code as on one machine, and only the loss of a node is the cluster's to tell. Knows
nothing of Ray: an actor is made of this class.
"""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from workers.backend import BackendError
from workers.checkpoint import Checkpoint
from workers.columns import EndColumns, ReportColumns
from workers.luggage import unpacked
from workers.messages import Batch, Broken, Event, Lost, Remark, Results, Work
from workers.processes import Processes
from workers.scratch import Scratch

PATIENCE_S = 1.0  #: an answer comes after this at the latest, also when there is nothing to tell
SHIP_S = 10.0  #: a running trial's checkpoint travels this often: what a lost node loses of its training
_NO_BATCH = -1
_NAMED = 5  #: files that are named in a remark


class Supervisor:
    """A slot, as a node keeps it."""

    def __init__(self, slot: int, work: Work, *, home: str | None) -> None:
        """Start the worker process.

        Args:
            slot: Number of the slot, for what is told.
            work: What all trials have in common.
            home: Where the user's code is on the driver's machine; here it is in this process's folder, which is
                gone when the sweep is over. None where driver and node share a file system.
        """
        self._slot = slot
        self._home = home
        self._folder = None if home is None else pathlib.Path.cwd()
        self._known = self._written()
        if self._folder is not None:
            work = unpacked(work, self._folder)
        self._scratch = Scratch()
        self._checkpoints = self._scratch.folder
        self._shipped: dict[int, tuple[int, float]] = {}  # epoch of the last checkpoint that was sent, and when
        self._processes = Processes(replace(work, checkpoints=str(self._checkpoints)), 1)

    def step(self, batches: Sequence[Batch], kill: bool, saved: Mapping[int, bytes]) -> list[Event | Broken]:
        """What has happened, after taking batches in; waits until a trial ends, and `PATIENCE_S` for less than that.

        Args:
            batches: New batches.
            kill: Stop what runs.
            saved: Checkpoints of trials in the batches, packed.
        """
        deadline = time.monotonic() + PATIENCE_S
        events: list[Event | Broken] = []
        try:
            for trial, packed in saved.items():
                events += self._taken_over(trial, packed)
            for batch in batches:
                self._processes.submit(0, batch)
            if kill:
                self._processes.kill(0)
            while (left := deadline - time.monotonic()) > 0:
                events += self._processes.wait(left)
                if any(not isinstance(event, Results) or len(event.ends.trial) for event in events):
                    break
        except BackendError as error:
            return [*events, Broken(self._at_home(str(error)))]
        notes = self._notes()
        told = [(self._left_by(event), self._told(event, notes)) for event in events if not isinstance(event, Broken)]
        return [event for pair in told for event in pair if event is not None]

    def close(self) -> None:
        """Leave no process and no file behind."""
        self._processes.close()
        self._scratch.close()

    def _taken_over(self, trial: int, packed: bytes) -> list[Event]:
        """Make a checkpoint from elsewhere a trial's own; what to say if it cannot be."""
        try:
            Checkpoint(self._checkpoints, trial).unpack(packed)
        except OSError as error:
            return [Remark(f"a checkpoint was not taken over, its trial starts anew: {error.strerror or error}")]
        return []

    def _left_by(self, event: Event) -> Results | None:
        """The checkpoint of a trial whose process died, which travels ahead of the word of it; or None."""
        if not isinstance(event, Lost) or event.trial is None or event.trial < 0:
            return None
        checkpoint = Checkpoint(self._checkpoints, event.trial)
        epoch, _ = self._shipped.pop(event.trial, (0, 0.0))
        _, packed = checkpoint.packed(after=epoch)
        checkpoint.drop()
        if packed is None:
            return None
        nothing = Results(self._slot, _NO_BATCH, 0, ReportColumns().arrays(), EndColumns().arrays())
        return replace(nothing, saved={event.trial: packed})

    def _told(self, event: Event, notes: tuple[str, ...]) -> Event:
        """An event as the driver is to hear it: with this slot's number, and the user's own names of files."""
        if isinstance(event, Remark):
            return event
        if isinstance(event, Lost):
            trace = None if event.traceback is None else self._at_home(event.traceback)
            return replace(event, slot=self._slot, traceback=trace)
        if isinstance(event, Results):
            reasons = {trial: self._at_home(text) for trial, text in event.ends.reasons.items()}
            traces = {trial: self._at_home(text) for trial, text in event.ends.tracebacks.items()}
            ends = replace(event.ends, reasons=reasons, tracebacks=traces)
            return replace(event, slot=self._slot, ends=ends, notes=event.notes + notes, saved=self._saved(event))
        return replace(event, slot=self._slot)

    def _saved(self, event: Results) -> dict[int, bytes]:
        """The checkpoints that are to travel: of trials that ended, and now and then of one that runs."""
        if not any(self._checkpoints.iterdir()):
            return {}
        saved, now = {}, time.monotonic()
        ended = set(event.ends.trial.tolist())
        for trial in ended | set(event.reports.trial[-1:].tolist()):
            epoch, sent_s = self._shipped.setdefault(trial, (0, now))
            if trial not in ended and now - sent_s < SHIP_S:
                continue
            checkpoint = Checkpoint(self._checkpoints, trial)
            newest, packed = checkpoint.packed(after=epoch)
            if packed is not None:
                saved[trial] = packed
            self._shipped[trial] = (newest, now)
            if trial in ended:  # the driver has it now
                checkpoint.drop()
                del self._shipped[trial]
        return saved

    def _at_home(self, text: str) -> str:
        """A text in which files have the names that they have on the driver's machine."""
        return text if self._home is None else text.replace(str(self._folder), self._home)

    def _notes(self) -> tuple[str, ...]:
        """A remark on files that a trial wrote to a folder that will be thrown away."""
        new = sorted(self._written() - self._known)
        self._known |= set(new)
        if not new:
            return ()
        names = ", ".join(new[:_NAMED]) + (" and more" if len(new) > _NAMED else "")
        return (f"a trial wrote {names} to its working folder, which a cluster throws away: use an absolute path",)

    def _written(self) -> set[str]:
        """What is in the folder that will be thrown away."""
        return set() if self._folder is None else {name for name in os.listdir(self._folder) if name != "__pycache__"}
