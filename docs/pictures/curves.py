"""A picture for each shape of a learning curve, each of a real trial: `sweeps run docs/pictures/shapes.toml`, then this
file with the folder of that run (`.venv/bin/python docs/pictures/curves.py runs/shapes`).
"""

import pathlib
import sys

import matplotlib.pyplot as plt

import analysis
from analysis.diagnosis import trial_findings

HERE = pathlib.Path(__file__).parent
# Seen on white and on black, since the ground is left out.
GREY, LOSS, TRAINED, VALIDATED = "#808791", "#D55E00", "#56B4E9", "#2F8FD6"

#: The findings that the trials of `shapes.toml` are there for, in their order; a sound trial has none.
SHAPES = (
    "sound",
    "loss flat",
    "still improving",
    "high plateau",
    "diverged",
    "flat then drop",
    "noisy",
    "loss rising",
    "overfitting",
    "underfitting",
)

plt.rcParams |= {
    "font.size": 9,
    "text.color": GREY,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "svg.hashsalt": "coarsefine",
    "svg.fonttype": "none",
}


def findings_of(frames: analysis.Frames) -> list[set[str]]:
    """What is said of the trial of each shape, in the order of `SHAPES`."""
    found = trial_findings(frames, metric="val_acc", mode="max")
    return [set(found.loc[found.trial == trial, "finding"]) for trial in range(len(SHAPES))]


def draw(frames: analysis.Frames, trial: int) -> None:
    """Loss on the left, accuracies on the right, by epoch."""
    rows = frames.reports[frames.reports.trial == trial]
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 2.0), layout="constrained")
    left.plot(rows.epoch, rows.loss, color=LOSS)
    left.set(xlabel="epoch", ylabel="loss", ylim=(0, 1.05 * rows.loss.max()))
    right.plot(rows.epoch, rows.train_acc, color=TRAINED, linestyle="--", label="train_acc")
    right.plot(rows.epoch, rows.val_acc, color=VALIDATED, label="val_acc")
    right.set(xlabel="epoch", ylim=(0, 1.05))
    right.legend(frameon=False, fontsize=8, loc="lower left", bbox_to_anchor=(0, 0.98), ncols=2)
    for axis in (left, right):
        axis.set(xlim=(0, 31))
        axis.grid(color=GREY, alpha=0.2, linewidth=0.6)
    name = SHAPES[trial].replace(" ", "-")
    figure.savefig(HERE / f"shape-{name}.svg", transparent=True, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Draw them all; a trial that is not found to have its shape ends it."""
    frames = analysis.load(sys.argv[1])
    for trial, (shape, found) in enumerate(zip(SHAPES, findings_of(frames), strict=True)):
        if not (shape in found or (shape == "sound" and not found)):
            sys.exit(f"trial {trial} was to show {shape!r}, and it is found: {', '.join(sorted(found)) or 'nothing'}")
        draw(frames, trial)


if __name__ == "__main__":
    main()
