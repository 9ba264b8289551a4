"""Where there is no terminal, a sweep says little, and says it in whole lines."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from sweeps.progress import Plain, has_colour, open_view
from sweeps.snapshot import Best, Snapshot

START = Snapshot(
    run="demo",
    metric="val_acc",
    mode="max",
    stage="coarse",
    number=1,
    stages=2,
    epochs=5,
    total=100,
    counts={},
    running=2,
    slots=2,
    rate=0.0,
    elapsed_s=0.0,
    eta_s=None,
    best=None,
    newest=None,
    hint=None,
)
BEST = Best(0.9733, "coarse", 17, {"lr": 0.0214, "hidden": 200, "beta": None}, (0.5, 0.9, 0.9733))


def told(snapshots: Sequence[Snapshot], *, colour: bool = False) -> list[str]:
    """Lines that the plain view wrote for these snapshots."""
    stream = io.StringIO()
    view = Plain(stream, colour=colour)
    for snapshot in snapshots:
        view.update(snapshot)
    view.close()
    view.close()
    return stream.getvalue().splitlines()


def ended(count: int, at_s: float, **others: int) -> Snapshot:
    """The coarse stage with so many trials completed, and others that ended otherwise."""
    return replace(START, counts={"completed": count, **others}, elapsed_s=at_s, rate=1.0, eta_s=100.0 - count)


def test_a_stage_says_when_it_begins_and_how_it_ended() -> None:
    lines = told([START, ended(50, 3.0), ended(97, 7.0, failed=1, stopped=2), ended(97, 7.1, failed=1, stopped=2)])
    assert lines == [
        "00:00  coarse 1/2 begins: 100 trials · 5 epochs · maximise val_acc · 2 slots",
        "00:07  1 failed (more of these are only counted)",
        "00:07  coarse 1/2 ended: 97 completed  1 failed  2 stopped",
    ]


def test_a_resumed_stage_says_what_is_done() -> None:
    assert told([ended(31, 0.0)])[0].startswith("00:00  coarse 1/2 begins: 100 trials, 31 of them done · ")


def test_a_stage_whose_last_moment_was_not_seen_ends_when_the_next_begins() -> None:
    fine = replace(START, stage="fine", number=2, elapsed_s=65.0)
    assert [line[7:24] for line in told([START, ended(99, 64.0), fine])[-2:]] == [
        "coarse 1/2 ended",
        "fine 2/2 begins: ",
    ]


def test_each_new_leader_gets_a_line() -> None:
    better = replace(BEST, value=0.98, trial=40)
    lines = told([START, replace(START, best=BEST), replace(START, best=BEST), replace(START, best=better)])
    lines += told([replace(ended(99, 1.0), best=BEST), replace(ended(100, 2.0), best=BEST)])
    assert [line for line in lines if "best" in line] == [
        "00:00  best  val_acc 0.9733  coarse 17  lr 0.0214  hidden 200",
        "00:00  best  val_acc 0.98  coarse 40  lr 0.0214  hidden 200",
        "00:01  best  val_acc 0.9733  coarse 17  lr 0.0214  hidden 200",
    ]


def test_a_leader_that_gets_better_is_told_once_more_when_the_stage_ends() -> None:
    moments = [replace(ended(50, 1.0), best=replace(BEST, value=0.5 + epoch / 100)) for epoch in range(40)]
    lines = told([START, *moments, replace(ended(100, 2.0), best=replace(BEST, value=0.9))])
    assert [line[7:24] for line in lines[1:]] == ["best  val_acc 0.5", "best  val_acc 0.9", "coarse 1/2 ended:"]


def test_a_best_that_is_not_a_number_is_told_once() -> None:
    assert len(told([replace(START, best=replace(BEST, value=float("nan")))] * 5)) == 2


def test_a_thousand_stopped_trials_are_no_news() -> None:
    moments = [
        replace(ended(0, n / 100, stopped=n), total=10_000, newest=f"coarse {n} stopped: loss is nan at epoch 2")
        for n in range(1_000)
    ]
    assert len(told(moments)) == 1


def test_only_the_first_failure_of_its_status_is_told() -> None:
    moments = [
        replace(ended(0, 1.0, failed=n), total=10_000, newest=f"coarse {n} failed: ValueError: {n}")
        for n in range(1, 1_000)
    ]
    lost = replace(ended(0, 2.0, failed=999, lost=1), total=10_000, newest="coarse 1000 lost: its worker died")
    fine = replace(lost, stage="fine", number=2, counts={"failed": 3}, newest="fine 3 failed: ValueError: again")
    assert [line for line in told([START, *moments, lost, fine]) if "failed:" in line or "lost:" in line] == [
        "00:01  coarse 1 failed: ValueError: 1 (more of these are only counted)",
        "00:02  coarse 1000 lost: its worker died (more of these are only counted)",
    ]


def test_a_failure_is_not_illustrated_with_a_stop() -> None:
    mixed = replace(ended(0, 1.0, failed=2, stopped=1), newest="coarse 3 stopped: loss is nan at epoch 2")
    assert told([START, mixed])[1] == "00:01  2 failed (more of these are only counted)"


@pytest.mark.parametrize(
    ("trials_per_s", "beats"),
    [(0.01, 19), (1 / 6, 19), (1.0, 3), (100.0, 0)],
    ids=["slow: each 5 %", "5 trials in 30 s", "fast: each 30 s", "over at once"],
)
def test_signs_of_life_come_each_30_s_or_5_percent_whichever_is_rarer(trials_per_s: float, beats: int) -> None:
    lines = told([ended(n, n / trials_per_s) for n in range(101)])
    assert len(lines) == beats + 2


def test_a_sign_of_life_tells_how_it_stands() -> None:
    moment = replace(ended(40, 60.0, failed=1), best=BEST, newest="coarse 3 failed: E")
    assert told([START, moment])[-1] == (
        "01:00  coarse 1/2   41/100  1.0 trials/s  eta 1 min 00 s  1 failed  best val_acc 0.9733"
    )


def test_what_is_said_stays_on_one_line_and_does_nothing() -> None:
    stream = io.StringIO()
    Plain(stream, colour=False).say("lr moved\n\x1b[31mto [1e-3, 1e-2]")
    assert stream.getvalue() == "00:00  lr moved to [1e-3, 1e-2]\n"


def test_colour_comes_on_top_of_the_words() -> None:
    moment = replace(ended(1, 0.0, failed=1), best=BEST, newest="coarse 3 failed: E")
    plain, painted = told([START, moment]), told([START, moment], colour=True)
    assert [line.replace("\x1b[31m", "").replace("\x1b[32m", "").replace("\x1b[0m", "") for line in painted] == plain
    assert painted[1].startswith("\x1b[31m")


def test_a_stream_without_dots_gets_ascii() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    Plain(stream, colour=False).update(START)
    stream.seek(0)
    assert "100 trials - 5 epochs - maximise" in stream.read()


def test_a_reader_that_went_away_does_not_end_the_sweep() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w", encoding="utf-8")
    Plain(stream, colour=False).update(START)
    with suppress(BrokenPipeError):
        stream.close()


@pytest.mark.parametrize(
    ("terminal", "asked", "environ", "colour"),
    [
        (True, None, {}, True),
        (False, None, {}, False),
        (True, None, {"NO_COLOR": "1"}, False),
        (True, None, {"NO_COLOR": ""}, True),
        (True, None, {"TERM": "dumb"}, False),
        (False, None, {"FORCE_COLOR": "1"}, True),
        (True, None, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (True, False, {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_follows_the_conventions(
    terminal: bool, asked: bool | None, environ: dict[str, str], colour: bool
) -> None:
    assert has_colour(terminal, asked, environ) is colour


class Teletype(io.StringIO):
    """A terminal that only prints."""

    def isatty(self) -> bool:
        """True."""
        return True


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_view(Teletype()), Plain)


def test_a_terminal_gets_a_live_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert type(open_view(Teletype())).__name__ == "Live"


def test_a_plain_view_does_not_pay_for_rich() -> None:
    code = "import sys; from sweeps.progress import open_view; open_view(sys.stderr); sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=False).returncode == 0
