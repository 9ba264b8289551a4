"""The simulation by hand.

python tests/simulate.py 1234      runs a seed again, and tells what happened
python tests/simulate.py 0 20000   runs so many from a seed on
"""

import sys
import time

from simulation.runs import run

if __name__ == "__main__":
    first, count = int(sys.argv[1]), int((sys.argv[2:] or [1])[0])
    began = time.process_time()
    for seed in range(first, first + count):
        run(seed, *([print] if count == 1 else []))
    spent = time.process_time() - began
    print(f"{count} seeds in {spent:.1f} s of one core: {60 * count / spent:.0f} a minute")
