"""A node that its provider takes back: its trials run elsewhere, and nobody is to blame."""

import subprocess
import sys
import threading
import time

import pandas as pd
import pytest
from conftest import contents, run_sweep, sweep

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.xdist_group("ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]
STAGES = [{"name": "one", "trials": 16, "epochs": 60}]  # three seconds each
NOTICE_S = 1


def until(condition, limit_s=60):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        threading.Event().wait(0.05)


def preempt(cluster, node):
    """What a provider does: it gives notice, and pulls the plug when the time is up."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "drain-node", "--address", cluster.address]
    command += ["--node-id", node.node_id, "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot"]
    subprocess.run([*command, "--deadline-remaining-seconds", str(NOTICE_S)], check=True, capture_output=True)
    threading.Event().wait(NOTICE_S + 0.5)
    cluster.remove_node(node, allow_graceful=False)


def test_a_preempted_node_costs_an_attempt_and_no_retry(tmp_path, ray_cluster):
    written = sweep("slow", stages=STAGES, run={"retries": 0})  # one blame, and the trial would be given up
    run_sweep(written, tmp_path / "local", backend="local", slots=8)
    node = ray_cluster.add_node(num_cpus=2)
    folder = tmp_path / "ray"

    def take_back():
        until(lambda: list((folder / "trials").glob("*.part-*")))
        preempt(ray_cluster, node)

    provider = threading.Thread(target=take_back)
    provider.start()
    ended, _ = run_sweep(written, folder, backend="ray", address=ray_cluster.address, slots=4)
    provider.join()
    assert ended.code == 0
    assert contents(folder) == contents(tmp_path / "local")
    attempts = pd.read_parquet(folder / "attempts").sort_values(["trial", "attempt"])
    lost = attempts[attempts.outcome == "lost"]
    assert len(lost)
    assert lost.error.str.contains("was preempted").all()
    assert (attempts.groupby("trial").outcome.last() == "completed").all()
