"""What becomes of one batch after another in a worker, whatever the trainer does."""

import asyncio
import decimal
import enum
import fractions
import math
import random
import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.rules import NonFinite
from workers import runner
from workers.console import LIMIT, Console
from workers.messages import Batch, Function, Status, Work
from workers.runner import Runner, Stopped

MODULE = types.ModuleType("trainer_of_a_test")


def open_runner(train, *, setup=None, parameters=("x",), rules=(), timeout_s=None, **how):
    """A runner of a function of a test, and the list of what it sends."""
    MODULE.train, MODULE.setup = train, setup
    sys.modules[MODULE.__name__] = MODULE
    functions = [Function(f"{MODULE.__name__}:{name}") for name in ("train", "setup")]
    work = Work(functions[0], functions[1] if setup else None, "score", parameters, rules, timeout_s, 1)
    sent = []
    return Runner(0, work, sent.append, **how), sent


def batch(*columns, seeds=None, epochs=3, eager=False):
    trials = np.arange(len(columns[0]))
    return Batch(
        7, trials, trials if seeds is None else np.array(seeds), trials * 0, trials * 0 + epochs, columns, eager
    )


def run(train, xs=(1.0,), *, epochs=3, seeds=None, eager=False, **how):
    """What was sent of a batch of one trial for each x."""
    opened, sent = open_runner(train, **how)
    opened.run(batch(xs, seeds=seeds, epochs=epochs, eager=eager))
    return sent


def only(sent):
    """What was sent, when it was sent at once."""
    (results,) = sent
    return results


def metrics(results):
    """The reports' metrics, one dict a report; None for what is missing."""
    never = np.zeros(len(results.reports.trial), np.bool_)
    return [
        {
            name: None if results.reports.missing.get(name, never)[row] else values[row]
            for name, values in results.reports.metrics.items()
        }
        for row in range(len(never))
    ]


def statuses(results):
    return [Status(status) for status in results.ends.status]


# --- reports


class Colour(enum.StrEnum):
    RED = "red"


class Loss(str, enum.Enum):  # noqa: UP042 - its own str() is "Loss.TRAIN"
    TRAIN = "loss"


class Tensor:
    """As much of a torch scalar as counts."""

    def __float__(self):
        return 0.25


class Grudging:
    def __float__(self):
        raise RuntimeError("not on this device")


class Overflowing:
    def __float__(self):
        raise OverflowError


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0),
        (True, 1.0),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3.0),
        (np.bool_(False), 0.0),
        (np.array(0.5), 0.5),
        (Tensor(), 0.25),
        (fractions.Fraction(1, 4), 0.25),
        (decimal.Decimal("0.25"), 0.25),
        (10**400, math.inf),
        (-(10**400), -math.inf),
        (math.inf, math.inf),
    ],
)
def test_a_metric_may_be_any_kind_of_number(value, number):
    results = only(run(lambda x: {"score": value, "loss": 1.0}))
    assert metrics(results) == [{"score": number, "loss": 1.0}]
    assert results.notes == ()


@pytest.mark.parametrize(
    "value", ["0.5", b"0.5", np.str_("0.5"), [1.0], {}, 1j, np.zeros(3), np.zeros(1), Grudging(), Overflowing(), object]
)
def test_what_is_no_number_is_null_with_a_note_that_is_said_once(value):
    opened, sent = open_runner(lambda x: iter([{"score": value, "loss": 1.0}] * 3))
    for _ in range(2):
        opened.run(batch([1.0, 2.0]))
    assert [each for results in sent for each in metrics(results)] == [{"score": None, "loss": 1.0}] * 12
    assert [note for results in sent for note in results.notes] == [
        f"metric 'score' is no number ({type(value).__name__}) and is stored as null"
    ]


def test_none_is_null_without_a_note():
    results = only(run(lambda x: iter([{"score": None}, {"score": 1.0}, {"score": math.nan}])))
    assert results.notes == ()
    first, second, third = (each["score"] for each in metrics(results))
    assert (first, second) == (None, 1.0)
    assert math.isnan(third)


