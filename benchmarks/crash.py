"""kill -9, a torn state file, two drivers at once: what each tool has lost and doubled after it was resumed.

    .venv/bin/python benchmarks/crash.py [WORD ...]     all contenders, or those whose names have one of the words

A sweep of 40 trials of half a second on two slots, in `contenders.py`. Trainers keep a log of their own, and that is
held against the table that the tool ends with:

    lost            trained to the end, and no result in the table
    trained twice   the same config was begun more than once
    doubled         results, or reports of one epoch, that are more than once in the table
    stale           trials that the tool takes to be running when all is over

Kills come at some moment within half a second after so many trials have ended: counts differ by a few from run to run.
"""

import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass

from contenders import CONTENDERS, STATE, TRIALS, Table

PROGRAM = pathlib.Path(__file__).with_name("contenders.py")
KILLS = (7, 16, 25, 33)  #: ended trials at which the driver is killed, over all its lives
LIMIT_S = 1800  # Ray alone takes minutes to come up on a busy machine
BUSY = "timed out during startup"  #: what Ray says when the machine is too busy for it: no fault of a contender


@dataclass(frozen=True)
class Ended:
    """How a driver ended.

    Attributes:
        code: Its exit code.
        table: (learning rate, epochs) of each result in its table, and the stale ones; None when it came to no end.
        text: The exception that ended it, as it says on stderr.
    """

    code: int
    table: Table | None
    text: str


class Stuck(Exception):
    """A sweep does not come to the moment at which it was to be struck."""


def begin(who: str, folder: pathlib.Path) -> subprocess.Popen:
    """A driver, new or resumed."""
    command = [sys.executable, str(PROGRAM), who, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)


def end(driver: subprocess.Popen) -> Ended:
    """How a driver ends that is left in peace."""
    try:
        told, wrong = driver.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        driver.kill()
        driver.communicate()
        return Ended(driver.returncode, None, f"did not end in {LIMIT_S} s")
    lines = re.findall(r"^[\w.]+: .+", wrong, re.MULTILINE)  # of a traceback, its exception
    table = json.loads(told.splitlines()[-1]) if driver.returncode == 0 else None
    return Ended(driver.returncode, table, lines[-1] if lines else "")


def log_of(folder: pathlib.Path) -> list[tuple[str, float]]:
    """What the trainers noted: (begin or end, learning rate)."""
    path = folder / "side.log"
    lines = path.read_text().splitlines() if path.exists() else []
    return [(word, float(lr)) for word, lr in map(str.split, lines)]


def at_work(who: str, folder: pathlib.Path, count: int) -> subprocess.Popen:
    """A driver, new or resumed, by the time that so many different trials have ended.

    Raises:
        Stuck: They do not.
    """
    driver, began = begin(who, folder), time.monotonic()
    while len({lr for word, lr in log_of(folder) if word == "end"}) < count:
        if driver.poll() is not None:
            ended = end(driver)
            if BUSY not in ended.text:
                raise Stuck(f"ended by itself: {ended.text[:90]}")
            driver = begin(who, folder)
        if time.monotonic() - began > LIMIT_S:
            driver.kill()
            raise Stuck(f"no {count} trials have ended in {LIMIT_S} s")
        time.sleep(0.01)
    return driver


def finished(who: str, folder: pathlib.Path) -> Ended:
    """How a resumed driver ends that is left in peace."""
    while BUSY in (ended := end(begin(who, folder))).text and ended.table is None:
        pass
    return ended


def kill(driver: subprocess.Popen) -> None:
    """What the kernel does when memory is short: the driver is gone, no handler runs."""
    time.sleep(random.uniform(0.0, 0.5))
    driver.kill()
    driver.communicate()
    time.sleep(2.0)  # what the tool left running has this long to notice


def killed(who: str, folder: pathlib.Path) -> str:
    """The row of a sweep whose driver is killed again and again."""
    for count in KILLS:
        kill(at_work(who, folder, count))
    return f"{len(KILLS):>7} {_words(folder, finished(who, folder))}"


def torn(who: str, folder: pathlib.Path) -> str:
    """The row of a sweep whose newest state file is cut at half after its driver was killed."""
    kill(at_work(who, folder, TRIALS // 2))
    pattern = next(pattern for name, pattern in STATE.items() if who.startswith(name))
    newest = max(folder.glob(pattern), key=lambda path: path.stat().st_mtime_ns, default=None)
    if newest is None:
        return "has kept nothing yet"
    os.truncate(newest, newest.stat().st_size // 2)
    return _words(folder, finished(who, folder))


def two(who: str, folder: pathlib.Path) -> str:
    """The row of a sweep that a second driver takes up while the first is at it."""
    first = at_work(who, folder, TRIALS // 4)
    second = begin(who, folder)
    ended = [end(first), end(second)]
    table = next((each.table for each in reversed(ended) if each.table is not None), None)
    refused = next((each.text for each in ended if each.table is None), "both went on")
    return f"{_words(folder, Ended(0, table, ''))}  {refused[:90]}"


def _words(folder: pathlib.Path, ended: Ended) -> str:
    """The counts of a driver that came to its end, or how it failed."""
    if ended.table is None:
        return f"fails: {ended.text[:110]}"
    rows, stale = ended.table
    log, results = log_of(folder), Counter(lr for lr, _ in rows)
    lost = {lr for word, lr in log if word == "end"} - results.keys()
    twice = sum(count > 1 for count in Counter(lr for word, lr in log if word == "begin").values())
    doubled = len(rows) - len(results) + sum(len(epochs) - len(set(epochs)) for _, epochs in rows)
    return f"{len(rows):>7} of {TRIALS}{len(lost):>6}{twice:>15}{doubled:>9}{stale:>7}"


COUNTS = f"{'results':>13}{'lost':>6}{'trained twice':>15}{'doubled':>9}{'stale':>7}"
TRIES = {
    f"kill -9{'':<21}{'kills':>7} {COUNTS}": killed,
    f"newest state file cut{'':<7}{COUNTS}": torn,
    f"two drivers{'':<17}{COUNTS}": two,
}


def main() -> None:
    """Print three tables."""
    words = sys.argv[1:]
    chosen = [who for who in CONTENDERS if not words or any(word in who for word in words)]
    for title, attempt in TRIES.items():
        print(title, flush=True)
        for who in chosen:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
                try:
                    row = attempt(who, pathlib.Path(place))
                except Stuck as reason:
                    row = f"  {reason}"
                print(f"{who:<28}{row}", flush=True)
        print()


if __name__ == "__main__":
    main()
