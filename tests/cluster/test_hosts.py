"""The walk of cluster.yaml's first lines, from a laptop to three machines and back, and machines that go meanwhile."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass

import pandas as pd
import pytest
from cluster.hosts import HOME, ROOT, Machine, machines, missing, until
from conftest import contents

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("ray"),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]
PROJECT = HOME / "a copy"
RESULTS = HOME / "sweep-results"
WALK = (ROOT / "cluster.yaml").read_text().splitlines()
TRAIN = """
import os
import time

import helper


def load():
    return [0.01 * each for each in range(100)]


def train(lr, *, epochs, seed, data):
    for epoch in range(1, epochs + 1):
        time.sleep(float(os.environ.get("PAUSE_S", "0.25")))
        score = helper.score(lr, epoch) + data[seed % 100]
        yield {"loss": 2.0 - score, "val_acc": score}
"""
HELPER = """
import math


def score(lr, epoch):
    return 1.0 - 0.1 * (math.log10(lr) + 3) ** 2 - 0.3 / epoch
"""
SWEEP = """
train  = "train.py:train"
setup  = "train.py:load"
metric = "val_acc"
mode   = "max"
space  = { lr = { log = [1e-6, 1e-1] } }
stage  = [{ name = "coarse", trials = 40, epochs = 5 }, { name = "fine", trials = 6, epochs = 10 }]
"""


@dataclass
class Cluster:
    """A laptop and the machines that it made a cluster."""

    laptop: Machine
    head: Machine
    workers: list[Machine]

    def walk(self, verb):
        """What a command of cluster.yaml's first lines says on the laptop."""
        (command,) = (line[1:] for line in WALK if line.startswith(f"#   ray {verb} "))
        return self.laptop.run("bash", "-c", command, cwd=PROJECT)

    def submit(self, sweep, name, on):
        """A sweep that is under way: a machine has run a trial of it, and there are more to come."""
        words = ("submit", "cluster.yaml", "sweeps/head.py", "--", "run", sweep, "--name", name)
        submitted, said = self.laptop.begin("ray", *words, cwd=PROJECT)

        def under_way():
            assert submitted.poll() is None, said.read_text()
            parts = [*self.head.path(RESULTS / name / "attempts").glob("*.part-*.parquet")]
            hosts = {host for part in parts for host in pd.read_parquet(part).host}
            return on.name in hosts

        until(under_way, within_s=120)
        assert not self.settled()
        return submitted

    def fetched(self, name):
        """The folder of a run, on the laptop."""
        self.walk("rsync-down")
        return self.laptop.path(PROJECT / "runs" / name)

    def local(self, sweep):
        """The folder of the same sweep, run on the laptop."""
        words = ("sweeps.cli", "run", sweep, "--out", HOME / "local")
        self.laptop.run("python", "-m", *words, cwd=PROJECT, PAUSE_S="0")
        return self.laptop.path(HOME / "local" / pathlib.Path(sweep).stem)

    def settled(self):
        """Whether no trial runs any more, on any machine."""
        return not any(machine.runs("workers.child") for machine in (self.head, *self.workers))


def for_these_machines(text):
    """cluster.yaml with the addresses and the user of a test, and without installing what is there."""
    theirs = ("192.0.2.10", "192.0.2.11", "192.0.2.12", "ssh_user: ubuntu", "  - ~/.coarsefine/bin/pip install")
    ours = ("10.77.0.2", "10.77.0.3", "10.77.0.4", "ssh_user: root", "  - true")
    for old, new in zip(theirs, ours, strict=True):
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def tracked():
    """The files of the project, those that are new among them."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Three machines that are a cluster, and the laptop that made them one."""
    with machines(tmp_path_factory.mktemp("hosts"), "laptop", "head", "worker1", "worker2") as made:
        laptop, head, *workers = made
        for name in tracked():
            place = laptop.path(PROJECT / name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place)
        yaml = laptop.path(PROJECT / "cluster.yaml")
        yaml.write_text(for_these_machines(yaml.read_text()))
        cluster = Cluster(laptop, head, workers)
        cluster.walk("get-auth-token")
        cluster.walk("up")
        until(lambda: all(worker.runs("/raylet ") for worker in workers), within_s=120)
        yield cluster


