"""How long until the accuracy that Ray Tune's ASHA and Optuna's TPE + Hyperband reach on CIFAR-10: all on two cores.

    CIFAR10=FOLDER .venv/bin/python benchmarks/race.py [--minutes 10] [--seed 0]

They run one after the other, each so many minutes, on the same trainer: CS231n's two-layer net, of which learning
rate, regularisation, hidden units, update and decay are searched. Time counts from the start of each process, so with
its imports and with the loading of the data. Every trainer notes (time, validation accuracy) in one log, from which all
that is printed comes. Ours has to know its budget: it times one epoch of the largest net, and lays out as many epochs
as two slots would train of that in the minutes. `hidden` has its limits, which peers cannot leave either: a wider net
takes longer. Peers have their defaults; Ray's ASHA may reuse its actors, and Optuna runs in two processes on one
journal file.
"""

import argparse
import multiprocessing
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported: a trial has one core

import numpy as np

from workers import cifar10, network, reference, updates

SLOTS, EPOCHS = 2, 20
SPACE = {
    "lr": {"log": [1e-6, 1e-2]},
    "reg": {"log": [1e-5, 1e5]},
    "hidden": {"int": [16, 256], "log": True, "limits": [16, 256]},
    "update": ["sgd", "momentum", "nesterov", "rmsprop", "adam"],
    "decay": {"uniform": [0.8, 1.0]},
}
LARGEST = {"lr": 1e-4, "reg": 1.0, "hidden": 256, "update": "momentum", "decay": 0.9}
HERE = pathlib.Path(__file__).resolve()


def load():
    """CIFAR-10."""
    return cifar10.load(os.environ["CIFAR10"])


