"""One sweep as each of several tools runs it, to be killed and resumed; `crash.py` does the killing.

    python benchmarks/contenders.py WHO FOLDER     runs the sweep, or goes on with what lies in FOLDER

Each resumes as its documentation says. Trainers write what they do into a log of their own, `FOLDER/side.log`; a trial
is known by its learning rate, which no two trials share. At the end a line of JSON: what the tool's own table holds,
(learning rate, epochs reported) of each result, and how many trials it takes to be running still.
"""

import json
import os
import pathlib
import sys
import time

TRIALS, EPOCHS, PAUSE_S, SLOTS = 40, 5, 0.1, 2
HERE = pathlib.Path(__file__).resolve()

Table = tuple[list[tuple[float, list[int]]], int]


def note(word: str, lr: float) -> None:
    """Write a line into the trainers' own log, in one step."""
    log = os.open(os.environ["SIDE_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, f"{word} {lr!r}\n".encode())
    os.close(log)


def train(lr, *, epochs):
    """A trial: it notes its beginning, sleeps and reports, and notes its end with its last report."""
    note("begin", lr)
    for epoch in range(1, epochs + 1):
        time.sleep(PAUSE_S)
        if epoch == epochs:
            note("end", lr)
        yield {"loss": 1.0 / epoch, "val_acc": lr * epoch}


def coarsefine(folder: pathlib.Path, backend: str) -> Table:
    """Ours: the same call again."""
    from sweeps.launch import launch, reference
    from sweeps.progress import open_view
    from sweeps.settings import settings_from

    written = {
        "train": f"{HERE}:train",
        "metric": "val_acc",
        "mode": "max",
        "space": {"lr": {"log": [1e-6, 1e-3]}},
        "stage": [{"name": "only", "trials": TRIALS, "epochs": EPOCHS}],
        "run": {"slots": SLOTS},
    }
    settings = settings_from(written, HERE.parent)
    with open(os.devnull, "w") as quiet:
        launch(settings, reference(settings.train, settings.folder), None, folder / "x", backend, open_view(quiet))
    import pandas as pd

    reports = pd.read_parquet(folder / "x" / "reports").groupby("trial").epoch.apply(list)
    trials = pd.read_parquet(folder / "x" / "trials")
    return [(row.lr, reports[row.trial]) for row in trials.itertuples() if row.status == "completed"], 0


def tune(folder: pathlib.Path) -> Table:
    """Ray Tune: `Tuner.restore`, where there is something to restore."""
    import ray
    from ray import tune

    ray.init(address="local", num_cpus=SLOTS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

    def trainable(config):
        for report in train(config["lr"], epochs=EPOCHS):
            tune.report(report)

    path = str(folder / "x")
    if tune.Tuner.can_restore(path):
        tuner = tune.Tuner.restore(path, trainable=trainable, resume_unfinished=True, restart_errored=True)
    else:
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={"lr": tune.loguniform(1e-6, 1e-3)},
            tune_config=tune.TuneConfig(num_samples=TRIALS, metric="val_acc", mode="max"),
            run_config=tune.RunConfig(storage_path=str(folder), name="x", verbose=0),
        )
    found, results = [], tuner.fit()
    for result in results:
        frame = result.metrics_dataframe
        epochs = [] if frame is None or frame.empty else frame.training_iteration.tolist()
        if result.metrics.get("training_iteration") == EPOCHS:
            found.append((result.config["lr"], epochs))
    return found, len(results) - len(found)


def optuna(folder: pathlib.Path, storage: str) -> Table:
    """Optuna: a study that is loaded if it exists, until so many trials are complete."""
    import optuna
    from optuna.storages import JournalStorage, RDBStorage, RetryFailedTrialCallback
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kept = {
        "sqlite": lambda: RDBStorage(f"sqlite:///{folder}/x.db"),
        "heartbeat": lambda: RDBStorage(
            f"sqlite:///{folder}/x.db", heartbeat_interval=3, failed_trial_callback=RetryFailedTrialCallback()
        ),
        "journal": lambda: JournalStorage(JournalFileBackend(f"{folder}/x.log")),
    }[storage]()

    def objective(trial):
        best = 0.0
        for epoch, report in enumerate(train(trial.suggest_float("lr", 1e-6, 1e-3, log=True), epochs=EPOCHS), 1):
            trial.report(report["val_acc"], epoch)
            best = max(best, report["val_acc"])
        return best

    sampler = optuna.samplers.RandomSampler()
    study = optuna.create_study(
        storage=kept, study_name="x", load_if_exists=True, direction="maximize", sampler=sampler
    )
    whole = optuna.study.MaxTrialsCallback(TRIALS, states=(TrialState.COMPLETE,))
    if len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < TRIALS:
        study.optimize(objective, n_jobs=SLOTS, callbacks=[whole])
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    running = len(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
    return [(trial.params["lr"], list(trial.intermediate_values)) for trial in trials], running


CONTENDERS = {
    "coarsefine, local": lambda folder: coarsefine(folder, "local"),
    "coarsefine, Ray": lambda folder: coarsefine(folder, "ray"),
    "Ray Tune, Tuner.restore": tune,
    "Optuna, SQLite": lambda folder: optuna(folder, "sqlite"),
    "  with heartbeat and retry": lambda folder: optuna(folder, "heartbeat"),
    "Optuna, journal file": lambda folder: optuna(folder, "journal"),
}
STATE = {  #: where each keeps what it resumes from
    "coarsefine": "x/trials/*.parquet",
    "Ray": "x/experiment_state-*.json",
    "Optuna, journal": "x.log",
    "": "x.db",
}


if __name__ == "__main__":
    place = pathlib.Path(sys.argv[2])
    os.environ["SIDE_LOG"] = str(place / "side.log")
    print(json.dumps(CONTENDERS[sys.argv[1]](place)))
