"""On a cluster a checkpoint travels with its trial: what is lost with a worker is what came after the last one."""

import collections
import os
import pathlib
import signal
import threading

import pandas as pd
import pytest
from conftest import contents, run_sweep, sweep

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]
SAVING = pathlib.Path(__file__).parents[1] / "trainers_saving.py"
STAGES = [{"name": "coarse", "trials": 6, "epochs": 3}, {"name": "fine", "trials": 3, "epochs": 6, "continue": 2}]


@pytest.fixture
def project(tmp_path):
    """A folder with trainers that tell on the side what they train, wherever they run."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    side = f'import os\nos.environ["SIDE_LOG"] = {str(tmp_path / "side")!r}\n'
    (folder / "saving.py").write_text(f"{side}{SAVING.read_text()}")
    return folder


def run(project, folder, trainer, *, stages=STAGES, **how):
    written = sweep(space={"lr": {"log": [1e-3, 1e-1]}}, stages=stages, run={"retries": 2})
    ended, _ = run_sweep(written | {"train": f"saving.py:{trainer}"}, folder, base=project, **how)
    assert ended.code == 0
    return contents(folder)


def trained(tmp_path):
    """How often each epoch of each config was trained, since the last time."""
    lines = [line.split() for line in (tmp_path / "side").read_text().splitlines()]
    (tmp_path / "side").unlink()
    return collections.Counter((lr, int(epoch)) for lr, epoch in lines)


def test_trials_go_on_from_their_checkpoints_on_any_node(project, tmp_path, ray_cluster):
    local = run(project, tmp_path / "local", "saving")
    trained(tmp_path)
    node = ray_cluster.add_node(num_cpus=2)
    found = run(project, tmp_path / "ray", "saving", backend="ray", address=ray_cluster.address, slots=4)
    ray_cluster.remove_node(node)
    assert found == local
    assert set(trained(tmp_path).values()) == {1}
    assert len(list((tmp_path / "ray/checkpoints").iterdir())) == 1


def test_a_process_that_dies_on_a_node_costs_no_epoch_that_was_committed(project, tmp_path, ray_cluster):
    local = run(project, tmp_path / "local", "saving")
    trained(tmp_path)
    found = run(project, tmp_path / "ray", "dying_once", backend="ray", address=ray_cluster.address, slots=2)
    assert found == local
    times = trained(tmp_path)
    assert max(times.values()) == 2
    assert {epoch for (_, epoch), count in times.items() if count == 2} == {2, 5}


def test_an_actor_that_is_killed_costs_no_epoch_that_has_travelled(project, tmp_path, ray_cluster):
    stages = [{"name": "long", "trials": 2, "epochs": 12}]
    local = run(project, tmp_path / "local", "saving", stages=stages)
    trained(tmp_path)
    folder, killed = tmp_path / "ray", []

    def kill():
        while not (arrived := [int(path.name) for path in folder.glob("checkpoints/*/0*")]):
            threading.Event().wait(0.05)
        killed.append(max(arrived))
        os.kill(int((tmp_path / "side.pid").read_text()), signal.SIGKILL)

    (project / "slow.py").write_text(
        f"import os, pathlib, time\nimport saving\n\n"
        f"def train(lr, *, epochs, seed, checkpoint):\n"
        f"    pathlib.Path({str(tmp_path / 'side.pid')!r}).write_text(str(os.getppid()))\n"
        f"    for report in saving.saving(lr, epochs=epochs, seed=seed, checkpoint=checkpoint):\n"
        f"        time.sleep(1.5)\n"
        f"        yield report\n"
    )
    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    written = sweep(space={"lr": {"log": [1e-3, 1e-1]}}, stages=stages, run={"retries": 2}) | {"train": "slow.py:train"}
    run_sweep(written, folder, base=project, backend="ray", address=ray_cluster.address, slots=1)
    killer.join(timeout=10)
    found = contents(folder)
    assert found == local
    assert (pd.read_parquet(folder / "attempts").outcome == "lost").any()
    again = [epoch for (_, epoch), count in trained(tmp_path).items() if count > 1]
    assert killed[0] > 2
    assert min(again, default=99) > killed[0]
