"""Small deliberate mistakes, each of which the tests must catch: here one learns whether a changed test still sees.

python tests/planted_bugs.py             plants one after the other in a scratch copy; exit code 1 if one is missed
python tests/planted_bugs.py lock sync   those whose names have one of these words
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).parents[1]
SIMULATION = "tests/simulation/test_simulation.py"
POWER = "tests/sweeps/test_power_cuts.py"
KILLS = "tests/sweeps/test_kills.py"
FAULTS = "tests/sweeps/test_disk_faults.py"
DAMAGE = "tests/sweeps/test_damage.py"
STORE, SCHEDULE, LEDGER = "tests/sweeps/test_store.py", "tests/sweeps/test_schedule.py", "tests/sweeps/test_ledger.py"
TORN, CHANGES = "tests/sweeps/test_torn.py", "tests/sweeps/test_changes.py"
STRANGER, PRIVACY = "tests/sweeps/test_hostile_run.py", "tests/sweeps/test_privacy.py"
LIMIT_S = 300
SEEDS = "600"  #: of the simulation, for each bug


@dataclass(frozen=True)
class Bug:
    """A mistake: in `file` it has `wrong` in the place of `right`, which is there once; `test` must fail then."""

    name: str
    file: str
    right: str
    wrong: str
    test: str


BUGS = (
    Bug(
        "a part is not synced",
        "sweeps/tables.py",
        "        os.fsync(file.fileno())\n",
        "",
        SIMULATION,
    ),
    Bug(
        "a part is synced before Python has written it",
        "sweeps/tables.py",
        "        file.flush()\n",
        "",
        SIMULATION,
    ),
    Bug(
        "the name of a part is not synced",
        "sweeps/tables.py",
        "    sync_folder(path.parent)\n",
        "",
        SIMULATION,
    ),
    Bug(
        "a part is written in its place",
        "sweeps/tables.py",
        '    temporary = pending / f"{path.parent.name}.{path.name}.tmp"\n',
        "    temporary = path\n",
        KILLS,
    ),
    Bug(
        "trials are written before their reports",
        "sweeps/store.py",
        '_TABLES = ("reports", "attempts", _CONTINUED, "trials")',
        '_TABLES = ("trials", "attempts", _CONTINUED, "reports")',
        KILLS,
    ),
    Bug(
        "attempts are written after their trials",
        "sweeps/store.py",
        '_TABLES = ("reports", "attempts", _CONTINUED, "trials")',
        '_TABLES = ("reports", "trials", "attempts", _CONTINUED)',
        SIMULATION,
    ),
    Bug(
        "rows of trials that went on are written when their flush is done already",
        "sweeps/store.py",
        '_TABLES = ("reports", "attempts", _CONTINUED, "trials")',
        '_TABLES = ("reports", "attempts", "trials", _CONTINUED)',
        SIMULATION,
    ),
    Bug(
        "the lock is forgotten",
        "sweeps/hold.py",
        "        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)\n",
        STORE,
    ),
    Bug(
        "reports without their trials stay",
        "sweeps/store.py",
        "                if found and (found[1], found[3]) not in complete:\n",
        "                if found and (found[1], found[3]) in complete - complete:\n",
        KILLS,
    ),
    Bug(
        "a finished file that is not in its place yet is thrown away",
        "sweeps/store.py",
        "            if _READY.fullmatch(name):\n",
        "            if not name:\n",
        KILLS,
    ),
    Bug(
        "a finished file takes its place before its parts are gone for good",
        "sweeps/store.py",
        "            sync_folder(self.folder / each)  # else a power cut might leave the parts beside the file\n",
        "",
        SIMULATION,
    ),
    Bug(
        "a finished file takes its place before its parts are removed",
        "sweeps/store.py",
        '        for each in (_CONTINUED, "trials") if',
        '        os.link(ready, table / f"{stage}.parquet")\n        for each in (_CONTINUED, "trials") if',
        STORE,
    ),
    Bug(
        "what a crash left is believed before it is durable",
        "sweeps/store.py",
        "            sync_folder(self.folder / table)\n        self._recover()\n",
        "            pass\n        self._recover()\n",
        POWER,
    ),
    Bug(
        "the folders of the tables are not synced into the run's",
        "sweeps/store.py",
        "        sync_folder(self.folder)\n",
        "",
        SIMULATION,
    ),
    Bug(
        "the run's folder is not synced into the one above",
        "sweeps/hold.py",
        "        sync_folder(folder.parent)\n",
        "        pass\n",
        SIMULATION,
    ),
    Bug(
        "numbers of parts begin again with each driver",
        "sweeps/store.py",
        "        self._next_part = 1 + max(",
        "        self._next_part = 0 * max(",
        SIMULATION,
    ),
    Bug(
        "a stage with new parts is taken for finished",
        "sweeps/store.py",
        " is not None and not parts\n",
        " is not None\n",
        KILLS,
    ),
    Bug(
        "files that a late metric has not reached stay narrow after a crash",
        "sweeps/store.py",
        "                if schema_of(path).names != schema.names:\n",
        '                if schema_of(path).names != schema.names and hasattr(self, "_next_part"):\n',
        KILLS,
    ),
    Bug(
        "what a full disk did not take is forgotten",
        "sweeps/store.py",
        "                self._wait_for_room(error)\n",
        "                return self._wait_for_room(error)\n",
        FAULTS,
    ),
    Bug(
        "the rows of a finished stage lie in the order in which they came",
        "sweeps/tables.py",
        "    yield held.sort_by(order)\n",
        "    yield held\n",
        SIMULATION,
    ),
    Bug(
        "a flush without a trial cannot be read",
        "sweeps/arrow.py",
        "        if 0 < chunk.null_count == len(chunk):\n",
        "        if chunk.null_count == len(chunk):\n",
        SIMULATION,
    ),
    Bug(
        "the checksum of a footer is not looked at",
        "sweeps/tables.py",
        "    check_seal(file)\n",
        "",
        DAMAGE,
    ),
    Bug(
        "checksums of pages are not looked at",
        "sweeps/tables.py",
        "page_checksum_verification=True",
        "page_checksum_verification=False",
        DAMAGE,
    ),
    Bug(
        "checksums of pages are not written",
        "sweeps/tables.py",
        "write_page_checksum=True",
        "write_page_checksum=False",
        DAMAGE,
    ),
    Bug(
        "attempts are counted from 1 again by the next driver",
        "sweeps/schedule.py",
        "        self._attempts = dict(attempts or {})",
        "        self._attempts: dict[int, int] = {}",
        SIMULATION,
    ),
    Bug(
        "an attempt that took too long counts twice",
        "sweeps/schedule.py",
        "            self._attempts[trial] = self._attempts.get(trial, 0) + 1\n        return final\n",
        "            self._attempts[trial] = self._attempts.get(trial, 0) + 2\n        return final\n",
        SIMULATION,
    ),
    Bug(
        "what is heard twice counts twice",
        "sweeps/schedule.py",
        "        if flight is None or part < flight.heard:\n",
        "        if flight is None:\n",
        SIMULATION,
    ),
    Bug(
        "what a dead batch says counts",
        "sweeps/schedule.py",
        "            del self._flights[number]\n        blamed = event.trial\n",
        "            self._flights[number].trials = self._flights[number].trials[:0]\n        blamed = event.trial\n",
        SIMULATION,
    ),
    Bug(
        "a trial has one try too few",
        "sweeps/schedule.py",
        "        if self._tries[trial] > self.retries:\n",
        "        if self._tries[trial] >= self.retries:\n",
        SCHEDULE,
    ),
    Bug(
        "a death is blamed on the first trial of the slot",
        "sweeps/schedule.py",
        "        blamed = event.trial\n        if blamed",
        "        blamed = left[0] if left else None\n        if blamed",
        SCHEDULE,
    ),
    Bug(
        "trials of a lost slot are forgotten",
        "sweeps/schedule.py",
        "        self._put_back(rest)\n        if event.blameless",
        "        if event.blameless",
        SCHEDULE,
    ),
    Bug(
        "reports of a lost attempt stay",
        "sweeps/stage.py",
        "        self._drop(loss.again)\n        for trial",
        "        for trial",
        SIMULATION,
    ),
    Bug(
        "reports of an attempt that took too long stay",
        "sweeps/ledger.py",
        "            self.drop(ends.trial[~final])\n",
        "",
        LEDGER,
    ),
    Bug(
        "reports are stored before their trial has ended",
        "sweeps/ledger.py",
        "        belongs = np.isin(everything.trial, trials)\n",
        "        belongs = np.ones(len(everything.trial), np.bool_)\n",
        SIMULATION,
    ),
    Bug(
        "a flush that is half in the file of its stage is set aside",
        "sweeps/damage.py",
        "    if not {path.parent.name for path in flush} >= _TABLES:\n",
        "    if not flush:\n",
        TORN,
    ),
    Bug(
        "of a torn flush the reports go first",
        "sweeps/damage.py",
        "        for path in flush:\n            os.replace(",
        "        for path in reversed(flush):\n            os.replace(",
        TORN,
    ),
    Bug(
        "a file takes the place of its parts though it is torn",
        "sweeps/store.py",
        "                check(self.folder / _PENDING / name)  # while its parts are still there, if they are\n",
        "",
        TORN,
    ),
    Bug(
        "a changed trainer is not seen",
        "sweeps/changes.py",
        "            found.append(Change(Kind.CODE,",
        "            print(Change(Kind.CODE,",
        CHANGES,
    ),
    Bug(
        "a finished run takes the digest of a trainer that it was not made with",
        "sweeps/changes.py",
        'return {**after, "source": before["source"]}, f',
        "return after, f",
        CHANGES,
    ),
    Bug(
        "a link in a run's folder is followed",
        "sweeps/private.py",
        "    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):",
        "    if stat.S_ISFIFO(mode):",
        STRANGER,
    ),
    Bug(
        "files are as open as the umask has them",
        "sweeps/private.py",
        "_FILE = 0o600",
        "_FILE = 0o666",
        PRIVACY,
    ),
)


def main(words):
    """Plant every bug whose name has one of the words, or all of them."""
    chosen = [bug for bug in BUGS if not words or any(word in bug.name for word in words)]
    missed = []
    with tempfile.TemporaryDirectory() as place:
        copy = pathlib.Path(place) / "copy"
        for name in ("analysis", "sweeps", "workers", "tests", "pyproject.toml"):
            source = ROOT / name
            shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
        for test in sorted({bug.test for bug in chosen}):
            if not passes(copy, test):
                sys.exit(f"{test} fails without any bug")
        for bug in chosen:
            began = time.monotonic()
            path = copy / bug.file
            sound = path.read_text("utf-8")
            if sound.count(bug.right) != 1:
                sys.exit(f"{bug.name}: the lines are {sound.count(bug.right)} times in {bug.file}")
            path.write_text(sound.replace(bug.right, bug.wrong), "utf-8")
            caught = not passes(copy, bug.test)
            path.write_text(sound, "utf-8")
            missed += [] if caught else [bug]
            print(f"{'caught' if caught else 'MISSED'}  {time.monotonic() - began:5.1f} s  {bug.name}", flush=True)
    print(f"{len(chosen) - len(missed)} of {len(chosen)} caught")
    return 1 if missed else 0


def passes(copy, test):
    """Whether a test file passes with the copy in the place of the package."""
    command = [sys.executable, "-P", "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", test]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "SEEDS": SEEDS}
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=LIMIT_S, text=True)
    except subprocess.TimeoutExpired:
        return False
    if done.returncode not in (0, 1):
        sys.exit(done.stdout + done.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
