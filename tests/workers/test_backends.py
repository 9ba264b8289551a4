"""The contract of `workers/backend.py`, the same for every backend.

Another backend joins with its opener and its name in `EVERY`, and in `APART` too if its workers are processes.
"""

import contextlib
import gc
import itertools
import os
import pathlib
import select
import signal
import subprocess
import sys
import time
from dataclasses import replace

import cloudpickle
import numpy as np
import pytest
import threadpoolctl

from sweeps.rules import BlowUp, NonFinite
from workers import processes
from workers.backend import BackendError
from workers.demand import Demand
from workers.inline import Inline
from workers.messages import Batch, Function, Lost, Ready, Remark, Results, Status, Work
from workers.processes import Processes

TRAINERS = pathlib.Path(__file__).with_name("trainers_contract.py")
HELD = "HELD_BY_THE_TRAINER"

RAY = pytest.param(
    "ray",
    marks=[
        pytest.mark.cluster,
        pytest.mark.slow,
        pytest.mark.xdist_group("ray"),
        pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
    ],
)
EVERY = ["inline", "local", RAY]
APART = ["local", RAY]

apart = pytest.mark.parametrize("open_backend", APART, indirect=True)
inline = pytest.mark.parametrize("open_backend", ["inline"], indirect=True)
local = pytest.mark.parametrize("open_backend", ["local"], indirect=True)


@pytest.fixture(params=EVERY)
def open_backend(request, tmp_path):
    """Opens a backend; it is closed at the end."""

    def ray(work, slots):
        from workers.actors import Actors

        address = request.getfixturevalue("ray_cluster").address
        return Actors(work, slots, 100, Demand(), address, pathlib.Path(work.train.source).parent, tmp_path / "x")

    openers = {"inline": lambda work, slots: Inline(work), "local": Processes, "ray": ray}
    with contextlib.ExitStack() as opened:

        def open_backend(work, slots=1):
            backend = openers[request.param](work, slots)
            opened.callback(backend.close)
            return backend

        yield open_backend
    gc.collect()  # what was left open is told as a warning, which is an error


@pytest.fixture
def pipe(tmp_path, monkeypatch):
    """A pipe for trainers to hold open, which tells when the last process that does has gone."""
    path = tmp_path / "held"
    os.mkfifo(path)
    monkeypatch.setenv(HELD, str(path))
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield reader
    os.close(reader)


def everybody_let_go(pipe):
    """Whether the pipe was held, and no longer is."""
    said = b""
    while select.select([pipe], [], [], 10)[0]:
        piece = os.read(pipe, 100)
        if not piece:
            return bool(said)
        said += piece
    return False


def work(trainer="act", *, setup=None, parameters=("deed",), rules=(), timeout_s=None, threads=1):
    train, loader = (Function(f"{TRAINERS}:{name}") for name in (trainer, setup))
    return Work(train, loader if setup else None, "loss", parameters, rules, timeout_s, threads)


def batch(*columns, number=0, first=0, epochs=3, eager=False):
    """A batch of one trial for each row of the columns."""
    trials = np.arange(first, first + len(columns[0]))
    return Batch(number, trials, trials + 1000, trials * 0, trials * 0 + epochs, columns, eager)


def listen(backend, enough):
    """What happened until it was enough."""
    events, deadline = [], time.monotonic() + 60
    while not enough(events):
        assert time.monotonic() < deadline, events
        events += backend.wait(0.1)
    return events


def up(backend, slots=1):
    """The slots by number, of which nothing is heard before they are ready; that it takes long may be remarked."""
    events = listen(backend, lambda events: sum(isinstance(event, Ready) for event in events) >= slots)
    ready = [event for event in events if not isinstance(event, Remark)]
    assert {type(event) for event in ready} == {Ready}
    assert sorted(event.slot for event in ready) == list(range(slots))
    return {event.slot: event for event in ready}


def run(backend, *batches, slot=0):
    """What was said of batches until all their trials had ended."""
    for each in batches:
        backend.submit(slot, each)
    return listen(backend, lambda events: len(ends(events)) >= sum(len(each.trials) for each in batches))


def until_up_again(backend):
    """The loss of a slot that came up again, and what else was said."""
    events = listen(backend, lambda events: any(isinstance(event, Ready) for event in events))
    (loss,) = (event for event in events if isinstance(event, Lost))
    assert isinstance(events[events.index(loss) + 1], Ready)
    return loss, events[: events.index(loss)]


