"""The pictures of the docs, drawn from real runs: `make sweep`, then this file with `.venv/bin/python`."""

import pathlib

import matplotlib.pyplot as plt
import numpy as np

import analysis
from sweeps.sampling import draw
from sweeps.space import Range, Space

HERE = pathlib.Path(__file__).parent
INK, MUTED, ACCENT = "#808791", "#9aa1ad", "#e0592a"  # seen on white and on black, since the ground is left out

plt.rcParams |= {
    "font.size": 9,
    "savefig.transparent": True,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "coarsefine",
}


def digits(run: pathlib.Path) -> None:
    """Where the two stages of the digits example searched, and the curves of their trials."""
    frames = analysis.load(run)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.1), layout="constrained")
    diverged = frames.trials[frames.trials.status == "stopped"]
    trained = frames.trials[frames.trials.status == "completed"]
    left.scatter(diverged.lr, diverged.reg, marker="x", s=22, c=MUTED, label="diverged")
    for stage, marker, edge in (("coarse", "o", "none"), ("fine", "D", INK)):
        rows = trained[trained.stage == stage]
        points = left.scatter(
            rows.lr,
            rows.reg,
            c=rows.val_acc,
            marker=marker,
            edgecolors=edge,
            linewidths=0.6,
            s=26,
            vmin=0,
            vmax=1,
            label=stage,
            cmap="viridis",
        )
    left.set(xscale="log", yscale="log", xlabel="lr", ylabel="reg")
    left.legend(frameon=False, fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), handletextpad=0)
    figure.colorbar(points, ax=left, label="val_acc")
    for stage, colour in (("coarse", MUTED), ("fine", ACCENT)):
        reports = frames.reports[frames.reports.stage == stage]
        for number, (_, curve) in enumerate(reports.groupby("trial")):
            label = stage if number == 0 else None
            right.plot(curve.epoch, curve.val_acc, color=colour, linewidth=0.6, alpha=0.6, label=label)
    right.set(xlabel="epoch", ylabel="val_acc", xscale="log", ylim=(0, 1.02))
    right.legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(HERE / "digits.png", dpi=110)


def grid_and_random() -> None:
    """Nine trials on a grid and nine at random where one parameter matters and the other hardly does."""
    space = Space({"important": Range(0.0, 1.0), "unimportant": Range(0.0, 1.0)})
    figure, axes = plt.subplots(1, 2, figsize=(6.6, 3.1), layout="constrained", sharey=True)
    x = np.linspace(0, 1, 400)
    height = np.exp(-(((x - 0.68) / 0.09) ** 2))
    for axis, method in zip(axes, ("grid", "random"), strict=True):
        columns, _ = draw(space, method, seed=0, stage=0, count=9)
        tried, other = np.array(columns["important"]), np.array(columns["unimportant"])
        axis.fill_between(x, 1.1, 1.1 + 0.4 * height, color=ACCENT, alpha=0.25, linewidth=0)
        axis.plot(x, 1.1 + 0.4 * height, color=ACCENT, linewidth=1)
        axis.scatter(tried, other, c=INK, s=26, zorder=3)
        axis.vlines(tried, other, 1.1 + 0.4 * np.exp(-(((tried - 0.68) / 0.09) ** 2)), colors=MUTED, linewidth=0.6)
        best = np.exp(-(((tried - 0.68) / 0.09) ** 2)).max()
        axis.set(title=f"{method}: {len(set(tried.round(9)))} values of lr tried, best {best:.2f}")
        axis.set(xlabel="lr (important)", xticks=[], yticks=[], ylim=(-0.05, 1.55))
    axes[0].set_ylabel("beta (hardly matters)")
    figure.savefig(HERE / "grid-random.png", dpi=110)


if __name__ == "__main__":
    digits(pathlib.Path("runs/digits"))
    grid_and_random()
