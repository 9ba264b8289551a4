"""Plants the mistakes of `planted`, each of which the tests must catch: do they still see?

python tests/planted_bugs.py             plants one after the other in a scratch copy; exit code 1 if one is missed
python tests/planted_bugs.py lock sync   those whose names, files or tests have one of these words
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

from planted import BUGS

ROOT = pathlib.Path(__file__).parents[1]
LIMIT_S = 900
SEEDS = "600"  #: of the simulation, for each bug


def main(words):
    """Plant every bug that has one of the words, or all of them."""
    chosen = [bug for bug in BUGS if not words or any(w in f"{bug.name} {bug.file} {bug.test}" for w in words)]
    missed = []
    with tempfile.TemporaryDirectory() as place:
        copy = pathlib.Path(place) / "copy"
        for name in ("analysis", "sweeps", "workers", "tests", "pyproject.toml"):
            source = ROOT / name
            shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
        for test in sorted({bug.test for bug in chosen}):
            if found := failure(copy, test):
                sys.exit(f"without any bug {found}")
        for bug in chosen:
            began = time.monotonic()
            path = copy / bug.file
            sound = path.read_text("utf-8")
            if sound.count(bug.right) != 1:
                sys.exit(f"{bug.name}: the lines are {sound.count(bug.right)} times in {bug.file}")
            path.write_text(sound.replace(bug.right, bug.wrong), "utf-8")
            found = failure(copy, bug.test)
            path.write_text(sound, "utf-8")
            missed += [] if found else [bug]
            print(
                f"{'caught' if found else 'MISSED'}  {time.monotonic() - began:5.1f} s  {bug.name}: {found}", flush=True
            )
    print(f"{len(chosen) - len(missed)} of {len(chosen)} caught")
    return 1 if missed else 0


def failure(copy, test):
    """How a test fails with the copy in the place of the package, in words; none when it passes."""
    command = [sys.executable, "-P", "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", test]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "SEEDS": SEEDS}
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=LIMIT_S, text=True)
    except subprocess.TimeoutExpired:
        return f"{test} has not ended in {LIMIT_S} s"
    if done.returncode not in (0, 1):
        sys.exit(done.stdout + done.stderr)
    return "" if done.returncode == 0 else re.search(r"^FAILED \S+::(.+)", done.stdout, re.MULTILINE)[1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