def train(lr, reg, hidden, update, decay, *, epochs, seed, data, checkpoint=None):
    """`workers.reference` with a checkpoint at its last epoch, noting each epoch in the log of the race."""
    rng = np.random.default_rng(seed)
    net = reference._untrained(hidden, 1, "small", False, rng, data)
    step = updates.create(update, net.parameters.flat)
    state = None if checkpoint is None else pathlib.Path(checkpoint) / "state"
    done = 0
    if state is not None and state.exists():
        done, rng, kept = pickle.loads(state.read_bytes())
        _put(step, kept)
    for epoch in range(done + 1, epochs + 1):
        loss, _ = reference._epoch(net, step, lr * decay ** (epoch - 1), reg, 200, rng, data)
        accuracy = network.accuracy(net, data.x_val, data.y_val)
        if state is not None and epoch == epochs:
            state.write_bytes(pickle.dumps((epoch, rng, _held(step))))
        log = os.open(os.environ["RACE_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, f"{time.time()!r} {accuracy!r}\n".encode())
        os.close(log)
        yield {"loss": loss, "val_acc": accuracy}


def _held(step):
    """What an update remembers, the weights among it: it has no other name than in its closure."""
    return [cell.cell_contents for cell in step.__wrapped__.__closure__]


def _put(step, kept):
    """Make an update remember that; into the same arrays, of which the network's are views."""
    for cell, value in zip(step.__wrapped__.__closure__, kept, strict=True):
        if isinstance(value, np.ndarray):
            cell.cell_contents[...] = value
        else:
            cell.cell_contents = value


def ours(seconds, seed, folder):
    """The staged search, by a budget that it can train in the time."""
    import sweeps

    began = time.monotonic()
    data = load()
    loaded = time.monotonic()
    next(train(**LARGEST, epochs=1, seed=seed, data=data))
    del data
    epoch_s = time.monotonic() - loaded
    trainings = max(SLOTS * (seconds - 2 * (loaded - began)) / epoch_s / EPOCHS, 1.0)
    print(f"ours: an epoch takes {epoch_s:.1f} s, the budget is {trainings:.1f} trainings of {EPOCHS} epochs")
    sweeps.run(
        f"{HERE}:train",
        setup=f"{HERE}:load",
        space=SPACE,
        search={"trainings": trainings, "epochs": EPOCHS},
        metric="val_acc",
        mode="max",
        seed=seed,
        slots=SLOTS,
        budget=seconds,
        backend="local",
        out=folder,
    )


def asha(seconds, seed, folder):
    """Ray Tune: random search with its ASHA scheduler."""
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler

    ray.init(address="local", num_cpus=SLOTS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

    def trainable(config, data):
        for report in train(**config, epochs=EPOCHS, seed=seed, data=data):
            tune.report(report)

    space = {
        "lr": tune.loguniform(*SPACE["lr"]["log"]),
        "reg": tune.loguniform(*SPACE["reg"]["log"]),
        "hidden": tune.lograndint(SPACE["hidden"]["int"][0], SPACE["hidden"]["int"][1] + 1),
        "update": tune.choice(SPACE["update"]),
        "decay": tune.uniform(*SPACE["decay"]["uniform"]),
    }
    np.random.seed(seed)  # Tune's variants are drawn from it
    tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, data=load()), {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="val_acc",
            mode="max",
            scheduler=ASHAScheduler(max_t=EPOCHS),
            num_samples=-1,
            time_budget_s=seconds,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(storage_path=folder, name="asha", verbose=0),
    ).fit()


def optuna(seconds, seed, folder):
    """Optuna: TPE with its Hyperband pruner, in as many processes as there are slots."""
    spawn = multiprocessing.get_context("spawn")
    began = time.time()
    workers = [spawn.Process(target=_optuna, args=(began + seconds, seed + i, folder)) for i in range(SLOTS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _optuna(end, seed, folder):
    """One of Optuna's processes."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    data = load()

    def objective(trial):
        config = {
            "lr": trial.suggest_float("lr", *SPACE["lr"]["log"], log=True),
            "reg": trial.suggest_float("reg", *SPACE["reg"]["log"], log=True),
            "hidden": trial.suggest_int("hidden", *SPACE["hidden"]["int"], log=True),
            "update": trial.suggest_categorical("update", SPACE["update"]),
            "decay": trial.suggest_float("decay", *SPACE["decay"]["uniform"]),
        }
        best = 0.0
        for epoch, report in enumerate(train(**config, epochs=EPOCHS, seed=trial.number, data=data), 1):
            best = max(best, report["val_acc"])
            trial.report(report["val_acc"], epoch)
            if trial.should_prune() or time.time() > end:
                raise optuna.TrialPruned
        return best

    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(f"{folder}/study.log")),
        study_name="race",
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=EPOCHS, reduction_factor=3),
    )
    study.optimize(objective, timeout=end - time.time())


RACERS = {"Ray Tune's ASHA": asha, "Optuna's TPE + Hyperband": optuna, "ours": ours}


def raced(who, seconds, seed):
    """(n, 2) seconds since a racer was started, and the best accuracy by then, at each of its epochs."""
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder, "log")
        began = time.time()
        command = [sys.executable, HERE, "--minutes", str(seconds / 60), "--seed", str(seed), "--who", who, folder]
        subprocess.run(
            command, check=True, stdout=sys.stderr, env={**os.environ, "RACE_LOG": str(log), "PYTHONWARNINGS": "ignore"}
        )
        noted = np.array([line.split() for line in log.read_text().splitlines()], float)
    noted[:, 0] -= began
    noted = noted[noted[:, 0] <= seconds]
    return np.column_stack([noted[:, 0], np.maximum.accumulate(noted[:, 1])])


def main() -> None:
    """Race, and print who was where when."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--who", nargs=2, metavar=("RACER", "FOLDER"), help="only run this one, in a folder")
    asked = parser.parse_args()
    seconds = 60 * asked.minutes
    if asked.who:
        RACERS[asked.who[0]](seconds, asked.seed, asked.who[1])
        return
    found = {who: raced(who, seconds, asked.seed) for who in RACERS}
    marks = [seconds * part for part in (0.125, 0.25, 0.5, 1.0)]
    print(f"{'best val_acc after':<26}" + "".join(f"{mark:>9.0f} s" for mark in marks) + f"{'epochs':>10}")
    for who, curve in found.items():
        best = [curve[curve[:, 0] <= mark, 1].max(initial=0.0) for mark in marks]
        print(f"{who:<26}" + "".join(f"{value:>11.3f}" for value in best) + f"{len(curve):>10}")
    curve = found.pop("ours")
    for who, theirs in found.items():
        best = theirs[:, 1].max(initial=0.0)
        there = curve[curve[:, 1] >= best, 0]
        when = f"{there[0]:.0f} s, {there[0] / seconds:.0%} of the time" if len(there) else "not reached"
        print(f"ours at the {best:.3f} of {who}: {when}")


if __name__ == "__main__":
    main()
