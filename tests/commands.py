"""The command as a user starts it, and what is needed to wait for it."""

import os
import pathlib
import subprocess
import sys
import time

import tomli_w
from conftest import FOREIGN, sweep

COMMAND = str(pathlib.Path(sys.executable).with_name("sweeps"))
TRAINERS = pathlib.Path(__file__).with_name("trainers_paced.py")
STAGES = [{"name": "coarse", "trials": 90, "epochs": 3}, {"name": "fine", "trials": 60, "epochs": 4}]


def paced(trainer="paced", **keys):
    """The keys of a sweep of one of `trainers_paced.py`."""
    return sweep(stages=keys.pop("stages", STAGES), **keys) | {"train": f"{TRAINERS}:{trainer}"}


def sweep_file(folder, written):
    """A sweep file in a folder."""
    path = folder / "sweep.toml"
    path.write_text(tomli_w.dumps(written), "utf-8")
    return path


def started(*arguments, cwd, said=subprocess.PIPE, **variables):
    """The command, running in a folder; `said` takes its standard error."""
    environment = {k: v for k, v in os.environ.items() if k not in FOREIGN} | {
        name: str(value) for name, value in variables.items()
    }
    command = [COMMAND, *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=said, text=True)


def finished(*arguments, cwd, **variables):
    """Exit code, standard output and standard error of the command."""
    with started(*arguments, cwd=cwd, **variables) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def eventually(holds, *arguments, within_s=60):
    """What `holds` gives as soon as that is true."""
    deadline = time.monotonic() + within_s
    while not (found := holds(*arguments)):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.002)
    return found
