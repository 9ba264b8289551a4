"""Mistakes in what a run may go on with, in searches, and in what strangers may do."""

from planted.bug import Bug

CHANGES = "tests/sweeps/test_changes.py"
CONFIRM = "tests/sweeps/test_confirm.py"
HOSTILE_RUN = "tests/sweeps/test_hostile_run.py"
PRIVACY = "tests/sweeps/test_privacy.py"
SOURCE = "tests/sweeps/test_source.py"

BUGS = (
    Bug(
        "a changed trainer is not seen",
        "sweeps/changes.py",
        "        if was[part] == now[part]:\n",
        "        if part in now:\n",
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
        HOSTILE_RUN,
    ),
    Bug(
        "files are as open as the umask has them",
        "sweeps/private.py",
        "_FILE = 0o600",
        "_FILE = 0o666",
        PRIVACY,
    ),
    Bug(
        "the best of a search are confirmed with seeds that were used",
        "sweeps/driver.py",
        "        return draw(region.space, stage.method, seed, number, stage.trials, stage.include)\n",
        (
            "        number *= stage.name != CONFIRM\n"
            "        return draw(region.space, stage.method, seed, number, stage.trials, stage.include)\n"
        ),
        CONFIRM,
    ),
    Bug(
        "a search whose last row is not stored is taken for finished",
        "sweeps/changes.py",
        " and None not in counts.values() and confirmed\n",
        " and confirmed\n",
        CHANGES,
    ),
    Bug(
        "a search that has not confirmed its best is taken for finished",
        "sweeps/changes.py",
        " and None not in counts.values() and confirmed\n",
        " and None not in counts.values()\n",
        CHANGES,
    ),
    Bug(
        "what a trainer imports is not looked at",
        "sweeps/source.py",
        "for path in imported(file, root)}",
        "for path in ()}",
        SOURCE,
    ),
    Bug(
        "what the modules of a trainer import is not looked at",
        "sweeps/imports.py",
        "        unread += new\n",
        "",
        SOURCE,
    ),
)
