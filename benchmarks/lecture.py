"""The search of CS231n's lecture 6 as a figure: 100 coarse trials, the region fitted on them, 100 fine trials in it.

    CIFAR10=FOLDER .venv/bin/python benchmarks/lecture.py [PICTURE]

The two-layer net with 50 hidden units, 5 epochs a trial, on the first 10,000 images of CIFAR-10. The run is
`runs/lecture`; where it is done already it is only drawn.
"""

import json
import os
import pathlib
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.patches import Rectangle

import sweeps

PICTURE = pathlib.Path("docs/pictures/lecture.png")
EXAMPLE = pathlib.Path(__file__).parents[1] / "examples" / "cifar10.py"
INK, MUTED, ACCENT = "#808791", "#9aa1ad", "#e0592a"  # seen on white and on black, since the ground is left out


def draw(run: pathlib.Path, picture: pathlib.Path) -> None:
    """Draw the trials of both stages, each with the box that it was drawn from."""
    grey = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color")
    plt.rcParams |= {name: INK for name in grey} | {"axes.edgecolor": MUTED, "font.size": 9}
    trials, stages = pd.read_parquet(run / "trials"), pd.read_parquet(run / "stages").set_index("stage")
    figure, panels = plt.subplots(1, 2, figsize=(8.4, 3.4), layout="constrained", sharex=True, sharey=True)
    for panel, (stage, rows) in zip(panels, trials.groupby("stage"), strict=True):
        diverged, trained = rows[rows.status == "stopped"], rows[rows.status == "completed"]
        panel.scatter(diverged.lr, diverged.reg, marker="x", s=22, c=MUTED, label="stopped: it diverged")
        points = panel.scatter(
            trained.lr, trained.reg, c=trained.val_acc, s=24, cmap="viridis", vmin=0.1, vmax=trials.val_acc.max()
        )
        for name, colour in (("coarse", MUTED), ("fine", ACCENT)):
            region = json.loads(stages.region[name])
            (left, right), (low, high) = region["lr"]["log"], region["reg"]["log"]
            box = Rectangle((left, low), right - left, high - low, fill=False, edgecolor=colour, label=f"{name} region")
            panel.add_patch(box)
        best = rows.val_acc.max()
        panel.set(xscale="log", yscale="log", xlabel="lr", title=f"{stage}: {len(rows)} trials, best {best:.3f}")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("reg")
    panels[1].legend(*panels[0].get_legend_handles_labels(), frameon=False, fontsize=8, loc="center left")
    figure.colorbar(points, ax=panels, label="val_acc")
    figure.savefig(picture, dpi=110, transparent=True)


def main() -> None:
    """Run what is missing, and draw."""
    stages = [{"name": name, "trials": 100, "epochs": 5} for name in ("coarse", "fine")]
    space = {"lr": {"log": [1e-6, 1e-3]}, "reg": {"log": [1e-5, 1e5]}, "hidden": 50, "subset": 10_000}
    result = sweeps.run(
        "workers.reference:train",
        setup=f"{EXAMPLE}:load_data",
        space=space,
        stages=stages,
        metric="val_acc",
        mode="max",
        name="lecture",
    )
    print(result)
    picture = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    draw(result.folder, picture)
    print(picture)


if __name__ == "__main__":
    main()
