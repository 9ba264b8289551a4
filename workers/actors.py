"""The ray backend: one actor a slot, anywhere in a cluster. The one file that knows Ray.

An actor answers one call at a time, `step`, which takes batches along and brings back what happened: a call per
quarter second and slot, however short the trials are. Ray's own retries are off; a lost actor is started again by us
and its trials are the schedule's to place.
"""

from __future__ import annotations

import os
import pathlib
import queue
import signal
import socket
import threading
import time
from typing import Any

import ray
import ray.exceptions

from workers.backend import BackendError
from workers.checkpoint import Checkpoint
from workers.complaints import loss_of, one_line, remedy
from workers.demand import Demand
from workers.luggage import luggage, portable, project_root
from workers.messages import Batch, Broken, Event, Lost, Ready, Remark, Results, Status, Work
from workers.slot import Slot
from workers.supervisor import Supervisor

GRACE_S = 6.0  #: for a slot to stop or close before its actor is killed: the grace of its supervisor, and an answer
IDLE_S = 5.0  #: an actor without work is let go after this, so that a cluster can shrink
GROWTH_S = 2.0  #: how often it is looked whether nodes have joined
KNOCK_S = 10.0  #: for a cluster to answer
MAX_DEATHS = 3  #: of one slot before it was ever up: something is wrong with the nodes
REMARK_S = 10.0  #: without any slot for so long, say what is missing


class Actors:
    """Slots as actors of a Ray cluster."""

    def __init__(
        self,
        work: Work,
        slots: int | None,
        most: int,
        demand: Demand,
        address: str | None,
        folder: pathlib.Path,
        results: pathlib.Path,
    ) -> None:
        """Connect, and ask for the slots; those that find room announce themselves through `wait`.

        Args:
            work: What all trials have in common.
            slots: How many slots; None for as many as the cluster has room for, also later when it grows.
            most: No more slots than this.
            demand: What each takes up.
            address: Of the cluster, or "auto"; None starts one on this machine.
            folder: The sweep file's; the project that it belongs to travels to the nodes.
            results: The run's folder, which does not.

        Raises:
            BackendError: There is no such cluster, or it cannot take the project.
        """
        self._demand = demand
        self._most = most
        self._grows = slots is None
        root = None if address is None else project_root(folder)
        self._checkpoints = results / "checkpoints"
        self._home = None if root is None else str(root)
        self._work = work if root is None else portable(work, root)
        _connect(address, root, results, cpus=(slots or 0) * demand.cpus)
        self._class = ray.remote(Supervisor).options(
            num_cpus=demand.cpus,
            num_gpus=demand.gpus,
            memory=demand.memory,
            resources=dict(demand.resources),
            max_restarts=0,
            max_task_retries=0,
            # Trials that use cores are spread; those that share GPUs are packed.
            scheduling_strategy="DEFAULT" if demand.gpus else "SPREAD",
        )
        self._answers: queue.SimpleQueue[tuple[int, int, Any]] = queue.SimpleQueue()
        self._slots: dict[int, Slot] = {}
        self._looked_s = self._said_s = time.monotonic()
        self._extend(min(slots or max(self._room(), 1), most))

    def submit(self, slot: int, batch: Batch) -> None:
        """Queue a batch for a slot; it goes with the next call."""
        held = self._slots[slot]
        held.take(batch)
        if held.actor is None:
            self._start(slot)
        elif not held.asked:
            self._ask(slot)

    def wait(self, timeout_s: float) -> list[Event]:
        """What happened within `timeout_s`, as soon as something did."""
        events: list[Event] = []
        deadline = time.monotonic() + timeout_s
        while not events:
            try:
                answer = self._answers.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            self._take(answer, events)
        while not self._answers.empty():
            self._take(self._answers.get(), events)
        self._look_after(time.monotonic(), events)
        return events

    def kill(self, slot: int) -> None:
        """Ask a slot to stop with its next answer, and kill its actor after a grace period."""
        held = self._slots[slot]
        if held.kill_at == float("inf"):
            held.kill, held.kill_at = True, time.monotonic() + GRACE_S
            if held.actor is not None and not held.asked:
                self._ask(slot)

    def close(self) -> None:
        """Let every actor close its process, then leave the cluster."""
        slots, self._slots = self._slots, {}
        closing = [held.actor.close.remote() for held in slots.values() if held.actor is not None and held.up]
        if closing and ray.is_initialized():
            ray.wait(closing, num_returns=len(closing), timeout=GRACE_S)
        ray.shutdown()

    def _extend(self, slots: int) -> None:
        """Ask for slots up to a number of them: what waits for room makes a cluster grow."""
        for slot in range(len(self._slots), slots):
            self._slots[slot] = Slot(0)
            self._start(slot)

    def _start(self, slot: int) -> None:
        """A new actor for a slot."""
        held = self._slots[slot]
        held.life += 1
        held.up, held.asked = False, False
        held.actor = self._class.remote(slot, self._work, home=self._home)
        self._ask(slot)

    def _ask(self, slot: int) -> None:
        """Send what there is to send, and ask what happened."""
        held = self._slots[slot]
        batches, held.outbox = held.outbox, []
        life, answers = held.life, self._answers
        future = held.actor.step.remote(batches, held.kill, self._saved(batches)).future()
        held.asked, held.kill = True, False
        future.add_done_callback(lambda answer: answers.put((slot, life, answer)))

    def _saved(self, batches: list[Batch]) -> dict[int, bytes]:
        """The checkpoints of trials that are sent out."""
        if not self._checkpoints.is_dir():
            return {}
        trials = [trial for batch in batches for trial in batch.trials.tolist()]
        packed = {trial: Checkpoint(self._checkpoints, trial).packed()[1] for trial in trials}
        return {trial: each for trial, each in packed.items() if each is not None}

    def _take(self, answer: tuple[int, int, Any], events: list[Event]) -> None:
        """Take in an answer, and ask again while there is something to hear."""
        slot, life, future = answer
        held = self._slots[slot]
        if life != held.life:
            return
        held.asked = False
        try:
            told = future.result()
        except ray.exceptions.RayActorError as error:
            self._lose(slot, error, events)
            return
        except ray.exceptions.RayError as error:
            raise BackendError(one_line(error, last=isinstance(error, ray.exceptions.RayTaskError))) from error
        for event in told:
            if isinstance(event, Broken):
                raise BackendError(event.text)
            if isinstance(event, Results):
                for trial, packed in event.saved.items():
                    Checkpoint(self._checkpoints, trial).unpack(packed)
            held.hear(event)
        # A slot that was let go and is back was never gone for the driver.
        events += [event for event in told if not (isinstance(event, Ready) and held.pending)]
        if held.pending or not held.up or held.kill or held.kill_at < float("inf"):
            self._ask(slot)
        else:
            held.idle_since = time.monotonic()

    def _lose(self, slot: int, error: ray.exceptions.RayActorError, events: list[Event]) -> None:
        """An actor died: tell of its loss if it was up, and start another."""
        held = self._slots[slot]
        loss = loss_of(str(error), held.host, preempted=error.preempted)
        if isinstance(error, ray.exceptions.ActorUnavailableError):
            ray.kill(held.actor)  # it may be there still, with answers that nobody will hear
        if held.up or held.pending:
            nan = float("nan")
            events.append(Lost(slot, Status.LOST, None, nan, nan, loss.reason, None, error.preempted))
        elif not loss.node:
            held.deaths += 1
        if loss.user or held.deaths > MAX_DEATHS:
            raise BackendError(f"a worker could not start: {loss.reason}")
        held.forget()
        held.kill_at = float("inf")
        self._start(slot)

    def _look_after(self, now: float, events: list[Event]) -> None:
        """Kill what does not stop, let idle actors go, ask for more slots when nodes have joined."""
        for held in self._slots.values():
            if held.actor is None:
                continue
            if now >= held.kill_at:
                held.kill_at = float("inf")
                ray.kill(held.actor)  # the step that is on its way fails, and the loss is told then
            elif held.up and not held.asked and not held.pending and now - held.idle_since > IDLE_S:
                held.life += 1
                held.actor.close.remote()
                held.actor = None  # the last handle: the actor ends when it has closed
        if self._grows and now - self._looked_s >= GROWTH_S:
            self._looked_s = now
            self._extend(min(self._room(), self._most))
        if any(held.up or held.actor is None for held in self._slots.values()):
            self._said_s = now
        elif now - self._said_s >= REMARK_S:
            self._said_s = now + 2 * REMARK_S
            events.append(Remark(f"no slot is up yet: each takes {self._demand.words()}; {_capacity()}"))

    def _room(self) -> int:
        """How many slots fit into the cluster as it is."""
        demand = self._demand
        wanted = {"CPU": float(demand.cpus), "GPU": demand.gpus, **demand.resources}
        room = 0
        for node in ray.nodes():  # type: ignore[no-untyped-call]
            if node["Alive"]:
                has = node["Resources"]
                room += min(int(has.get(name, 0.0) / amount) for name, amount in wanted.items() if amount)
        return room