@pytest.mark.parametrize(
    ("key", "name"), [(1, "1"), (("a", 1), "('a', 1)"), (Colour.RED, "red"), (Loss.TRAIN, "loss"), (np.str_("a"), "a")]
)
@pytest.mark.parametrize("value", [0.5, 1])
def test_the_name_of_a_metric_is_a_plain_string(key, name, value):
    (found,) = only(run(lambda x: {key: value})).reports.metrics
    assert (found, type(found)) == (name, str)


def test_metrics_called_like_columns_of_the_tables_are_left_out_with_a_note():
    results = only(run(lambda x: {"stage": 1.0, "trial": 2.0, "epoch": 3.0, "score": 0.5}))
    assert metrics(results) == [{"score": 0.5}]
    assert results.notes == tuple(
        f"metric {name!r} has the name of a table column and is left out" for name in ("stage", "trial")
    )


@pytest.mark.parametrize("report", [0.5, np.float32(0.5), {"score": 0.5}, types.MappingProxyType({"score": 0.5})])
@pytest.mark.parametrize("wrap", [lambda report: report, lambda report: iter([report])])
def test_a_number_a_mapping_and_a_generator_of_them_are_reports(report, wrap):
    results = only(run(lambda x: wrap(report)))
    assert metrics(results) == [{"score": 0.5}]
    assert statuses(results) == [Status.COMPLETED]


@pytest.mark.parametrize("report", [None, "0.5", [0.5], object(), np.zeros(2), {1.0}])
def test_what_is_no_report_fails_the_trial_after_the_reports_before_it(report):
    results = only(run(lambda x: iter([1.0, report, 1.0])))
    assert statuses(results) == [Status.FAILED]
    assert results.ends.reasons == {
        0: f"TypeError: the trainer reported {type(report).__name__}, not a dict of metrics or a number"
    }
    assert results.reports.epoch.tolist() == [1]


def test_a_trainer_that_reports_nothing_fails():
    results = only(run(lambda x: iter(())))
    assert statuses(results) == [Status.FAILED]
    assert "reported nothing" in results.ends.reasons[0]


# --- ends


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError


def noted(error):
    error.add_note("a hint")
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("too much"), "ValueError: too much"),
        (ValueError("too much\n  for\tme\n"), "ValueError: too much for me"),
        (ValueError(), "ValueError"),
        (noted(ValueError("too much")), "ValueError: too much"),
        (SystemExit(3), "SystemExit: 3"),
        (asyncio.CancelledError(), "CancelledError"),
        (StopIteration(), "StopIteration"),
        (Speechless(), "Speechless: <its __str__ failed>"),
        (OSError("\udcff.png"), "OSError: \\udcff.png"),
        (ValueError("x" * 10**6), "ValueError: " + "x" * 488),
        (ExceptionGroup("both", [ValueError("a"), KeyError("b")]), "ExceptionGroup: both (2 sub-exceptions)"),
    ],
)
def test_whatever_is_raised_fails_its_own_trial_with_a_reason_of_one_line(error, reason):
    def train(x):
        if x:
            raise error
        return 1.0

    results = only(run(train, [True, False]))
    assert statuses(results) == [Status.FAILED, Status.COMPLETED]
    assert results.ends.reasons == {0: reason}
    traceback = results.ends.tracebacks[0]
    assert "in train" in traceback or len(traceback) == 20_000
    assert "workers/runner.py" not in traceback
    assert len(traceback) <= 20_000
    traceback.encode()  # or Parquet will not take it


