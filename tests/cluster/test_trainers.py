"""What trainers of other kinds find on a node: a script beside its sweep file, and the GPUs that Ray has chosen."""

import pathlib

import pandas as pd
import pytest
from conftest import contents, run_sweep, sweep

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]
TESTS = pathlib.Path(__file__).parent.parent
STAGES = [{"name": "one", "trials": 8, "epochs": 3}]


def test_a_script_travels_with_its_project(tmp_path, ray_cluster):
    written = sweep(stages=STAGES) | {"train": "trainers_script.py --lr {lr} --epochs {epochs} --seed {seed}"}
    run_sweep(written, tmp_path / "local", backend="local")
    ended, said = run_sweep(written, tmp_path / "ray", backend="ray", address=ray_cluster.address)
    assert ended.code == 0, said
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


def test_a_trial_sees_the_share_that_ray_gave_it(tmp_path, ray_cluster):
    node = ray_cluster.add_node(num_cpus=4, num_gpus=2)  # Ray counts what it is told, and asks no driver
    written = sweep(stages=STAGES, run={"gpus": 0.5}) | {"train": f"{TESTS / 'trainers_gpus.py'}:seeing"}
    ended, said = run_sweep(written, tmp_path / "ray", backend="ray", address=ray_cluster.address, slots=4)
    ray_cluster.remove_node(node)
    assert ended.code == 0, said
    trials = pd.read_parquet(tmp_path / "ray" / "trials")
    assert set(trials.device) <= {0.0, 1.0}
    assert (trials.devices == 1).all()
    assert (trials.memory == 0.45).all()