def _connect(address: str | None, root: pathlib.Path | None, results: pathlib.Path, cpus: int) -> None:
    """Join a cluster with the project in the bag, or start one on this machine.

    Raises:
        BackendError: It cannot be joined; one line says why.
    """
    if ray.is_initialized():
        raise BackendError("this process has a Ray session already: call ray.shutdown() first")
    # Ray prints its raylets' messages to stdout, past `log_to_driver`; ours is for results.
    setattr(ray._private.worker, "print_to_stdstream", lambda *arguments, **options: None)  # noqa: B010
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None or root is None:
        options |= {"address": "local", "num_cpus": max(cpus, os.cpu_count() or 1), "include_dashboard": False}
    else:
        options |= {"address": address, "runtime_env": luggage(root, results)}
    ours = signal.getsignal(signal.SIGTERM)
    try:
        _knock(address)
        ray.init(**options)
    except Exception as error:
        where = "Ray does not start on this machine" if address is None else f"cannot use the Ray cluster {address!r}"
        raise BackendError(f"{where}: {one_line(error)}{remedy(str(error), root)}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, ours)  # Ray puts in its own, which ends the process on the spot


def _knock(address: str | None) -> None:
    """Raise unless somebody listens at a cluster's address; Ray itself would wait for minutes."""
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=KNOCK_S).close()


def _capacity() -> str:
    """What the cluster has, in words."""
    total, free = ray.cluster_resources(), ray.available_resources()  # type: ignore[no-untyped-call]
    names = [name for name in total if not name.startswith(("node:", "object_store", "memory"))]
    found = ", ".join(f"{free.get(name, 0.0):g} of {total[name]:g} {name} free" for name in sorted(names))
    return f"the cluster has {found or 'no CPU at all'}"
