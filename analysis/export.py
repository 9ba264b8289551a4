"""A run in the formats of other tools: every trial with its config, its metrics by epoch, its end, its times.

The tools are imported when they are asked for; `pip install "coarsefine[export]"` brings them all.
"""

from __future__ import annotations

import datetime
import json
import math
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from analysis.frames import Frames, load
from analysis.stories import stories
from sweeps.errors import UsageError
from sweeps.space import Choice, Parameter, Range
from workers.messages import FAILURES, Status

_BATCH = 1000  # metrics in one call of MLflow
_PLAIN = (bool, int, float, str)


def export(run: str | pathlib.Path, to: str, out: str | pathlib.Path) -> str:
    """Where a run now is in another tool's format, as that tool's own command wants to hear it.

    Args:
        run: Its folder.
        to: One of `FORMATS`.
        out: A folder; for optuna a file, for mlflow also the address of a tracking server.

    Raises:
        UsageError: There is no such run or format, the tool is not installed, or the run is there already.
    """
    if to not in FORMATS:
        raise UsageError(f"unknown format {to!r}: {', '.join(FORMATS)}")
    frames = load(run)
    try:
        return FORMATS[to](frames, str(out))
    except ImportError as error:
        raise UsageError(f'{to} is not installed ({error}): pip install "coarsefine[export]"') from error
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror or error}") from error


def _csv(frames: Frames, out: str) -> str:
    """The four tables, one file each; numbers in all their digits."""
    folder = _new(pathlib.Path(out))
    for name in ("trials", "reports", "stages", "attempts"):
        getattr(frames, name).to_csv(folder / f"{name}.csv", index=False)
    return str(folder)


def _tensorboard(frames: Frames, out: str) -> str:
    """One folder of events a trial: its curves, and its config for the HParams tab."""
    from tensorboardX import SummaryWriter  # type: ignore[import-untyped]
    from tensorboardX.summary import hparams  # type: ignore[import-untyped]

    folder = _new(pathlib.Path(out) / _run_name(frames))
    metric = frames.objective.metric
    for story in stories(frames):
        with SummaryWriter(str(folder / story.name)) as writer:
            for summary in hparams({name: _scalar(value) for name, value in story.config.items()}, {metric: None}):
                writer.file_writer.add_summary(summary, walltime=story.began)
            for epoch, metrics in story.reports:
                for name, value in metrics.items():
                    writer.add_scalar(name, value, epoch, walltime=story.when(epoch))
    return f"tensorboard --logdir {out}"


