"""The notebook of the examples, run by a real kernel; and how progress is shown there."""

import pathlib

import nbclient
import nbformat
import pandas as pd
import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """The notebook, executed in a folder of its own, and that folder."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(ROOT / "examples" / "notebook.ipynb", 4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook, folder


def outputs(notebook, start):
    """What the cell that starts with these words shows."""
    return next(cell.outputs for cell in notebook.cells if cell.source.startswith(start))


@pytest.mark.slow
@pytest.mark.xdist_group("notebook")
def test_progress_stands_in_one_output_that_ends_with_the_last_moment(notebook):
    progress, result = outputs(notebook[0], "result = sweeps.run")
    text = progress.data["text/plain"]
    assert progress.output_type == "display_data"
    assert "fine  2/2 · 20 epochs" in text
    assert "20/20" in text
    assert "coarse -> fine: " in text
    assert text.count("best    val_acc") == 1
    assert progress.data["text/html"].startswith("<pre")
    assert result.data["text/plain"].startswith("coarse: ")


@pytest.mark.slow
@pytest.mark.xdist_group("notebook")
def test_frames_and_figures_are_inline(notebook):
    executed, folder = notebook
    (best,) = outputs(executed, "frames = ")
    assert "<table" in best.data["text/html"]
    for start in ("figures.scatter", "figures.learning_curves"):
        (figure,) = outputs(executed, start)
        assert figure.data["application/vnd.plotly.v1+json"]["data"]
    trials = pd.read_parquet(folder / "runs" / "notebook" / "trials")
    assert len(trials) == 60
    (last,) = outputs(executed, "*_, last")
    assert "val_acc" in last.data["text/plain"]


def test_the_notebook_is_kept_without_outputs():
    cells = nbformat.read(ROOT / "examples" / "notebook.ipynb", 4).cells
    assert not any(cell.outputs for cell in cells if cell.cell_type == "code")
