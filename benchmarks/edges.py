"""How often an edge of a range is called: where the optimum lies beyond it, at it, and well inside.

    .venv/bin/python benchmarks/edges.py [SWEEPS] [PICTURE]

Simulated sweeps of 100 trials over three parameters. The score is a bowl with noise; how much each parameter matters,
how noisy the score is and where the optimum lies are drawn anew for each sweep. A minute on one core.
"""

from __future__ import annotations

import math
import pathlib
import sys

import numpy as np

from sweeps.regions import Observed, borders
from sweeps.sampling import draw
from sweeps.space import Range, Space

SWEEPS = 1000
TRIALS = 100
NAMES = ("lr", "reg", "width")
SPACE = Space({name: Range(1e-6, 1.0, log=True, limits=(0.0, math.inf)) for name in NAMES})
PLACES = {"inside": (0.2, 0.8), "at the edge": (1.0, 1.0), "outside": (1.1, 1.6)}  # of lr's optimum, in its range
PICTURE = pathlib.Path("docs/pictures/edges.svg")


def simulated(at: float, seed: int, trials: int = TRIALS) -> set[tuple[str, str]]:
    """The (parameter, side) that are called in a sweep whose optimum has `lr` at a place, 0 to 1 being its range.

    The side is mirrored in every second sweep. The other two parameters matter from a tenth as much as `lr` to as
    much, and have their optimum inside; noise is from 2 % to 10 % of what `lr` can cost.
    """
    rng = np.random.default_rng([11, seed])
    at = at if seed % 2 else 1.0 - at
    columns, _ = draw(SPACE, "lhs", seed, 0, trials)
    positions = [SPACE.parameters[name].encode(columns[name]) for name in NAMES]
    optimum = [at, *rng.uniform(0.25, 0.75, 2)]
    matters = [1.0, *10 ** rng.uniform(-1.0, 0.0, 2)]
    scores = sum(m * (p - o) ** 2 for m, p, o in zip(matters, positions, optimum, strict=True))
    cost = np.ptp((positions[0] - at) ** 2)
    scores = scores + cost * rng.uniform(0.02, 0.1) * rng.normal(size=trials)
    seen = Observed(columns, scores, np.zeros(trials, np.bool_))
    return {(name, side) for name in NAMES for side in borders(SPACE, name, seen).crowds}


def shares(sweeps: int, trials: int = TRIALS) -> dict[str, tuple[float, float]]:
    """By where the optimum lies: the share of sweeps that call the edge beside it, and that call any other edge."""
    found = {}
    for place, (low, high) in PLACES.items():
        right = wrong = 0
        for seed, at in enumerate(np.random.default_rng(5).uniform(low, high, sweeps)):
            called = simulated(float(at), seed, trials)
            beside = ("lr", "high" if seed % 2 else "low")
            right += place != "inside" and beside in called
            wrong += bool(called - ({beside} if place != "inside" else set()))
        found[place] = (right / sweeps, wrong / sweeps)
    return found


def picture(path: pathlib.Path, sweeps: int) -> None:
    """Draw the share of sweeps that call the edge against the place of the optimum, for stages of several sizes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    grey = "#808080"  # seen on white and on black
    pyplot.rcParams.update({"text.color": grey, "axes.labelcolor": grey, "xtick.color": grey, "ytick.color": grey})
    pyplot.rcParams.update({"axes.edgecolor": grey, "svg.hashsalt": "edges", "font.size": 11})
    figure, axes = pyplot.subplots(figsize=(7.2, 3.4), layout="constrained")
    places = np.linspace(0.5, 1.5, 21)
    for trials, color in ((30, "#56B4E9"), (100, "#0072B2"), (300, "#009E73")):
        called = [
            np.mean([("lr", "high" if seed % 2 else "low") in simulated(at, seed, trials) for seed in range(sweeps)])
            for at in places.tolist()
        ]
        axes.plot(places, called, color=color, linewidth=2, label=f"{trials} trials")
    axes.axvline(1.0, color=grey, linestyle="--", linewidth=1)
    axes.text(1.01, 0.5, "edge of the range", color=grey)
    axes.set(xlabel="place of the optimum, 0 to 1 being the range", ylabel="share of sweeps that call the edge")
    axes.set(ylim=(-0.02, 1.02), xlim=(0.5, 1.5))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(path, transparent=True, metadata={"Date": None})


def main() -> None:
    """Simulate, print, draw."""
    sweeps = int(sys.argv[1]) if len(sys.argv) > 1 else SWEEPS
    print(f"{sweeps:,} sweeps each, of {TRIALS} trials\n")
    print("| optimum | its edge is called | another edge is called |\n|---|---|---|")
    for place, (right, wrong) in shares(sweeps).items():
        print(f"| {place} | {'-' if place == 'inside' else f'{right:.1%}'} | {wrong:.1%} |")
    picture(pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else PICTURE, max(sweeps // 5, 1))


if __name__ == "__main__":
    main()
