"""The examples, run as a newcomer runs them."""

import os
import pathlib
import subprocess
import sys

import pandas as pd
import pytest

ROOT = pathlib.Path(__file__).parent.parent
CIFAR10 = ROOT.parent / "shared" / "data" / "make_cifar10.py"
BIN = pathlib.Path(sys.executable).parent


def run(*command, cwd=ROOT, **environment):
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def cifar10_folder(tmp_path_factory):
    """CIFAR-10 in its standard folder."""
    if not CIFAR10.exists():
        pytest.skip(f"needs {CIFAR10}, which writes CIFAR-10")
    folder = tmp_path_factory.mktemp("cifar10")
    run(sys.executable, CIFAR10, folder)
    return folder


@pytest.mark.slow
def test_digits_the_fine_stage_beats_the_coarse_one(tmp_path):
    run(BIN / "sweeps", "run", "examples/digits.toml", "--out", tmp_path)
    trials = pd.read_parquet(tmp_path / "digits" / "trials")
    best = trials.groupby("stage").val_acc.max()
    assert best["fine"] > best["coarse"] > 0.9
    assert list(trials.columns[:10]) == [
        *("stage", "trial", "status", "reason", "epochs", "best_epoch", "seed"),
        *("lr", "reg", "hidden"),
    ]
    assert {"loss", "train_acc", "val_acc", "learning_rate", "update_ratio"} < set(trials.columns)


def test_your_own_trainer_in_ten_lines(tmp_path):
    done = run(sys.executable, ROOT / "examples" / "own.py", cwd=tmp_path)
    assert "loss: " in done.stdout
    assert len(pd.read_parquet(tmp_path / "runs" / "own" / "trials")) == 50


@pytest.mark.slow
@pytest.mark.xdist_group("cifar10")
@pytest.mark.parametrize("example", ["cifar10", "cifar10-long"])
def test_cifar10_runs_from_its_standard_folder(tmp_path, cifar10_folder, example):
    few = [f"stage.{name}.{key}" for name in ("coarse", "fine") for key in ("trials=6", "epochs=1")]
    few += ["stage.long.trials=2", "stage.long.epochs=2"] if example == "cifar10-long" else []
    overrides = [word for each in few for word in ("--set", each)]
    run(BIN / "sweeps", "run", f"examples/{example}.toml", "--out", tmp_path, *overrides, CIFAR10=str(cifar10_folder))
    trials = pd.read_parquet(tmp_path / example / "trials")
    assert trials.val_acc.max() > 0.3
