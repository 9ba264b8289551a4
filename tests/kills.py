"""Real drivers, real kill -9, hundreds of them: for the night.

python tests/kills.py 300          kills, at random moments, until there have been so many; on local processes
python tests/kills.py 40 7 ray     the same from another seed, on a Ray of its own for each driver
"""

import pathlib
import random
import sys
import tempfile
import time

import pandas as pd
from commands import finished, paced, started, sweep_file
from conftest import contents, run_sweep

STAGES = [{"name": "coarse", "trials": 60, "epochs": 3}, {"name": "fine", "trials": 40, "epochs": 4}]
PAUSE_S = 0.06  # an epoch's; ten seconds of work for two slots, so that no run ends before its last kill
LIFE_S = {"local": (0.2, 2.0), "ray": (4.0, 16.0)}  #: of a driver that is killed: from its imports to its last stage
WORDS = {"local": ("--backend", "local", "--slots", 2), "ray": ("--backend", "ray", "--slots", 2)}
KILLS_A_RUN = 6


def kill(place, life_s, backend):
    """Whether a driver was killed before it was done."""
    said = place / "said.txt"
    with (
        said.open("w") as file,
        started("run", "sweep.toml", *WORDS[backend], cwd=place, said=file, PAUSE_S=PAUSE_S) as driver,
    ):
        began = time.monotonic()
        while driver.poll() is None and time.monotonic() - began < life_s:
            time.sleep(0.001)
        driver.kill()
    assert driver.returncode in (-9, 0), f"exit code {driver.returncode}: {said.read_text()}"
    return driver.returncode == -9


def check(folder, before):
    """The trials that lie there, once each, and none fewer than before."""
    trials, reports = ([*(folder / table).glob("*.parquet")] for table in ("trials", "reports"))
    if reports:
        assert not pd.read_parquet(folder / "reports").duplicated(["stage", "trial", "epoch"]).any()
    rows = pd.read_parquet(folder / "trials")[["stage", "trial"]] if trials else pd.DataFrame()
    assert not rows.duplicated().any()
    found = set(rows.itertuples(index=False, name=None))
    if not any((folder / ".pending").glob("trials.*.ready")):  # then the stage has no rows for a moment
        assert before <= found, f"{sorted(before - found)} were stored once"
    return before | found


def survive(place, kills, rng, backend="local"):
    """Kill the drivers of a run so often, at moments that `rng` chooses; the last one ends with a calm run's bytes.

    Returns:
        How many drivers were killed: fewer when one was done before its time.
    """
    written = paced(stages=STAGES)
    sweep_file(place, written)
    folder, known, done = place / "runs" / "sweep", set(), 0
    while done < kills and kill(place, rng.uniform(*LIFE_S[backend]), backend):
        done += 1
        known = check(folder, known)
    code, _, said = finished("run", "sweep.toml", "--backend", "local", cwd=place)
    assert code == 0, said
    run_sweep(written, place / "calm")
    assert contents(folder) == contents(place / "calm")
    attempts = pd.read_parquet(folder / "attempts")
    assert (attempts.groupby(["stage", "trial"]).outcome.last() != "lost").all()
    return done


def main(words):
    """Kill so many, run after run."""
    kills, seed, backend = int((words or [300])[0]), int((words[1:] or [0])[0]), (words[2:] or ["local"])[0]
    done, runs, began = 0, 0, time.monotonic()
    while done < kills:
        with tempfile.TemporaryDirectory() as place:
            try:
                done += survive(pathlib.Path(place), min(KILLS_A_RUN, kills - done), random.Random(seed), backend)
            except BaseException as error:
                error.add_note(
                    f"the same moments again: .venv/bin/python tests/kills.py {KILLS_A_RUN} {seed} {backend}"
                )
                raise
        runs, seed = runs + 1, seed + 1
        print(f"{done} kills in {runs} runs, {time.monotonic() - began:.0f} s: nothing lost, same bytes", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
