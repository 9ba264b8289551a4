"""The best config of a run, trained for longer, as a run of its own with everything that belongs to one.

python examples/longer.py examples/digits_numpy.toml runs/digits_numpy 100
"""

import json
import pathlib
import subprocess
import sys

if len(sys.argv) != 4:
    sys.exit(__doc__)
sweep, run, epochs = sys.argv[1:]
command = pathlib.Path(sys.executable).with_name("sweeps")
asked = subprocess.run([command, "best", run, "-k", "1", "--json"], stdout=subprocess.PIPE)
best = json.loads(asked.stdout)["best"] if asked.returncode == 0 else []
if not best:
    sys.exit(asked.returncode or f"{run} has no best trial yet")
config = ", ".join(f"{name} = {json.dumps(value)}" for name, value in best[0]["config"].items())
stage = f'stage=[{{name = "longer", trials = 1, epochs = {epochs}, include = [{{{config}}}]}}]'
folder = pathlib.Path(run)
place = ["--out", str(folder.parent), "--name", f"{folder.name}-longer"]
sys.exit(subprocess.run([command, "run", sweep, *place, "--set", stage]).returncode)