def test_an_interrupt_is_nobodys_failure():
    def train(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(train)


def cleaned(trace):
    """A trainer that does not stop by itself, and says when it is cleaned up."""

    def epochs(x):
        try:
            while True:
                trace.append("epoch")
                yield {"score": x}
        finally:
            trace.append("cleaned up")

    kept = []  # so that no garbage collector cleans up
    return lambda x: kept.append(epochs(x)) or kept[-1]


@pytest.mark.parametrize(
    ("x", "how", "status"),
    [
        (1.0, {}, Status.COMPLETED),
        (math.nan, {"rules": (NonFinite(),)}, Status.STOPPED),
        (1.0, {"timeout_s": -1.0}, Status.TIMEOUT),
    ],
)
def test_a_trial_that_ends_is_asked_for_no_further_epoch_and_is_cleaned_up_at_once(x, how, status):
    trace = []
    began = lambda trial: trace.append(f"trial {trial}")  # noqa: E731
    results = only(run(cleaned(trace), [x], epochs=2, began=began, **how))
    assert statuses(results) == [status]
    epochs = ["epoch"] * (2 if status == Status.COMPLETED else 1)
    assert trace == ["trial 0", *epochs, "cleaned up", "trial -1"]


def test_a_trial_that_is_given_up_is_cleaned_up_and_has_no_end():
    trace, asked = [], iter([False, True])
    opened, sent = open_runner(cleaned(trace), stopping=lambda: next(asked))
    with pytest.raises(Stopped):
        opened.run(batch([1.0, 2.0], epochs=10))
    assert trace == ["epoch", "epoch", "cleaned up"]
    opened.flush()
    assert only(sent).reports.epoch.tolist() == [1, 2]
    assert len(only(sent).ends.trial) == 0


class Watching:
    """A rule that objects to a score, and to nothing else that it sees."""

    def __init__(self, limit, reason=""):
        self.seen, self.limit, self.reason = [], limit, reason

    def judge(self, reports):
        self.seen.append([report["score"] for report in reports])
        return self.reason if reports[-1]["score"] > self.limit else None


def test_the_first_rule_that_objects_gives_the_reason():
    rules = [Watching(limit, f"above {limit}") for limit in (7, 5, 4)]
    results = only(run(lambda x: map(float, range(9)), rules=rules, epochs=9))
    assert results.ends.reasons == {0: "above 4"}
    results = only(run(lambda x: map(float, range(0, 90, 6)), rules=rules, epochs=9))
    assert results.ends.reasons == {0: "above 5"}


def test_a_rule_sees_all_reports_of_its_own_trial_and_no_other():
    def train(x):
        report = {}  # one dict, changed for each epoch
        for epoch in range(2):
            report["score"] = x + epoch
            yield report

    rule = Watching(math.inf)
    run(train, [10.0, 20.0], rules=(rule,))
    assert rule.seen == [[10], [10, 11], [20], [20, 21]]


# --- batches


@st.composite
def plays(draw):
    """What some trials report, and whether they raise in the end."""
    values = st.lists(st.floats(allow_infinity=False), max_size=6)
    return draw(st.lists(st.tuples(values, st.booleans()), min_size=1, max_size=8))


@given(plays(), st.integers(1, 6), st.booleans())
def test_every_trial_ends_once_and_reports_what_its_trainer_did_up_to_its_end(plays, budget, eager):
    def train(x):
        values, fails = plays[x]
        for value in values:
            yield {"score": value, f"only {x}": None}
        if fails:
            raise ValueError

    sent = run(train, range(len(plays)), epochs=budget, eager=eager, rules=(NonFinite(),))
    expected_reports, expected_ends = [], []
    for trial, (values, fails) in enumerate(plays):
        bad = next((i for i, value in enumerate(values) if math.isnan(value)), len(values))
        kept = values[: min(budget, bad + 1)]
        expected_reports += [(trial, epoch, repr(value)) for epoch, value in enumerate(kept, 1)]
        if kept and math.isnan(kept[-1]):
            expected_ends.append((trial, Status.STOPPED))
        elif len(kept) == budget or (kept and not fails):
            expected_ends.append((trial, Status.COMPLETED))
        else:
            expected_ends.append((trial, Status.FAILED))
    reports, ends = [], []
    for results in sent:
        assert results.batch == 7
        rows = zip(results.reports.trial.tolist(), results.reports.epoch.tolist(), strict=True)
        values = [repr(float(each["score"])) for each in metrics(results)]
        reports += [(*row, value) for row, value in zip(rows, values, strict=True)]
        ends += zip(results.ends.trial.tolist(), statuses(results), strict=True)
    assert reports == expected_reports
    assert ends == expected_ends
    if eager:
        assert max(len(results.reports.trial) for results in sent) <= 1


def test_reports_wait_in_a_worker_only_so_long(monkeypatch):
    clock = types.SimpleNamespace(now=0.0)
    clock.time = clock.monotonic = clock.perf_counter = lambda: clock.now
    monkeypatch.setattr(runner, "time", clock)

    def train(x):
        for _ in range(10):
            clock.now += 0.1
            yield 1.0

    sent = run(train, [1.0, 2.0], epochs=10)
    waited = [len(results.reports.trial) * 0.1 for results in sent]
    assert sum(waited) == pytest.approx(2.0)
    assert runner.FLUSH_S <= max(waited) <= runner.FLUSH_S + 0.1
    seconds = np.concatenate([results.ends.seconds for results in sent])
    assert seconds.tolist() == pytest.approx([1.0, 1.0])


def test_a_trial_gets_its_config_and_what_else_it_names():
    def train(config, *, epochs, seed, data):
        seen.append({**config, "seed": seed})
        config.clear()  # it is the trial's own
        return {"epochs": epochs, "data": data}

    seen = []
    opened, sent = open_runner(train, setup=lambda: 42, parameters=("x", "y"))
    opened.run(batch([1.0, 2.0], [3.0, None], seeds=[11, 12], epochs=9))
    assert seen == [{"x": 1.0, "y": 3.0, "seed": 11}, {"x": 2.0, "seed": 12}]
    assert metrics(only(sent)) == [{"epochs": 9.0, "data": 42.0}] * 2


def test_a_space_may_be_empty():
    opened, sent = open_runner(lambda seed: seed, parameters=())
    opened.run(Batch(1, np.arange(3), np.arange(3), np.zeros(3, int), np.ones(3, int), ()))
    assert metrics(only(sent)) == [{"score": 0.0}, {"score": 1.0}, {"score": 2.0}]


def test_a_trial_cannot_tell_what_ran_before_it():
    def train(x):
        return {"python": random.random(), "numpy": np.random.random()}

    alone = only(run(train, [0.0], seeds=[5]))
    after = only(run(train, [0.0, 0.0, 0.0], seeds=[4, 6, 5]))
    assert metrics(after)[2:] == metrics(alone)
    assert len({each["python"] for each in metrics(after)}) == 3
    assert len({each["numpy"] for each in metrics(after)}) == 3


# --- prints


def test_prints_go_to_the_trial_that_printed_them_and_the_rest_to_nobody():
    console = Console()

    def train(x):
        for epoch in range(2):
            print(f"{x} {epoch}", file=console)
            yield 1.0

    print("of setup", file=console)
    results = only(run(train, ["a", "b"], console=console))
    assert results.printed == [(-1, "of setup\n"), (0, "a 0\na 1\n"), (1, "b 0\nb 1\n")]
    assert console.take() == []


@given(st.lists(st.integers(0, 6), max_size=12), st.integers(0, 6))
def test_a_trial_keeps_its_first_words_and_is_told_when_some_were_cut(sizes, limit):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workers.console.LIMIT", limit)
        console = Console()
        console.begin(3)
        words = ["x" * size for size in sizes]
        assert [console.write(each) for each in words] == sizes
    text = "".join(text for _, text in console.take())
    said = "".join(words)
    cut = "\n[cut: this trial printed too much]\n"
    assert text == (said if len(said) <= limit else said[:limit] + cut)


def test_the_next_trial_has_room_again():
    console = Console()
    for trial in range(2):
        console.begin(trial)
        console.write("x" * (LIMIT + 1))
    assert [text[:LIMIT] for _, text in console.take()] == ["x" * LIMIT] * 2


def test_writing_bytes_to_a_text_stream_is_the_trials_own_mistake():
    console = Console()
    results = only(run(lambda x: console.write(b"bytes"), console=console))
    assert statuses(results) == [Status.FAILED]
    assert "must be str, not bytes" in results.ends.reasons[0]


def test_the_messages_of_each_batch_are_numbered_from_0():
    opened, sent = open_runner(lambda x: iter([1.0, 1.0]))
    for _ in range(2):
        opened.run(batch([1.0, 2.0], eager=True))
    parts = [results.part for results in sent]
    assert len(parts) > 6
    assert parts == 2 * list(range(len(parts) // 2))
