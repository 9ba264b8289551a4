"""What `ray submit` runs on the head of a cluster: the command, in the project that was mounted there.

    ray submit cluster.yaml sweeps/head.py -- run examples/digits.toml

Ray uploads this one file to the home directory and runs it there, so it imports nothing of ours before it has found
the project. Relative paths are the project's; results go to ~/sweep-results, outside of what travels to the nodes.
"""

from __future__ import annotations

import os
import pathlib
import sys

PROJECT = pathlib.Path("~/project").expanduser()
RESULTS = pathlib.Path("~/sweep-results").expanduser()
STORED = (0, 1, 3, 130)  #: exit codes of a run that has stored what it found: done, out of budget, interrupted


def main() -> None:
    """Run the command on the cluster that this machine is the head of."""
    if not (PROJECT / "sweeps").is_dir():
        sys.exit(
            f'head.py: there is no {PROJECT}/sweeps: cluster.yaml mounts it with file_mounts: {{"~/project": "."}}'
        )
    os.chdir(PROJECT)
    sys.path[0] = str(PROJECT)  # instead of the home directory
    os.environ.setdefault("RAY_ADDRESS", "auto")
    os.environ.setdefault("SWEEPS_OUT", str(RESULTS))
    os.environ.pop("OMP_NUM_THREADS", None)  # Ray's, for this process; workers have their own
    from analysis.command import main as command

    try:
        command()
    except SystemExit as end:
        if sys.argv[1:2] == ["run"] and end.code in STORED:
            print("fetch    ray rsync-down cluster.yaml '~/sweep-results/' runs/", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