def ends(events):
    """(trial, status) in the order in which they were said."""
    columns = [(event.ends.trial, event.ends.status) for event in events if isinstance(event, Results)]
    return [(int(trial), Status(status)) for pair in columns for trial, status in zip(*pair, strict=True)]


def reports(events):
    """(trial, epoch) in the order in which they were said."""
    columns = [(event.reports.trial, event.reports.epoch) for event in events if isinstance(event, Results)]
    return [(int(trial), int(epoch)) for pair in columns for trial, epoch in zip(*pair, strict=True)]


def metric(events, name):
    return [value for event in events for value in event.reports.metrics.get(name, np.empty(0)).tolist()]


def reasons(events):
    return {trial: reason for event in events for trial, reason in event.ends.reasons.items()}


def tracebacks(events):
    return {trial: text for event in events for trial, text in event.ends.tracebacks.items()}


# --- every backend


def test_a_slot_is_ready_before_it_is_given_anything(open_backend):
    backend = open_backend(work())
    assert up(backend)[0].host
    assert backend.wait(0) == []


def test_every_trial_ends_once_and_reports_its_epochs_in_order_with_none_after_the_end(open_backend):
    backend = open_backend(work(rules=(NonFinite(),)))
    up(backend)
    deeds = ["nothing", "return", "nan", "raise", "nothing", "report a text", "exit"]
    events = run(backend, batch(deeds)) + run(backend, batch(["nothing"], number=1, first=7))
    completed, stopped, failed = Status.COMPLETED, Status.STOPPED, Status.FAILED
    statuses = [completed, completed, stopped, failed, completed, failed, failed, completed]
    assert ends(events) == list(enumerate(statuses))
    epochs = [3, 1, 2, 1, 3, 1, 1, 3]
    assert reports(events) == [(trial, epoch) for trial, n in enumerate(epochs) for epoch in range(1, n + 1)]
    last_reported = {trial: i for i, event in enumerate(events) for trial in event.reports.trial.tolist()}
    ended = {trial: i for i, event in enumerate(events) for trial in event.ends.trial.tolist()}
    assert all(last_reported[trial] <= ended[trial] for trial in ended)
    assert reasons(events).keys() == {2, 3, 5, 6}
    assert tracebacks(events).keys() == {3, 5, 6}


def test_batches_of_a_slot_run_in_the_order_in_which_they_were_queued(open_backend):
    backend = open_backend(work())
    up(backend)
    events = run(backend, *(batch(["nothing"] * 2, number=9 - i, first=2 * i) for i in range(4)))
    assert [number for number, _ in itertools.groupby(event.batch for event in events)] == [9, 8, 7, 6]
    assert [trial for trial, _ in ends(events)] == list(range(8))
    started = np.concatenate([event.ends.started for event in events])
    assert (np.diff(started) >= 0).all()


def test_trials_get_their_own_parameters_seed_and_budget_by_name_and_no_inactive_parameter(open_backend):
    backend = open_backend(work("what_it_got", parameters=("x", "y")))
    up(backend)
    events = run(backend, batch([1.5, 2.5], [7, None], epochs=9, first=3))
    assert metric(events, "x") == [1.5, 2.5]
    assert metric(events, "y") == [7, -1]
    assert metric(events, "seed") == [1003, 1004]
    assert metric(events, "epochs") == [9, 9]


def test_global_generators_depend_on_the_seed_only(open_backend):
    backend = open_backend(work("draws", parameters=("x",)))
    up(backend)
    events = run(backend, batch([0, 0, 0]), batch([0], number=1, first=1))
    for name in ("python", "numpy"):
        first, second, third, second_again = metric(events, name)
        assert len({first, second, third}) == 3
        assert second_again == second


def test_an_eager_batch_sends_each_report_at_once(open_backend):
    backend = open_backend(work())
    up(backend)
    events = run(backend, batch(["nothing", "nothing"], epochs=4, eager=True))
    assert [len(event.reports.trial) for event in events if len(event.reports.trial)] == [1] * 8


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("nan", "loss is nan at epoch 2"),
        ("blow up", "loss 3.5 is more than 3 times the first, 1, at epoch 2"),
    ],
)
def test_a_rule_stops_a_trial_beside_it_and_says_why(open_backend, deed, reason):
    backend = open_backend(work(rules=(NonFinite(), BlowUp("loss", 3.0))))
    up(backend)
    events = run(backend, batch([deed, "nothing"], epochs=5))
    assert ends(events) == [(0, Status.STOPPED), (1, Status.COMPLETED)]
    assert reasons(events) == {0: reason}
    assert [epoch for trial, epoch in reports(events) if trial == 0] == [1, 2]