@pytest.fixture(scope="module")
def own(cluster):
    """The sweep of a trainer of the user's own, written after the cluster was made; and what it gives on the laptop."""
    folder = cluster.laptop.path(PROJECT / "mine")
    folder.mkdir()
    for name, text in {"train.py": TRAIN, "helper.py": HELPER, "sweep.toml": SWEEP}.items():
        (folder / name).write_text(text)
    cluster.walk("rsync-up")  # to the head; from there it is a run that takes it along
    assert not any(worker.path(HOME / "project" / "mine").exists() for worker in cluster.workers)
    return contents(cluster.local("mine/sweep.toml"))


def attempts(folder):
    return pd.read_parquet(folder / "attempts")


def test_no_machine_has_the_project_installed(cluster):
    look = "from importlib.util import find_spec; print(find_spec('ray') is not None, find_spec('sweeps'))"
    for machine in (cluster.laptop, cluster.head, *cluster.workers):
        assert machine.run("python", "-c", look) == "True None\n"


def test_the_walk_gives_the_bytes_of_a_local_run(cluster):
    assert "ray rsync-down cluster.yaml '~/sweep-results/' runs/" in cluster.walk("submit")
    fetched = cluster.fetched("digits")
    assert contents(fetched) == contents(cluster.local("examples/digits.toml"))
    # Never on the head; and of two that start, one may have done all these short trials before the other is up.
    assert set(attempts(fetched).host) <= {"worker1", "worker2"}


def test_a_machine_that_dies_costs_what_ran_on_it(cluster, own):
    worker = cluster.workers[1]
    submitted = cluster.submit("mine/sweep.toml", "killed", worker)
    worker.power_off()
    worker.start()
    assert submitted.wait(timeout=120) == 0
    fetched = cluster.fetched("killed")
    assert contents(fetched) == own
    tried = attempts(fetched)
    assert set(tried[tried.outcome == "lost"].host) == {worker.name}
    until(cluster.settled)


def test_a_machine_that_is_cut_off_costs_what_ran_on_it_and_one_that_is_back_takes_over(cluster, own):
    worker = cluster.workers[0]
    submitted = cluster.submit("mine/sweep.toml", "cut", worker)
    worker.cut_off()
    ended = submitted.wait(timeout=240)
    worker.reconnect()
    assert ended == 0
    fetched = cluster.fetched("cut")
    assert contents(fetched) == own
    tried = attempts(fetched)
    assert set(tried[tried.outcome == "lost"].host) == {worker.name}
    assert set(tried.host) == {"worker1", "worker2"}
    until(cluster.settled)


def test_a_submitted_job_gives_the_same_bytes(cluster, own):
    cluster.laptop.begin("ray", "dashboard", "cluster.yaml", cwd=PROJECT)
    until(lambda: cluster.laptop.serves(8265))
    command = (
        "ray job submit --working-dir . -- python -m sweeps.cli run mine/sweep.toml --name job --address auto --out"
    )
    tunnel = {"RAY_AUTH_MODE": "token", "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:8265"}
    cluster.laptop.run(*command.split(), RESULTS, cwd=PROJECT, **tunnel)
    assert contents(cluster.fetched("job")) == own


def test_ray_down_ends_the_cluster(cluster):
    assert cluster.head.runs("gcs_server")
    cluster.walk("down")
    until(lambda: not cluster.head.runs("ray"))  # the workers' nodes end a minute later


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_machines_end_with_the_test_however_it_ends(tmp_path, how):
    def outside():
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
        return links, pathlib.Path("/proc/self/mountinfo").read_text()

    before = outside()
    code = """if True:
        import pathlib, sys, time
        from cluster.hosts import machines
        with machines(pathlib.Path(sys.argv[1]), "one", "two") as made:
            print(*(machine.pid for machine in made), made[0].world, flush=True)
            time.sleep(60)
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    command = [sys.executable, "-c", code, tmp_path]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as test:
        firsts = test.stdout.readline().split()
        assert len(firsts) == 3
        test.send_signal(how)
    until(lambda: not any(pathlib.Path(f"/proc/{int(first)}").exists() for first in firsts))
    assert outside() == before
