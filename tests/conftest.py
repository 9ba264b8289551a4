"""What the tests share: a way to say a small sweep and to run it."""

import io
import os
import pathlib
import shutil
import sys
from types import SimpleNamespace
from unittest import mock

import hypothesis
import pytest

from analysis.command import main
from sweeps.launch import check, launch, reference
from sweeps.progress import open_view
from sweeps.settings import settings_from

# The same examples every time, and no clock on a busy machine.
hypothesis.settings.register_profile("laws", deadline=None, derandomize=True)
hypothesis.settings.load_profile("laws")

FOREIGN = ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "SWEEPS_OUT", "RAY_ADDRESS")  # a person's own, not the tests'
TRAINERS = pathlib.Path(__file__).parent / "trainers.py"


def sweep(trainer="bowl", *, space=None, stages=None, setup=None, **keys):
    """The keys of a small sweep of one of `tests/trainers.py`."""
    written = {
        "train": f"{TRAINERS}:{trainer}",
        "metric": "val_acc",
        "mode": "max",
        "space": space or {"lr": {"log": [1e-5, 1e-2]}},
        "stage": stages or [{"name": "coarse", "trials": 40, "epochs": 3}, {"name": "fine", "trials": 20, "epochs": 5}],
        **keys,
    }
    return written | ({} if setup is None else {"setup": f"{TRAINERS}:{setup}"})


def run_sweep(written, folder, *, backend="inline", slots=2, address=None, base=TRAINERS.parent, accept_changes=False):
    """How a sweep ended, and everything that was said while it ran; files are relative to `base`."""
    written = {**written, "run": {"slots": slots, **written.get("run", {})}}
    settings = settings_from(written, base)
    train = reference(settings.train, settings.folder)
    setup = None if settings.setup is None else reference(settings.setup, settings.folder)
    check(settings, train, setup)
    said = io.StringIO()
    view = open_view(said)
    return launch(settings, train, setup, folder, backend, view, address, accept_changes), said.getvalue()


def contents(folder, tables=("trials", "reports", "stages")):
    """The bytes of every file of the tables that must be the same for any backend."""
    return {
        f"{table}/{path.name}": path.read_bytes() for table in tables for path in sorted((folder / table).iterdir())
    }


@pytest.fixture(autouse=True)
def environment():
    """What a trainer sets in the environment when it is imported into this process ends with its test."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture
def folder(tmp_path):
    """The folder of a run that does not exist yet."""
    return tmp_path / "runs" / "x"


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """The command, called in this process: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)

    def calling(*arguments):
        monkeypatch.setattr(sys, "argv", ["sweeps", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        said = capsys.readouterr()
        return SimpleNamespace(code=code, out=said.out, err=said.err)

    return calling


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no chromium to look with")
    with driver.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def ray_cluster():
    """A head without cores for trials, and one worker node of two; tests add nodes of their own."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    cluster.add_node(num_cpus=2)
    yield cluster
    cluster.shutdown()