def test_an_exception_fails_its_own_trial_with_the_users_traceback(open_backend):
    backend = open_backend(work())
    up(backend)
    events = run(backend, batch(["raise", "nothing"]))
    assert ends(events) == [(0, Status.FAILED), (1, Status.COMPLETED)]
    assert reasons(events) == {0: "ValueError: too much for me"}
    traceback = tracebacks(events)[0]
    assert traceback.startswith(f'Traceback (most recent call last):\n  File "{TRAINERS}"')
    assert "in stumble" in traceback
    assert "runner.py" not in traceback


def test_a_trial_out_of_time_ends_at_its_next_report(open_backend):
    backend = open_backend(work("sleepy", parameters=("seconds",), timeout_s=0.3))
    up(backend)
    events = run(backend, batch([0.4, 0.0]))
    assert ends(events) == [(0, Status.TIMEOUT), (1, Status.COMPLETED)]
    assert reports(events) == [(0, 1), (1, 1), (1, 2), (1, 3)]
    assert reasons(events) == {0: "ran longer than 0.3 s"}


def test_setup_is_called_once_and_every_trial_gets_its_result(open_backend, tmp_path):
    def setup():
        with calls.open("a") as file:
            file.write("called\n")
        return 42.0

    calls = tmp_path / "calls"
    by_value = Function("setup", cloudpickle.dumps(setup))
    backend = open_backend(replace(work("returns_data", parameters=("x",)), setup=by_value))
    up(backend)
    events = run(backend, batch([0, 0]), batch([0, 0], number=1, first=2))
    assert metric(events, "loss") == [42.0] * 4
    assert calls.read_text() == "called\n"


def test_kill_takes_what_is_queued_with_it_and_the_slot_comes_up_again(open_backend):
    backend = open_backend(work())
    up(backend)
    for i in range(3):
        backend.submit(0, batch(["nothing"], number=i, first=i))
    backend.kill(0)
    loss, _ = until_up_again(backend)
    assert (loss.slot, loss.status) == (0, Status.LOST)
    events = run(backend, batch(["nothing"], number=3, first=3))
    assert {event.batch for event in events} == {3}


def test_closing_twice_is_harmless(open_backend):
    backend = open_backend(work())
    up(backend)
    backend.close()
    backend.close()


# --- inline


@inline
def test_inline_leaves_the_standard_streams_alone(open_backend, capsys):
    backend = open_backend(work("talks", parameters=("word",)))
    up(backend)
    events = run(backend, batch(["hello"]))
    assert [event.printed for event in events] == [[]]
    assert capsys.readouterr() == ("hello from stdout\n", "hello from stderr\n")


def test_inline_gives_up_a_trial_at_its_next_report_when_it_is_asked_to():
    asked = iter([False, False, True])
    backend = Inline(work(), stopping=lambda: next(asked, False))
    up(backend)
    for number in range(2):
        backend.submit(0, batch(["go on for ever" if number == 0 else "nothing"], number=number, epochs=10**6))
    loss, events = until_up_again(backend)
    assert loss.status == Status.LOST
    assert reports(events) == [(0, 1), (0, 2), (0, 3)]
    assert ends(events) == []
    events = run(backend, batch(["nothing"], number=2, first=2))
    assert {event.batch for event in events} == {2}


# --- backends whose workers are processes


@apart
def test_each_slot_is_a_process_of_its_own(open_backend):
    backend = open_backend(work(), 2)
    ready = up(backend, 2)
    assert len({ready[0].pid, ready[1].pid, os.getpid()}) == 3
    for slot in ready:
        events = run(backend, batch(["nothing"], number=slot), slot=slot)
        assert {event.slot for event in events} == {slot}


