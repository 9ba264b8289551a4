"""The ray backend in a sweep: the same bytes, whatever happens to nodes and drivers."""

import pathlib
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest
import ray
from conftest import contents, run_sweep, sweep

from sweeps.errors import BackendFailed
from workers import actors

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]
BIN = pathlib.Path(sys.executable).parent
EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
STAGES = [{"name": "one", "trials": 24, "epochs": 8}]


def until(condition, limit_s=60):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        threading.Event().wait(0.05)


def test_the_bytes_are_those_of_any_other_backend(tmp_path, ray_cluster):
    written = sweep("diverging")
    run_sweep(written, tmp_path / "inline")
    ended, _ = run_sweep(written, tmp_path / "ray", backend="ray", address=ray_cluster.address)
    assert ended.code == 0
    assert contents(tmp_path / "ray") == contents(tmp_path / "inline")


def test_a_ray_of_its_own_is_started_where_no_address_is_given(tmp_path):
    # In a process of its own: one that has been in two clusters cannot go back to the first (Ray 2.60).
    command = [BIN / "sweeps", "run", EXAMPLES / "digits.toml", "--set", "stage.fine.trials=4", "--out"]
    for backend in ("inline", "ray"):
        words = [*map(str, [*command, tmp_path / backend, "--backend", backend])]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
    assert contents(tmp_path / "ray" / "digits") == contents(tmp_path / "inline" / "digits")


def test_a_node_that_goes_costs_attempts_and_no_byte(tmp_path, ray_cluster):
    written = sweep("slow", stages=[{**STAGES[0], "trials": 80}])
    run_sweep(written, tmp_path / "local", backend="local", slots=8)
    node = ray_cluster.add_node(num_cpus=2)
    folder = tmp_path / "ray"

    def slots_in_use():
        return {slot for path in (folder / "attempts").glob("*.part-*") for slot in pd.read_parquet(path).slot}

    def remove():
        until(lambda: len(slots_in_use()) == 4)  # two of them are on that node
        ray_cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=remove)
    killer.start()
    run_sweep(written, folder, backend="ray", address=ray_cluster.address, slots=4)
    killer.join()
    assert contents(folder) == contents(tmp_path / "local")
    attempts = pd.read_parquet(folder / "attempts")
    lost = attempts[attempts.outcome == "lost"]
    assert len(lost)
    assert lost.error.str.contains("lost|died|cannot be reached").all()


def test_worker_deaths_and_hangs_are_blamed_on_their_trials(tmp_path, ray_cluster):
    stages = [{"name": "one", "trials": 40, "epochs": 3}]
    run_sweep(sweep("dying", stages=stages), tmp_path / "dying", backend="ray", address=ray_cluster.address)
    table = pd.read_parquet(tmp_path / "dying" / "trials")
    assert (table[table.status == "lost"].lr > 3e-3).all()
    assert (table[table.lr <= 3e-3].status == "completed").all()
    assert table[table.status == "lost"].reason.str.contains("exited with code 7").all()
    hung = sweep("hanging_in_c", stages=[{"name": "one", "trials": 12, "epochs": 3}], stop={"timeout": "1s"})
    run_sweep({**hung, "run": {"retries": 0}}, tmp_path / "hung", backend="ray", address=ray_cluster.address)
    table = pd.read_parquet(tmp_path / "hung" / "trials")
    assert (table[table.status == "timeout"].lr > 3e-3).all()
    assert (table[table.lr <= 3e-3].status == "completed").all()


def test_a_killed_driver_leaves_nothing_running_and_its_command_goes_on(tmp_path, ray_cluster):
    written = sweep("slow", stages=STAGES)
    run_sweep(written, tmp_path / "local", backend="local")
    (tmp_path / "sweep.toml").write_text((tmp_path / "local" / "sweep.toml").read_text())
    (tmp_path / "pyproject.toml").touch()
    trainer = pathlib.Path(written["train"].rpartition(":")[0])
    (tmp_path / "trainers.py").write_text(trainer.read_text())
    text = (tmp_path / "sweep.toml").read_text().replace(str(trainer), "trainers.py")
    (tmp_path / "sweep.toml").write_text(text)
    command = [BIN / "sweeps", "run", tmp_path / "sweep.toml", "--address", ray_cluster.address, "--out", tmp_path]
    command += ["--name", "ray"]
    driver = subprocess.Popen([*map(str, command)], stderr=subprocess.DEVNULL, cwd=tmp_path)
    until(lambda: list((tmp_path / "ray").glob("trials/*.part-*")))
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    ray.init(address=ray_cluster.address, log_to_driver=False, logging_level="ERROR")
    until(lambda: ray.available_resources().get("CPU") == ray.cluster_resources().get("CPU"))
    ray.shutdown()
    again = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert again.returncode == 0, again.stderr
    names = ("trials", "reports")
    assert contents(tmp_path / "ray", names) == contents(tmp_path / "local", names)


def test_idle_slots_are_let_go_and_come_back(tmp_path, ray_cluster, monkeypatch):
    monkeypatch.setattr(actors, "IDLE_S", 0.0)
    stages = [{"name": name, "trials": 6, "epochs": 2} for name in ("one", "two")]
    ended, _ = run_sweep(sweep(stages=stages), tmp_path / "ray", backend="ray", address=ray_cluster.address)
    assert ended.code == 0
    assert len(pd.read_parquet(tmp_path / "ray" / "trials")) == 12


def test_files_written_beside_the_trainer_do_not_vanish_silently(tmp_path, ray_cluster):
    stages = [{"name": "one", "trials": 2, "epochs": 1}]
    _, said = run_sweep(sweep("writing", stages=stages), tmp_path / "x", backend="ray", address=ray_cluster.address)
    assert "wrote notes.txt to its working folder" in said


def test_a_cluster_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(BackendFailed, match=r"cannot use the Ray cluster '127.0.0.1:1'.*is it up\?") as caught:
        run_sweep(sweep(), tmp_path / "x", backend="ray", address="127.0.0.1:1")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4
