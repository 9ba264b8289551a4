"""Runs that the tests of the analysis read."""

import pathlib

import pytest
from conftest import run_sweep, sweep
from trainers_export import SPACE

import analysis

TESTS = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run of two stages with every kind of parameter; some of its trials diverge, some raise."""
    stages = [{"name": "coarse", "trials": 90, "epochs": 2}, {"name": "fine", "trials": 30, "epochs": 4}]
    folder = tmp_path_factory.mktemp("runs") / "mixed"
    run_sweep(sweep(stages=stages, space=SPACE) | {"train": f"{TESTS / 'trainers_export.py'}:mixed"}, folder)
    return folder


@pytest.fixture(scope="session")
def frames(run):
    loaded = analysis.load(run)
    assert set(loaded.trials["status"]) == {"completed", "stopped", "failed"}
    return loaded


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """A run in which nothing has ended yet."""
    folder = tmp_path_factory.mktemp("runs") / "empty"
    run_sweep(sweep("bowl", stages=[{"name": "coarse", "trials": 3, "epochs": 1}]), folder)
    for table in ("trials", "reports", "attempts"):
        for path in (folder / table).iterdir():
            path.unlink()
    return folder


@pytest.fixture
def opened(browser):
    """Opens a report; whatever the browser complains of fails the test."""
    complaints, context = [], browser.new_context(viewport={"width": 1200, "height": 900})

    def opening(path):
        tab = context.new_page()
        tab.on(
            "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
        )
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on(
            "request",
            lambda request: (
                complaints.append(request.url) if not request.url.startswith(("file:", "data:", "blob:")) else None
            ),
        )
        tab.goto(path.as_uri())
        tab.wait_for_selector("main:not([aria-busy])", timeout=60_000)
        return tab

    yield opening
    context.close()
    assert complaints == []