@apart
def test_prints_are_collected_by_trial(open_backend, capfd):
    backend = open_backend(work("talks", parameters=("word",)))
    up(backend)
    words = ["hello", "bye"]
    events = run(backend, batch(words))
    pieces = [piece for event in events for piece in event.printed]
    assert pieces == [(trial, f"{word} from stdout\n{word} from stderr\n") for trial, word in enumerate(words)]
    assert capfd.readouterr() == ("", "")


@apart
def test_a_worker_has_the_threads_that_it_was_given(open_backend):
    backend = open_backend(work("threads", parameters=("x",), threads=3))
    up(backend)
    events = run(backend, batch([0]))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    assert [metric(events, name) for name in names] == [[3.0]] * 3


def test_matrix_products_take_as_many_threads_as_were_given(open_backend):
    with threadpoolctl.threadpool_limits(2):  # also where this process has more
        backend = open_backend(work("pools", parameters=("x",), threads=1))
        up(backend)
        assert metric(run(backend, batch([0])), "threads") == [1.0]


@apart
def test_kill_stops_a_running_trial_and_another_worker_takes_the_slot(open_backend):
    backend = open_backend(work(), 2)
    before = up(backend, 2)
    backend.submit(0, batch(["return", "go on for ever", "nothing"], epochs=10**6, eager=True))
    backend.submit(1, batch(["go on for ever"], number=1, first=3, epochs=10**6, eager=True))
    listen(backend, lambda events: {1, 3} <= {trial for trial, _ in reports(events)})
    backend.kill(0)
    backend.kill(0)
    events = listen(backend, lambda events: any(isinstance(event, Ready) for event in events))
    loss, ready = (event for event in events if isinstance(event, Lost | Ready))
    assert (loss.slot, loss.trial, loss.status) == (0, 1, Status.LOST)
    assert "SIGKILL" not in loss.reason
    assert ready.slot == 0
    assert ready.pid != before[0].pid
    assert {event.slot for event in events[events.index(loss) + 1 :] if isinstance(event, Results)} <= {1}
    backend.submit(0, batch(["return"], number=2, first=4))
    events = listen(backend, lambda events: (4, Status.COMPLETED) in ends(events))
    assert {event.batch for event in events} <= {1, 2}


@local
@pytest.mark.parametrize(
    ("deed", "reason", "where"), [("die", "exited with code 7", ""), ("segfault", "SIGSEGV", "in act")]
)
def test_a_worker_that_dies_costs_its_own_trial_and_an_eager_batch_keeps_what_came_before(
    open_backend, deed, reason, where
):
    backend = open_backend(work())
    up(backend)
    backend.submit(0, batch(["nothing", deed, "nothing"], first=5, eager=True))
    backend.submit(0, batch(["nothing"], number=1, first=8))
    loss, events = until_up_again(backend)
    assert (loss.slot, loss.status, loss.trial, loss.blameless) == (0, Status.LOST, 6, False)
    assert loss.seconds < 60
    assert abs(time.time() - loss.started) < 60
    assert reason in loss.reason
    assert where in (loss.traceback or "")
    assert ends(events) == [(5, Status.COMPLETED)]
    assert reports(events) == [(5, 1), (5, 2), (5, 3), (6, 1)]
    events = run(backend, batch(["nothing"], number=2, first=9))
    assert ends(events) == [(9, Status.COMPLETED)]


@local
def test_a_worker_that_is_killed_between_two_trials_takes_none_with_it(open_backend):
    backend = open_backend(work())
    os.kill(up(backend)[0].pid, signal.SIGKILL)
    loss, _ = until_up_again(backend)
    assert (loss.trial, loss.status) == (-1, Status.LOST)
    assert np.isnan(loss.seconds)


@local
def test_a_trial_that_hangs_in_c_is_killed_soon_after_its_time(open_backend):
    backend = open_backend(work(timeout_s=0.5))
    up(backend)
    backend.submit(0, batch(["nothing", "hang", "nothing"]))
    loss, _ = until_up_again(backend)
    assert (loss.trial, loss.status) == (1, Status.TIMEOUT)
    assert "0.5 s" in loss.reason
    assert 0.5 < loss.seconds < 10
    assert "in act" in loss.traceback
    assert ends(run(backend, batch(["nothing"], number=1, first=2))) == [(2, Status.COMPLETED)]


