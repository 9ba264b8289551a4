"""cluster.yaml and the examples: valid by Ray's own rules, and safe."""

import json
import pathlib
import shlex
import shutil
import subprocess

import pytest
import yaml

from sweeps.cli import cli

ROOT = pathlib.Path(__file__).parents[2]
OWN, *CLOUDS = FILES = [ROOT / "cluster.yaml", *sorted((ROOT / "examples").glob("cluster-*.yaml"))]
JOB = yaml.safe_load((ROOT / "examples" / "rayjob.yaml").read_text())
each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
each_cloud = pytest.mark.parametrize("file", CLOUDS, ids=lambda file: file.stem)


def read(file):
    return yaml.safe_load(file.read_text())


def starts(config, kind):
    """The one command that starts Ray."""
    (command,) = [command for command in config[f"{kind}_start_ray_commands"] if "ray start" in command]
    return command


@each_file
def test_it_is_valid_as_it_is_written_and_as_ray_completes_it(file):
    import jsonschema
    import ray.autoscaler
    from ray.autoscaler._private.util import prepare_config, validate_config

    schema = json.loads((pathlib.Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.validate(read(file), schema)
    validate_config(prepare_config(read(file)))


@each_file
def test_nothing_is_known_of_it_that_ray_would_not_read(file):
    """Ray's schema lets unknown keys of a provider and of a node type pass."""
    config = read(file)
    known = {"type", "head_ip", "worker_ips", "region", "availability_zone", "project_id", "cache_stopped_nodes"}
    assert set(config["provider"]) <= known
    for node_type in config.get("available_node_types", {}).values():
        assert set(node_type) <= {"resources", "node_config", "min_workers", "max_workers"}


def test_the_head_has_no_slots_for_trials():
    assert "--num-cpus=0" in starts(read(OWN), "head")
    for file in CLOUDS:
        config = read(file)
        assert config["available_node_types"][config["head_node_type"]]["resources"] == {"CPU": 0}
    assert JOB["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


@each_file
def test_nobody_gets_in_without_the_token(file):
    config = read(file)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert config["setup_commands"][0] == "chmod 600 ~/.ray/auth_token"
    for kind in ("head", "worker"):
        assert " RAY_AUTH_MODE=token " in starts(config, kind)
    assert JOB["spec"]["rayClusterSpec"]["authOptions"] == {"mode": "token"}


@each_file
def test_the_dashboard_stays_on_localhost(file):
    assert "--dashboard-host=127.0.0.1" in starts(read(file), "head").split()
    assert JOB["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]["dashboard-host"] == "127.0.0.1"


def test_machines_of_ones_own_are_started_by_the_autoscaler_that_starts_all_of_them():
    # Ray 2.60's second one takes the head of a local provider for lost, and starts no second worker.
    assert " RAY_enable_autoscaler_v2=0 " in starts(read(OWN), "head")


@each_cloud
def test_a_cloud_is_like_ones_own_machines_but_for_the_cloud(file):
    own, cloud = read(OWN), read(file)
    for key in ("cluster_name", "file_mounts", "rsync_exclude", "rsync_filter", "worker_start_ray_commands"):
        assert cloud[key] == own[key]
    assert [line for line in own["setup_commands"] if line not in cloud["setup_commands"]] == []
    plain = starts(own, "head").replace("RAY_enable_autoscaler_v2=0 ", "").replace("--num-cpus=0 ", "")
    assert starts(cloud, "head") == plain


@each_cloud
def test_a_cloud_is_empty_while_there_is_no_work_and_its_workers_are_spot_machines(file):
    config = read(file)
    worker = config["available_node_types"]["worker"]
    assert worker["min_workers"] == 0 < worker["max_workers"] <= config["max_workers"]
    assert "spot" in json.dumps(worker["node_config"]).lower()
    assert "spot" not in json.dumps(config["available_node_types"]["head"]["node_config"]).lower()


SECRET = [".env", "keys/aws.pem", "ssl.key", ".git/config", "deep/.env", "notes/secret.txt"]
LEFT = [".venv/bin/python", "runs/x/trials/0.parquet", "deep/runs/1", "sweeps/__pycache__/cli.pyc"]


@pytest.mark.skipif(shutil.which("rsync") is None, reason="needs rsync")
@each_file
def test_what_is_secret_and_what_is_no_code_stays(tmp_path, file):
    from ray.autoscaler._private.command_runner import SSHCommandRunner

    here, there = tmp_path / "here", tmp_path / "there"
    wanted = ["train.py", "sweeps/cli.py", "deep/data.csv", ".gitignore"]
    for name in [*wanted, *SECRET, *LEFT]:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).touch()
    (here / ".gitignore").write_text("secret.txt\n")
    options = SSHCommandRunner._create_rsync_filter_args(None, read(file))
    subprocess.run(["rsync", "-a", *options, f"{here}/", there], check=True)
    assert sorted(str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()) == sorted(wanted)


def test_the_job_is_a_rayjob_of_the_locked_ray_whose_parts_fit():
    assert (JOB["apiVersion"], JOB["kind"]) == ("ray.io/v1", "RayJob")
    spec = JOB["spec"]["rayClusterSpec"]
    lock = (ROOT / "requirements.lock").read_text()
    assert f"\nray=={spec['rayVersion']} " in lock.replace("ray[default]", "ray")
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    pods = [group["template"]["spec"] for group in groups]
    containers = [container for pod in pods for container in pod["containers"]]
    assert len({container["image"] for container in containers}) == 1
    for pod in pods:
        volumes = {volume["name"] for volume in pod.get("volumes", ())}
        mounts = {mount["name"] for container in pod["containers"] for mount in container.get("volumeMounts", ())}
        assert mounts == volumes
    assert all(group["minReplicas"] == 0 < group["maxReplicas"] for group in spec["workerGroupSpecs"])


def test_the_job_runs_our_command_and_keeps_its_results():
    program, *words = shlex.split(JOB["spec"]["entrypoint"])
    assert [program, *words[:3]] == ["python", "-m", "sweeps.cli", "run"]
    given = cli.commands["run"].make_context("run", words[3:]).params
    assert (ROOT / given["sweep"]).is_file()
    assert given["address"] == "auto"
    (head,) = JOB["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"]
    assert str(given["out"]) in [mount["mountPath"] for mount in head["volumeMounts"]]
