"""On a terminal a sweep is five lines that stay where they are, whatever is in them."""

from __future__ import annotations

import errno
import io
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.live import Live, frame
from sweeps.snapshot import Best, Snapshot

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

BEST = Best(0.9733, "coarse", 17, {"lr": 0.0214, "reg": 3.1e-05, "hidden": 200}, (0.1, 0.4, 0.7, 0.9, 0.95, 0.9733))
SNAPSHOT = Snapshot(
    run="demo",
    metric="val_acc",
    mode="max",
    stage="coarse",
    number=1,
    stages=2,
    epochs=5,
    total=48,
    counts={"completed": 28, "failed": 2, "stopped": 1},
    running=2,
    slots=2,
    rate=6.1,
    elapsed_s=7.4,
    eta_s=2.8,
    best=BEST,
    newest="coarse 29 stopped: loss is nan at epoch 2",
    hint="best lr of 8 of the 10 best trials lie in the top 5 % of [1e-06, 0.001]",
)
EARLY = replace(SNAPSHOT, counts={}, rate=0.0, eta_s=None, best=None, newest=None, hint=None)
HUGE = replace(
    SNAPSHOT,
    total=1_000_000,
    counts={"completed": 999_990, "failed": 1, "timeout": 2, "lost": 3, "stopped": 4},
    rate=20_000.0,
    best=replace(BEST, value=float("nan"), config={f"parameter_{i}": "x" * 50 for i in range(50)}, curve=()),
    newest="coarse 5 failed: " + "word " * 2_000,
    hint="学习率" * 100,
)
HOSTILE = replace(
    SNAPSHOT,
    best=replace(BEST, config={"l\x1b[2Jr\n\n": "\x1b]0;owned\x07\x1b[99A\x1b[41m"}),
    newest="coarse 5 failed: \x1b[31m\x1b[5;5HValueError\r\n\x9b2J\x1b7\x1b[?1049h\x1bc\u202eno",
    hint="\b" * 50 + "\v\v\v",
)
SIZES = [(80, 24), (40, 10), (200, 50)]


class Terminal(io.RawIOBase):
    """A terminal that shows on `screen` what is written to `stream`."""

    def __init__(self, columns: int, lines: int, encoding: str = "utf-8") -> None:
        """Begin with an empty screen."""
        self.stream = io.TextIOWrapper(cast("io.BytesIO", self), encoding, newline="\r\n", write_through=True)
        self.gone = False
        self.raw = b""
        self._show(columns, lines)

    @property
    def rows(self) -> list[str]:
        """What can be read, down to the last row that is not empty."""
        return "\n".join(row.rstrip() for row in self.screen.display).rstrip("\n").split("\n")

    def isatty(self) -> bool:
        """True."""
        return True

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: ReadableBuffer) -> int:
        """The number of bytes, once they are shown."""
        if self.gone:
            raise OSError(errno.EIO, "Input/output error")
        written = bytes(data)
        self.raw += written
        self._stream.feed(written)
        return len(written)

    def resize(self, columns: int) -> None:
        """Become narrower or wider, and break long lines in two, as most terminals do."""
        rows = self.rows
        self._show(columns, self.screen.lines)
        self._stream.feed("\r\n".join(rows).encode())

    def _show(self, columns: int, lines: int) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)


