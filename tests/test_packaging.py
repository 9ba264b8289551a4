"""What is installed: the wheel's content, a bare Python with the core dependencies only, a user's own packages."""

import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest
from commands import finished
from test_docs import PAGES

import sweeps

ROOT = pathlib.Path(__file__).parent.parent
PACKAGES = ("analysis", "sweeps", "workers")
# `sweeps.notebook` is imported in notebooks only, where IPython is.
EVERYTHING = """
import importlib, pkgutil, analysis, sweeps, workers
for package in (analysis, sweeps, workers):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if module.name != "sweeps.notebook":
            importlib.import_module(module.name)
"""


def run(*command, cwd=ROOT, **variables):
    """What a command printed; it must succeed. Our checkout is not on its path."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))} | variables
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the source distribution as an index's users would."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder)
    (source,) = folder.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    unpacked = folder / source.name.removesuffix(".tar.gz")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=unpacked)
    (built,) = folder.glob("*.whl")
    return built


def interpreter(version):
    """A Python of a version: on the path, or one of pyenv's; a shim that leads nowhere is none."""
    found = [shutil.which(f"python{version}"), *pathlib.Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
    for each in filter(None, found):
        if subprocess.run([each, "-c", ""], capture_output=True, check=False).returncode == 0:
            return each
    pytest.skip(f"there is no Python {version} here")


def test_the_wheel_holds_the_three_packages_whole_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    packaged = {name for name in names if ".dist-info/" not in name}
    ours = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packaged == ours
    wanted = {f"{package}/py.typed" for package in PACKAGES} | {f"analysis/report.{kind}" for kind in ("html", "css")}
    assert wanted | {"analysis/report.js"} <= packaged


def test_the_version_is_one(wheel):
    assert wheel.name == f"coarsefine-{sweeps.__version__}-py3-none-any.whl"
    assert importlib.metadata.version("coarsefine") == sweeps.__version__
    assert finished("--version", cwd=ROOT) == (0, f"sweeps, version {sweeps.__version__}\n", "")


def test_every_extra_that_is_named_somewhere_exists():
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    files = [*PAGES, *(path for package in PACKAGES for path in (ROOT / package).glob("*.py"))]
    named = {name for path in files for name in re.findall(r"coarsefine\[([\w,]+)\]", path.read_text("utf-8"))}
    assert named
    assert {each for name in named for each in name.split(",")} <= extras


@pytest.mark.slow
@pytest.mark.parametrize(("version", "what"), [("3.11", "folder"), ("3.12", "wheel"), ("3.13", "wheel")])
def test_a_bare_python_with_the_core_dependencies_runs_a_sweep_and_writes_its_report(tmp_path, wheel, version, what):
    base, uv, bin_folder = interpreter(version), pathlib.Path(sys.executable).with_name("uv"), tmp_path / "venv/bin"
    run(uv, "venv", "--python", base, tmp_path / "venv")
    what = ROOT if what == "folder" else wheel
    run(uv, "pip", "install", "--python", bin_folder / "python", what)
    command = bin_folder / "sweeps"
    assert run(command, "--version", cwd=tmp_path).startswith("sweeps, version ")
    run(bin_folder / "python", "-W", "error::SyntaxWarning", "-c", EVERYTHING, cwd=tmp_path)
    run(command, "init", "demo", cwd=tmp_path)
    run(command, "run", "demo/sweep.toml", cwd=tmp_path)
    assert "val_acc" in run(command, "best", "runs/sweep", "-k", 1, cwd=tmp_path)
    assert pathlib.Path(tmp_path, run(command, "report", "runs/sweep", cwd=tmp_path).strip()).is_file()


@pytest.fixture
def place(tmp_path):
    """A folder with packages of the user's own that are called like ours, and a sweep."""
    for package in ("analysis", "workers"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "workers" / "pool.py").write_text("SIZE = 3\n")
    (tmp_path / "train.py").write_text("def train(lr):\n    return {'val_acc': lr}\n")
    (tmp_path / "sweep.toml").write_text(
        'train = "train.py:train"\nmetric = "val_acc"\nmode = "max"\nspace = { lr = { log = [1e-3, 1.0] } }\n'
        'stage = [{ name = "coarse", trials = 6, epochs = 1 }]\n'
    )
    return tmp_path


def test_a_sweep_runs_beside_packages_of_the_users_that_are_called_like_ours(place):
    code, _, said = finished("run", "sweep.toml", cwd=place)
    assert code == 0, said
    assert "6 completed" in said


@pytest.mark.parametrize("written", ["from workers.pool import SIZE", "from workers import pool"])
def test_a_trainer_that_needs_such_a_package_is_told_in_one_line_which_to_rename(place, written):
    (place / "train.py").write_text(f"{written}\n\n\ndef train(lr):\n    return {{'val_acc': lr}}\n")
    code, _, said = finished("run", "sweep.toml", cwd=place)
    assert code == 2
    last = said.splitlines()[-1]
    assert last == "sweeps: coarsefine has a package 'workers' of its own, which hides yours: rename your 'workers'"
    assert not (place / "runs").exists()


def test_a_script_beside_such_a_package_is_told_what_is_in_the_way(place):
    (place / "script.py").write_text("import sweeps\n\nsweeps.run\n")
    done = subprocess.run([sys.executable, "script.py"], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ImportError: a folder or file of yours called 'workers' hides" in done.stderr.splitlines()[-1]


def test_a_script_beside_an_analysis_of_the_users_runs(place):
    shutil.rmtree(place / "workers")
    (place / "script.py").write_text(
        "import sweeps\nfrom train import train\n\n"
        "sweeps.run(train, space={'lr': {'log': [1e-3, 1.0]}}, stages=[{'name': 'coarse', 'trials': 6, 'epochs': 1}],"
        " metric='val_acc', mode='max')\n"
    )
    run(sys.executable, "script.py", cwd=place)
    assert (place / "runs" / "train" / "trials").is_dir()