@local
def test_a_trial_is_not_blamed_for_the_time_of_the_one_before_it(open_backend):
    backend = open_backend(work("ends_as_it_is_killed", parameters=("waits",), timeout_s=0.5))
    up(backend)
    events = run(backend, batch([True, False], epochs=2))
    assert ends(events) == [(0, Status.TIMEOUT), (1, Status.COMPLETED)]


@local
def test_what_does_not_stop_when_it_is_asked_to_is_killed(open_backend, monkeypatch):
    monkeypatch.setattr(processes, "GRACE_S", 0.4)
    backend = open_backend(work())
    up(backend)
    backend.submit(0, batch(["hang"], eager=True))
    listen(backend, reports)
    events = listen(backend, lambda events: any(isinstance(event, Lost) for event in events) or backend.kill(0))
    assert (events[-1].trial, events[-1].status) == (0, Status.LOST)
    assert "SIGKILL" in events[-1].reason


@apart
@pytest.mark.parametrize("deed", ["return", "nothing", "hang"])
def test_close_leaves_no_process_behind(open_backend, deed):
    backend = open_backend(work(), 2)
    ready = up(backend, 2)
    for slot in ready:
        backend.submit(slot, batch([deed, deed], number=slot, epochs=10**6, eager=True))
    listen(backend, lambda events: len(reports(events)) > 1)
    backend.close()
    for slot in ready:
        with pytest.raises(ProcessLookupError):
            os.kill(ready[slot].pid, 0)


@local
@pytest.mark.slow
def test_close_lets_workers_end_their_own_business(open_backend, tmp_path):
    backend = open_backend(work("tidies_up", parameters=("file",)))
    up(backend)
    assert ends(run(backend, batch([str(tmp_path / "tidy")]))) == [(0, Status.COMPLETED)]
    backend.close()
    assert (tmp_path / "tidy").exists()


@local
def test_close_does_not_wait_for_workers_that_are_not_up_yet(open_backend):
    open_backend(work(), 2).close()


@local
def test_what_a_dead_worker_had_started_is_killed_with_it(open_backend, pipe):
    backend = open_backend(work("leaves_a_process", parameters=("x",)))
    up(backend)
    backend.submit(0, batch([0]))
    until_up_again(backend)
    assert everybody_let_go(pipe)


@local
def test_what_a_worker_had_started_is_killed_when_the_backend_is_closed(open_backend, pipe):
    backend = open_backend(work("leaves_a_process", parameters=("x",)))
    up(backend)
    run(backend, batch([0], epochs=1))
    backend.close()
    assert everybody_let_go(pipe)


def test_workers_die_with_their_driver(pipe):
    driver = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_backends import *\n"
        "backend = Processes(work(setup='holds'), 1)\n"
        "up(backend)\n"
        "backend.submit(0, batch(['hang'], eager=True))\n"
        "listen(backend, reports)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", driver, str(TRAINERS.parent)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert everybody_let_go(pipe)


@apart
@pytest.mark.parametrize(
    ("broken", "words", "frame"),
    [
        ({"trainer": "acts"}, "has no function 'acts'; did you mean 'act'?", None),
        ({"setup": "raises"}, "FileNotFoundError: no images here", "in raises"),
        ({"setup": "leaves"}, "SystemExit: no images here", "in leaves"),
        ({"setup": "dies"}, "could not start (exited with code 9)", None),
    ],
)
def test_a_worker_that_was_never_ready_is_an_error_of_the_installation(open_backend, broken, words, frame):
    backend = open_backend(work(**broken))
    with pytest.raises(BackendError) as error:
        listen(backend, lambda events: events)
    assert words in str(error.value)
    assert frame is None or f'"{TRAINERS}", line' in str(error.value)
    assert (frame or "") in str(error.value)
    assert "runner.py" not in str(error.value)
    backend.close()


@apart
def test_a_trainer_whose_import_fails_is_shown_with_its_own_traceback(open_backend, tmp_path):
    path = tmp_path / "broken_trainer.py"
    path.write_text("def helper():\n    import no_such_package\nhelper()\n")
    backend = open_backend(Work(Function(f"{path}:train"), None, "loss", ("x",), (), None, 1))
    with pytest.raises(BackendError) as error:
        listen(backend, lambda events: events)
    text = str(error.value)
    assert text.endswith("ModuleNotFoundError: No module named 'no_such_package'\n")
    assert f'File "{path}", line 2, in helper' in text
    assert "training.py" not in text
    assert "setup" not in text