@pytest.fixture
def terminal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 80 by 24, or what a test asks for."""
    shown = Terminal(*getattr(request, "param", (80, 24)))
    monkeypatch.setattr("sweeps.live._size", lambda _: (shown.screen.columns, shown.screen.lines))
    return shown


def test_five_lines_tell_how_it_stands(terminal: Terminal) -> None:
    terminal.resize(100)
    Live(terminal.stream, colour=True).update(SNAPSHOT)
    assert terminal.rows == [
        "coarse  1/2 · 5 epochs · maximise val_acc · 2 slots                                            00:07",
        "████████████░░░░░░░░  31/48  6.1 trials/s  eta 3 s  2 failed  1 stopped",
        "best    val_acc 0.9733  coarse 17  lr 0.0214  reg 3.1e-05  hidden 200                         ▁▃▆▇██",
        "newest  coarse 29 stopped: loss is nan at epoch 2",
        "hint    best lr of 8 of the 10 best trials lie in the top 5 % of [1e-06, 0.001]",
    ]


def test_before_anything_is_known_the_lines_say_so(terminal: Terminal) -> None:
    Live(terminal.stream, colour=False).update(EARLY)
    assert terminal.rows[1:] == [
        "░░░░░░░░░░░░░░░░   0/48  ? trials/s  eta ?",
        "best    nothing yet",
        "newest  no stop or failure",
        "hint    none yet",
    ]


@pytest.mark.parametrize("terminal", SIZES, indirect=True)
def test_the_region_stays_where_it_is_whatever_it_shows(terminal: Terminal) -> None:
    view = Live(terminal.stream, colour=True)
    view.say("first words")
    for snapshot in [EARLY, SNAPSHOT, HUGE, HOSTILE, EARLY, HUGE]:
        view.update(snapshot)
        assert len(terminal.rows) == 6
        assert terminal.rows[0] == "first words"
        assert terminal.rows[1].startswith("coarse  1/2 · 5 epochs")
        assert terminal.screen.cursor.y == 5
        assert terminal.screen.title == ""


@pytest.mark.parametrize("terminal", SIZES, indirect=True)
def test_what_is_too_long_is_cut_with_an_ellipsis(terminal: Terminal) -> None:
    Live(terminal.stream, colour=False).update(HUGE)
    assert [row[-1] for row in terminal.rows[2:4]] == ["…", "…"]
    assert terminal.rows[4].endswith("…")


@pytest.mark.parametrize("terminal", [(40, 10)], indirect=True)
def test_on_a_narrow_terminal_words_take_the_place_of_pictures(terminal: Terminal) -> None:
    Live(terminal.stream, colour=False).update(SNAPSHOT)
    assert terminal.rows[:3] == [
        "coarse  1/2 · 5 epochs · maximis…  00:07",
        "31/48  6.1 trials/s  eta 3 s  2 failed …",
        "best    val_acc 0.9733  coarse 17  lr 0…",
    ]


def test_what_a_trainer_says_paints_nothing(terminal: Terminal) -> None:
    Live(terminal.stream, colour=False).update(HOSTILE)
    cells = [cell for row in terminal.screen.buffer.values() for cell in row.values()]
    assert {(cell.fg, cell.bg, cell.bold) for cell in cells} == {("default", "default", False)}


def test_without_colour_nothing_is_painted_and_the_words_are_the_same(terminal: Terminal) -> None:
    Live(terminal.stream, colour=False).update(SNAPSHOT)
    assert b"m" not in {part[-1:] for part in terminal.raw.split(b"\x1b")[1:]}
    plain = terminal.rows
    terminal.screen.reset()
    Live(terminal.stream, colour=True).update(SNAPSHOT)
    assert terminal.rows == plain


def test_what_is_said_stays_above_the_region(terminal: Terminal) -> None:
    view = Live(terminal.stream, colour=False)
    view.update(SNAPSHOT)
    view.say("coarse -> fine: \x1b[2Jlr moved\n" + "far " * 20)
    view.update(SNAPSHOT)
    view.say("[bold]as it is[/bold]")
    said = "coarse -> fine: lr moved " + "far " * 20
    assert terminal.rows[:3] == [said[:80], said[80:].rstrip(), "[bold]as it is[/bold]"]
    assert [row.split()[0] for row in terminal.rows[3:]] == ["coarse", "██████████░░░░░░", "best", "newest", "hint"]


@pytest.mark.parametrize("terminal", SIZES, indirect=True)
def test_closing_leaves_what_was_said_and_a_cursor(terminal: Terminal) -> None:
    view = Live(terminal.stream, colour=True)
    view.say("said")
    view.update(HUGE)
    assert terminal.screen.cursor.hidden
    view.close()
    view.close()
    view.update(SNAPSHOT)
    assert terminal.rows == ["said"]
    assert not terminal.screen.cursor.hidden
    assert (terminal.screen.cursor.x, terminal.screen.cursor.y) == (0, 1)


def test_closing_before_anything_was_shown_writes_nothing(terminal: Terminal) -> None:
    Live(terminal.stream, colour=True).close()
    assert terminal.raw == b""


@pytest.mark.parametrize("columns", [130, 79, 60, 40, 25])
def test_a_resized_terminal_keeps_one_region_and_what_was_said(terminal: Terminal, columns: int) -> None:
    view = Live(terminal.stream, colour=False)
    view.say("said")
    view.update(HUGE)
    terminal.resize(columns)
    view.update(HUGE)
    assert len(terminal.rows) == 6
    assert terminal.rows[0] == "said"
    terminal.resize(columns * 2 // 3)
    view.close()
    assert terminal.rows == ["said"]


@pytest.mark.parametrize("terminal", [(80, 3)], indirect=True)
def test_a_terminal_lower_than_the_region_shows_the_first_lines(terminal: Terminal) -> None:
    view = Live(terminal.stream, colour=False)
    for _ in range(3):
        view.update(SNAPSHOT)
    assert [row.split()[0] for row in terminal.rows] == ["coarse", "██████████░░░░░░", "best"]


@pytest.mark.parametrize("terminal", [(80, 24, "ascii")], indirect=True)
def test_a_terminal_without_blocks_gets_ascii(terminal: Terminal) -> None:
    view = Live(terminal.stream, colour=False)
    view.say("größe · x")
    view.update(SNAPSHOT)
    assert terminal.rows[0] == "gr??e - x"
    assert terminal.rows[2].startswith("##########......  31/48")
    assert terminal.rows[3].endswith("_-+*##")


def test_it_draws_in_the_callers_thread_only(terminal: Terminal) -> None:
    threads = threading.active_count()
    Live(terminal.stream, colour=True).update(SNAPSHOT)
    assert threading.active_count() == threads


def test_a_terminal_that_went_away_does_not_end_the_sweep(terminal: Terminal) -> None:
    view = Live(terminal.stream, colour=True)
    view.update(SNAPSHOT)
    terminal.gone, shown = True, terminal.raw
    view.update(SNAPSHOT)
    terminal.gone = False
    view.update(SNAPSHOT)
    view.say("nobody hears this")
    view.close()
    assert terminal.raw == shown


def test_a_terminal_that_does_not_tell_its_size_is_taken_for_a_classic_one() -> None:
    stream = io.StringIO()
    Live(stream, colour=False).update(SNAPSHOT)
    assert [len(line) for line in stream.getvalue().splitlines() if "coarse  1/2" in line] == [80 + len("\x1b[?25l")]


TEXTS = st.text(st.characters(exclude_categories=[]), max_size=80)


@given(TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3), st.integers(1, 250), st.lists(st.floats(), max_size=9))
def test_no_line_is_ever_wider_than_the_terminal_or_more_than_one(
    newest: str, metric: str, config: dict[str, str], width: int, curve: list[float]
) -> None:
    best = replace(BEST, config=config, curve=tuple(curve))
    lines = frame(replace(SNAPSHOT, best=best, newest=newest, hint=metric, metric=metric, stage=newest), width)
    assert len(lines) == 5
    assert all(line.cell_len <= width and len(line.plain.splitlines()) <= 1 for line in lines)
