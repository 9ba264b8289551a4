"""Mistakes in what lies on the disk: how parts and files are written, found again, and looked at."""

from planted.bug import Bug

DAMAGE = "tests/sweeps/test_damage.py"
DISK_FAULTS = "tests/sweeps/test_disk_faults.py"
KILLS = "tests/sweeps/test_kills.py"
POWER_CUTS = "tests/sweeps/test_power_cuts.py"
SIMULATION = "tests/simulation/test_simulation.py"
STORE = "tests/sweeps/test_store.py"
TORN = "tests/sweeps/test_torn.py"

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
        '_TABLES = ("reports", "attempts", CONTINUED, "trials")',
        '_TABLES = ("trials", "attempts", CONTINUED, "reports")',
        KILLS,
    ),
    Bug(
        "attempts are written after their trials",
        "sweeps/store.py",
        '_TABLES = ("reports", "attempts", CONTINUED, "trials")',
        '_TABLES = ("reports", "trials", "attempts", CONTINUED)',
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
        '        for each in (CONTINUED, "trials") if',
        '        os.link(ready, table / f"{stage}.parquet")\n        for each in (CONTINUED, "trials") if',
        STORE,
    ),
    Bug(
        "what a crash left is believed before it is durable",
        "sweeps/store.py",
        "            sync_folder(self.folder / table)\n        self._recover()\n",
        "            pass\n        self._recover()\n",
        POWER_CUTS,
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
        DISK_FAULTS,
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
)
