"""Exports, opened by the tools that they are for."""

import math
import pathlib
import subprocess
import sys

import pandas as pd
import pytest
from commands import finished
from conftest import run_sweep, sweep
from trainers_export import SPACE
from wandb_files import logged

import analysis
from analysis import command
from analysis.export import FORMATS, export
from analysis.stories import stories
from sweeps.errors import UsageError

TRAINERS = pathlib.Path(__file__).parent.parent / "trainers_export.py"
STAGES = [{"name": "coarse", "trials": 12, "epochs": 2}, {"name": "fine", "trials": 6, "epochs": 3}]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two stages with every kind of parameter; some of its trials diverge, some raise."""
    folder = tmp_path_factory.mktemp("runs") / "mine"
    run_sweep(sweep(stages=STAGES, space=SPACE) | {"train": f"{TRAINERS}:mixed"}, folder)
    return folder


@pytest.fixture(scope="module")
def frames(run):
    loaded = analysis.load(run)
    assert set(loaded.trials["status"]) == {"completed", "stopped", "failed"}
    return loaded


@pytest.fixture(scope="module")
def told(frames):
    return {story.name: story for story in stories(frames)}


def test_a_story_has_the_config_as_the_trainer_got_it_and_the_curve_as_it_was_reported(frames, told):
    assert len(told) == len(frames.trials)
    for story in told.values():
        rows = frames.reports[(frames.reports.stage == story.stage) & (frames.reports.trial == story.trial)]
        assert [epoch for epoch, _ in story.reports] == rows["epoch"].tolist()
        assert [report.get("loss", math.nan) for _, report in story.reports] == pytest.approx(
            rows["loss"].tolist(), nan_ok=True
        )
        assert story.config["sizes"] in ([1, 2], [3])
        assert ("beta" in story.config) == (story.config["update"] == "momentum")
        assert story.began <= story.when(1) <= story.began + story.seconds


def test_csv_gives_back_the_tables_to_the_last_digit(run, frames, tmp_path):
    export(run, "csv", tmp_path / "csv")
    for name in ("trials", "reports"):
        read = pd.read_csv(tmp_path / "csv" / f"{name}.csv")
        expected = getattr(frames, name)
        assert list(read.columns) == list(expected.columns)
        for column in expected.select_dtypes("number"):
            pd.testing.assert_series_equal(read[column], expected[column], check_dtype=False, rtol=0, atol=0)


def test_tensorboard_reads_every_curve_and_config(run, told, tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    plugin_data = pytest.importorskip("tensorboard.plugins.hparams.plugin_data_pb2")
    assert export(run, "tensorboard", tmp_path / "tb") == f"tensorboard --logdir {tmp_path / 'tb'}"
    assert {path.name for path in (tmp_path / "tb" / "mine").iterdir()} == set(told)
    for name, story in told.items():
        read = event_accumulator.EventAccumulator(str(tmp_path / "tb" / "mine" / name)).Reload()
        found = [(event.step, event.value) for event in read.Scalars("loss")]
        expected = [(epoch, report["loss"]) for epoch, report in story.reports if "loss" in report]
        assert found == [(epoch, pytest.approx(value)) for epoch, value in expected]
        content = read.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        hparams = plugin_data.HParamsPluginData.FromString(content).session_start_info.hparams
        assert hparams["lr"].number_value == story.config["lr"]
        assert set(hparams) == set(story.config)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_mlflow_finds_the_best_run_and_its_curve(run, frames, told, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    opened = export(run, "mlflow", tmp_path / "ml")
    client = mlflow.MlflowClient(tracking_uri=opened.split()[-1])
    experiment = client.get_experiment_by_name("mine")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    assert {found.info.run_name for found in runs} == set(told)
    best = frames.best(1).iloc[0]
    found = next(found for found in runs if found.info.run_name == f"{best.stage}-{best.trial}")
    assert float(found.data.params["lr"]) == best["lr"]
    curve = client.get_metric_history(found.info.run_id, "val_acc")
    story = told[found.info.run_name]
    assert [(point.step, point.value) for point in curve] == [(e, r["val_acc"]) for e, r in story.reports]
    assert {f.info.status for f in runs if f.data.tags["status"] == "failed"} == {"FAILED"}
    with pytest.raises(UsageError, match="does not take a new experiment"):
        export(run, "mlflow", tmp_path / "ml")


@pytest.mark.slow
def test_wandb_takes_every_offline_run_with_its_curve(run, told, tmp_path):
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    assert export(run, "wandb", tmp_path / "wb") == f"wandb sync {tmp_path / 'wb'}/wandb/offline-run-*"
    found = {}
    for path in (tmp_path / "wb").glob("wandb/offline-run-*/*.wandb"):
        records = [Record.FromString(data) for data in logged(path)]
        name = next(record.run.display_name for record in records if record.WhichOneof("record_type") == "run")
        items = [item for record in records for item in record.history.item]
        found[name] = [float(item.value_json) for item in items if "loss" in (item.key, *item.nested_key)]
    assert found == {
        name: [report["loss"] for _, report in story.reports if "loss" in report] for name, story in told.items()
    }
    wandb = pathlib.Path(sys.executable).with_name("wandb")
    folders = sorted(map(str, (tmp_path / "wb").glob("wandb/offline-run-*")))
    dry = subprocess.run(
        [wandb, "sync", "--dry-run", *folders], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert all(f"run-mine-{name}.wandb" in dry.stdout + dry.stderr for name in told)


@pytest.mark.slow
def test_wandb_leaves_a_run_that_is_active_alone(run, tmp_path):
    wandb = pytest.importorskip("wandb")
    settings = wandb.Settings(silent=True, console="off", disable_git=True, x_disable_stats=True)
    with wandb.init(mode="offline", dir=str(tmp_path), settings=settings) as active:
        with pytest.raises(UsageError, match="a W&B run is active"):
            export(run, "wandb", tmp_path / "wb")
        active.log({"loss": 1.0})
    wandb.teardown()
    assert not (tmp_path / "wb").exists()
    (path,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert b"loss" in path.read_bytes()


@pytest.fixture(scope="module")
def study(run, tmp_path_factory):
    optuna = pytest.importorskip("optuna")
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    path = tmp_path_factory.mktemp("optuna") / "study.log"
    export(run, "optuna", path)
    return optuna.load_study(study_name="mine", storage=JournalStorage(JournalFileBackend(str(path))))


def test_optuna_has_the_same_best_trial(frames, study):
    best = frames.best(1).iloc[0]
    assert study.best_value == best["val_acc"]
    assert (study.best_trial.user_attrs["stage"], study.best_trial.user_attrs["trial"]) == (best.stage, best.trial)
    assert study.best_params["lr"] == best["lr"]


def test_optuna_has_every_trial_with_its_curve_and_its_end(frames, told, study):
    assert len(study.trials) == len(frames.trials)
    for trial in study.trials:
        story = told[f"{trial.user_attrs['stage']}-{trial.user_attrs['trial']}"]
        assert trial.params.keys() == story.config.keys()
        assert trial.intermediate_values == {e: r["val_acc"] for e, r in story.reports if "val_acc" in r}
        assert trial.state.name == (
            "COMPLETE" if story.value is not None else {"stopped": "PRUNED"}.get(story.status, "FAIL")
        )


def test_optuna_can_draw_the_study_and_rank_its_parameters(study):
    pytest.importorskip("plotly")
    from optuna import importance, visualization

    for plot in ("plot_optimization_history", "plot_intermediate_values", "plot_slice", "plot_timeline"):
        assert getattr(visualization, plot)(study).data
    ranked = importance.get_param_importances(study, evaluator=importance.PedAnovaImportanceEvaluator())
    assert {"lr", "units"} <= ranked.keys()


@pytest.mark.parametrize("to", ["csv", "tensorboard", "optuna"])
def test_a_run_in_which_nothing_has_ended_yet_is_exported_as_it_is(to, folder, tmp_path):
    pytest.importorskip({"csv": "pandas", "tensorboard": "tensorboardX"}.get(to, to))
    run_sweep(sweep(run={"budget": 1e-9}), folder)
    assert export(folder, to, tmp_path / "out")


@pytest.mark.parametrize("to", ["csv", "tensorboard", "optuna"])
def test_nothing_is_written_over(run, to, tmp_path):
    pytest.importorskip({"csv": "pandas", "tensorboard": "tensorboardX"}.get(to, to))
    export(run, to, tmp_path / "out")
    with pytest.raises(UsageError, match="name another"):
        export(run, to, tmp_path / "out")


@pytest.mark.parametrize(("to", "module"), [("tensorboard", "tensorboardX"), ("wandb", "wandb"), ("optuna", "optuna")])
def test_a_tool_that_is_not_there_is_one_line(run, to, module, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=r"pip install .coarsefine\[export\]"):
        export(run, to, tmp_path / "out")


def test_the_command_says_how_the_tool_opens_it(run, tmp_path):
    code, out, err = finished("export", run, "--to", "csv", "--out", "tables", cwd=tmp_path)
    assert (code, out, err) == (0, "tables\n", "")
    assert len(pd.read_csv(tmp_path / "tables" / "trials.csv")) == 18
    code, out, err = finished("export", run, "--to", "csv", "--out", "tables", cwd=tmp_path)
    assert (code, out, err) == (2, "", "sweeps: tables is not empty: name another place\n")


def test_every_format_is_a_choice_of_the_command():
    options = {option.name: option for option in command.export.params}
    assert list(options["to"].type.choices) == list(FORMATS)


def test_an_unknown_format_names_those_there_are(run, tmp_path):
    with pytest.raises(UsageError, match=", ".join(FORMATS)):
        export(run, "excel", tmp_path / "out")