def _mlflow(frames: Frames, out: str) -> str:
    """One experiment of one MLflow run a trial."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException

    folder = None if "://" in out else pathlib.Path(out).resolve()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    address = out if folder is None else f"sqlite:///{folder / 'mlflow.db'}"
    client, name = MlflowClient(tracking_uri=address), _run_name(frames)
    place = None if folder is None else (folder / "artifacts").as_uri()
    try:
        experiment = client.create_experiment(name, artifact_location=place)
    except MlflowException as error:
        raise UsageError(f"MLflow at {out} does not take a new experiment {name!r}: {error}") from error
    for story in stories(frames):
        begun = client.create_run(experiment, start_time=_milliseconds(story.began), run_name=story.name).info.run_id
        params = [Param(name, str(_scalar(value))) for name, value in story.config.items()]
        tags = [RunTag(key, str(value)) for key, value in story.marks.items()]
        metrics = [
            Metric(re.sub(r"[^\w\-. :/]", "_", key), value, _milliseconds(story.when(epoch)), epoch)
            for epoch, report in story.reports
            for key, value in report.items()
        ]
        client.log_batch(begun, params=params, tags=tags)
        for start in range(0, len(metrics), _BATCH):
            client.log_batch(begun, metrics=metrics[start : start + _BATCH])
        ended = "FAILED" if story.status in FAILURES else "FINISHED"
        client.set_terminated(begun, ended, _milliseconds(story.began + story.seconds))
    return f"mlflow ui --backend-store-uri {address}"


def _wandb(frames: Frames, out: str) -> str:
    """One offline W&B run a trial, grouped by stage, for `wandb sync`."""
    import wandb

    if wandb.setup().most_recent_active_run is not None:  # `init` would return it, and the trials be logged there
        raise UsageError("a W&B run is active in this process: finish it, or export with `sweeps export`")
    folder, project = pathlib.Path(out), _run_name(frames)
    folder.mkdir(parents=True, exist_ok=True)
    quiet = wandb.Settings(silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True)
    for story in stories(frames):
        opened = wandb.init(
            mode="offline",
            dir=str(folder),
            project=project,
            group=story.stage,
            name=story.name,
            id=f"{project}-{story.name}",  # synced twice it is still one run
            config={**story.config, "seed": story.seed},
            settings=quiet,
        )
        for epoch, metrics in story.reports:
            opened.log({**metrics, "epoch": epoch}, step=epoch)
        opened.summary.update({**story.marks, f"best_{frames.objective.metric}": story.value})
        opened.finish(exit_code=int(story.status in FAILURES))
    wandb.teardown()  # waits for W&B's process, which writes a run's file after `finish` has returned
    return f"wandb sync {folder}/wandb/offline-run-*"


def _optuna(frames: Frames, out: str) -> str:
    """One study in a journal file. What has a finite objective is complete, so that the best is the best there too."""
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial, TrialState

    path = pathlib.Path(out)
    if path.exists():
        raise UsageError(f"{path} is there already: name another file")
    path.parent.mkdir(parents=True, exist_ok=True)
    direction = StudyDirection.MAXIMIZE if frames.objective.mode == "max" else StudyDirection.MINIMIZE
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        storage = JournalStorage(JournalFileBackend(str(path)))
        study = optuna.create_study(storage=storage, study_name=_run_name(frames), direction=direction)
    finally:
        optuna.logging.set_verbosity(verbosity)
    metric, space = frames.objective.metric, frames.settings.space
    # One distribution a parameter, whatever its stage: Optuna compares only trials that share theirs.
    known = {name: _distribution(p, frames.trials[name]) for name, p in space.parameters.items()}
    without = {word: TrialState.FAIL for word in (*FAILURES, Status.COMPLETED.word)} | {
        Status.STOPPED.word: TrialState.PRUNED
    }
    for story in stories(frames):
        params = {name: _scalar(value) for name, value in story.config.items()}
        study.add_trial(
            FrozenTrial(
                number=-1,
                trial_id=-1,
                state=without[story.status] if story.value is None else TrialState.COMPLETE,
                value=story.value,
                datetime_start=datetime.datetime.fromtimestamp(story.began),
                datetime_complete=datetime.datetime.fromtimestamp(story.began + story.seconds),
                params=params,
                distributions={name: known[name] for name in params},
                user_attrs=story.marks,
                system_attrs={},
                intermediate_values={
                    epoch: report[metric]
                    for epoch, report in story.reports
                    if math.isfinite(report.get(metric, math.nan))
                },
            )
        )
    return f"optuna-dashboard {path}"


def _distribution(parameter: Parameter, values: pd.Series[Any]) -> Any:
    """A parameter as Optuna knows them, wide enough for all that was tried of it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(parameter, Range):
        choices = parameter.values if isinstance(parameter, Choice) else (parameter.value,)
        return CategoricalDistribution(tuple(_scalar(value) for value in choices))
    tried = values.dropna()
    low, high = min([parameter.low, *tried]), max([parameter.high, *tried])
    if parameter.integer:
        return IntDistribution(int(low), int(high), log=parameter.log)
    return FloatDistribution(float(low), float(high), log=parameter.log)


def _run_name(frames: Frames) -> str:
    """The name of the run."""
    return next(iter(frames.sweeps))


def _new(folder: pathlib.Path) -> pathlib.Path:
    """A folder with nothing in it.

    Raises:
        UsageError: There is something in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty: name another place")
    return folder


def _scalar(value: Any) -> bool | int | float | str:
    """A value as every tool takes it: lists and tables as JSON."""
    return value if isinstance(value, _PLAIN) else json.dumps(value, sort_keys=True)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


FORMATS: Mapping[str, Callable[[Frames, str], str]] = {
    "csv": _csv,
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
    "wandb": _wandb,
    "optuna": _optuna,
}
