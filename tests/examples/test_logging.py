"""Each logger of the docs with the real library, offline: names, groups and ids come from the context."""

import pathlib

import pandas as pd
import pytest
from conftest import run_sweep, sweep
from test_docs import BLOCK
from wandb_files import logged

PAGE = pathlib.Path(__file__).parent.parent.parent / "docs" / "logging.md"
NAMES = {f"demo-coarse-{trial}" for trial in range(2)}


@pytest.fixture
def ids(tmp_path, monkeypatch):
    """Runs the page's trainer for a logger; gives the id that each trial must have, by its name."""
    monkeypatch.chdir(tmp_path)

    def running(logger):
        for _, name, text in BLOCK.findall(PAGE.read_text()):
            if name == f"{logger}_train.py":
                (tmp_path / name).write_text(text)
        written = sweep(space={"lr": {"log": [1e-4, 1.0]}}, stages=[{"name": "coarse", "trials": 2, "epochs": 3}])
        written |= {"train": f"{tmp_path / f'{logger}_train.py'}:train", "metric": "loss", "mode": "min"}
        ended, said = run_sweep(written, tmp_path / "runs" / "demo", backend="local", slots=1)
        assert ended.code == 0, said
        trials = pd.read_parquet(tmp_path / "runs" / "demo" / "trials")
        return {f"demo-coarse-{row.trial}": f"demo-coarse-{row.trial}-{row.seed:08x}" for row in trials.itertuples()}

    return running


@pytest.mark.slow
def test_wandb_gets_a_run_a_trial_with_name_group_and_id(ids, tmp_path, monkeypatch):
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.setenv("WANDB_MODE", "offline")
    expected = ids("wandb")
    found = {}
    for path in tmp_path.glob("wandb/offline-run-*/*.wandb"):
        records = [Record.FromString(data) for data in logged(path)]
        run = next(record.run for record in records if record.WhichOneof("record_type") == "run")
        steps = [record.history.step.num for record in records if record.WhichOneof("record_type") == "history"]
        (code,) = [record.exit.exit_code for record in records if record.WhichOneof("record_type") == "exit"]
        found[run.display_name] = (run.run_id, run.run_group, run.project, steps, code)
    assert found == {name: (expected[name], "demo", "demo", [1, 2, 3], 0) for name in NAMES}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # MLflow's own
def test_mlflow_gets_a_run_a_trial_in_the_sweeps_experiment(ids, tmp_path, monkeypatch):
    import mlflow

    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    expected = ids("mlflow")
    client = mlflow.MlflowClient(address)
    experiment = client.get_experiment_by_name("demo")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.run_name: run.data.tags["id"] for run in runs} == expected
    assert all(run.info.status == "FINISHED" for run in runs)
    assert [m.step for m in client.get_metric_history(runs[0].info.run_id, "loss")] == [1, 2, 3]


@pytest.mark.slow
def test_tensorboard_gets_a_folder_a_trial(ids, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    ids("tensorboard")
    folders = {path.name: path for path in (tmp_path / "tensorboard" / "demo").iterdir()}
    assert folders.keys() == NAMES
    for path in folders.values():
        events = EventAccumulator(str(path)).Reload()
        assert [event.step for event in events.Scalars("loss")] == [1, 2, 3]
