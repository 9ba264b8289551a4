"""All figures: functions from the frames of a run to plotly figures, for a notebook as for the report.

frames = analysis.load("runs/sweep")
figures.scatter(frames, "lr", "reg").show()
"""

from analysis.histories import agreement, best_so_far, learning_curves, utilisation
from analysis.landscape import axis_plot, importance_plot, parallel, scatter

__all__ = [
    "agreement",
    "axis_plot",
    "best_so_far",
    "importance_plot",
    "learning_curves",
    "parallel",
    "scatter",
    "utilisation",
]
