"""The ray backend beside Ray Tune, in one run on one machine: no-op trials, sleeping trials, time to the first trial.

    .venv/bin/python benchmarks/cluster.py noop [TRIALS]     5 reports a trial, stored in Parquet
    .venv/bin/python benchmarks/cluster.py sleep [TRIALS]    trials of one second on 16 slots
    .venv/bin/python benchmarks/cluster.py many              5,000 trials of 50 reports on 200 slots: the driver's load

Each contender has a process and a Ray of its own. Rates and overheads are from the start of the first trial to the end
of the last, so that starting Ray, which takes seconds for either, is told apart.
"""

import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

REPORTS = 5
SLOTS = 16
HERE = pathlib.Path(__file__).resolve()


def noop(lr, *, epochs):
    """A trial that does nothing but report."""
    for epoch in range(1, epochs + 1):
        yield {"loss": 1.0 / epoch, "val_acc": lr * epoch}


def sleeper(lr, *, epochs):
    """A trial of one second."""
    time.sleep(1.0)
    return {"loss": 1.0, "val_acc": lr}


def sleeper_50(lr, *, epochs):
    """A trial of ten seconds that reports 50 times."""
    for _ in range(50):
        time.sleep(0.2)
        yield {"loss": 1.0, "val_acc": lr}


def ours(trainer: str, trials: int, epochs: int, slots: int | None) -> dict[str, float]:
    """Seconds to the first trial and from there to the last, the driver's CPU seconds and memory."""
    began = time.time()
    from sweeps.launch import launch, reference
    from sweeps.progress import open_view
    from sweeps.settings import settings_from

    settings = settings_from(
        {
            "train": f"{HERE}:{trainer}",
            "metric": "val_acc",
            "mode": "max",
            "space": {"lr": {"log": [1e-6, 1e-3]}},
            "stage": [{"name": "only", "trials": trials, "epochs": epochs}],
            "run": {} if slots is None else {"slots": slots},
        },
        HERE.parent,
    )
    with tempfile.TemporaryDirectory() as place, open("/dev/null", "w") as quiet:
        folder = pathlib.Path(place) / "x"
        launch(settings, reference(settings.train, settings.folder), None, folder, "ray", open_view(quiet))
        used = resource.getrusage(resource.RUSAGE_SELF)  # the driver's, before the results are read back
        import pandas as pd

        attempts = pd.read_parquet(folder / "attempts")
    ended = attempts.started + pd.to_timedelta(attempts.seconds, unit="s")
    return {
        "first": attempts.started.min().timestamp() - began,
        "rest": (ended.max() - attempts.started.min()).total_seconds(),
        "cpu": used.ru_utime + used.ru_stime,
        "mib": used.ru_maxrss / 1024,
    }


def tune(trainer: str, trials: int, reuse: bool, slots: int) -> dict[str, float]:
    """The same of Ray Tune."""
    began = time.time()
    os.environ |= {"RAY_AIR_NEW_OUTPUT": "0", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}
    import ray
    from ray import tune

    ray.init(num_cpus=slots, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        stamps = pathlib.Path(folder) / "stamps"
        stamps.mkdir()

        def trainable(config):
            started = time.time()
            if trainer == "sleeper":
                time.sleep(1.0)
                tune.report({"val_acc": config["lr"]})
            else:
                for epoch in range(1, REPORTS + 1):
                    tune.report({"loss": 1.0 / epoch, "val_acc": config["lr"] * epoch})
            (stamps / tune.get_context().get_trial_id()).write_text(f"{started} {time.time()}")

        tune.Tuner(
            tune.with_resources(trainable, {"cpu": 1}),
            param_space={"lr": tune.loguniform(1e-6, 1e-3)},
            tune_config=tune.TuneConfig(num_samples=trials, reuse_actors=reuse, metric="val_acc", mode="max"),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        ).fit()
        times = [tuple(map(float, path.read_text().split())) for path in stamps.iterdir()]
    first = min(start for start, _ in times)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "first": first - began,
        "rest": max(end for _, end in times) - first,
        "cpu": used.ru_utime + used.ru_stime,
        "mib": used.ru_maxrss / 1024,
    }


def measured(*words: str) -> dict[str, float]:
    """What a contender in a process of its own measures."""
    done = subprocess.run([sys.executable, str(HERE), "--one", *words], stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print a table."""
    if sys.argv[1:2] == ["--one"]:
        who, trainer, trials, *rest = sys.argv[2:]
        if who == "ours":
            slots = None if rest[1] == "auto" else int(rest[1])
            found = ours(trainer, int(trials), int(rest[0]), slots)
        else:
            found = tune(trainer, int(trials), who == "tune-reuse", int(rest[1]))
        print(json.dumps(found))
        return
    what = sys.argv[1] if len(sys.argv) > 1 else "noop"
    trials = int(sys.argv[2]) if len(sys.argv) > 2 else None
    if what == "noop":
        rows = [("coarsefine, ray backend", ("ours", "noop", str(trials or 300_000), "5", "auto"))]
        rows += [
            ("Ray Tune", ("tune", "noop", "60", "5", "2")),
            ("  reuse_actors", ("tune-reuse", "noop", "300", "5", "2")),
        ]
    elif what == "sleep":
        rows = [("coarsefine, ray backend", ("ours", "sleeper", str(trials or 1000), "1", str(SLOTS)))]
        rows += [("Ray Tune", ("tune", "sleeper", "160", "1", str(SLOTS)))]
        rows += [("  reuse_actors", ("tune-reuse", "sleeper", "160", "1", str(SLOTS)))]
    else:
        rows = [("coarsefine, ray backend", ("ours", "sleeper_50", str(trials or 5000), "50", "200"))]
    print(
        f"{'':<26}{'trials':>9}{'first trial':>13}{'then':>10}{'trials/s':>11}{'over ideal':>12}"
        f"{'driver CPU':>12}{'MiB':>7}"
    )
    for name, words in rows:
        found, count = measured(*words), int(words[2])
        seconds = {"noop": 0.0, "sleeper": 1.0, "sleeper_50": 10.0}[words[1]]
        ideal = count * seconds / int(words[4]) if seconds else 0.0
        over = f"{found['rest'] / ideal:.3f}" if ideal else "-"
        print(
            f"{name:<26}{count:>9,}{found['first']:>11.1f} s{found['rest']:>8.1f} s{count / found['rest']:>11,.1f}"
            f"{over:>12}{found['cpu'] / (found['first'] + found['rest']):>12.0%}{found['mib']:>7,.0f}"
        )


if __name__ == "__main__":
    main()
