"""Trainers that leave checkpoints; each is a function of its config, its seed and its state alone.

Each appends a line to the file that SIDE_LOG names, if there is one, for every epoch that it really trains.
"""

import json
import os
import sys
import time

import numpy as np


def told(lr, epoch):
    """Note on the side that an epoch was trained."""
    if "SIDE_LOG" in os.environ:
        with open(os.environ["SIDE_LOG"], "a") as file:
            file.write(f"{lr!r} {epoch}\n")


def read(checkpoint):
    """The state that was left: (epochs, weight)."""
    path = checkpoint / "state.json"
    return json.loads(path.read_text()) if path.exists() else (0, 1.0)


def write(checkpoint, epoch, weight):
    (checkpoint / "state.json").write_text(json.dumps([epoch, weight]))


def epoch_of(lr, seed, epoch, weight):
    """An epoch of training: the new weight, and what is reported of it."""
    weight *= 1 - lr * np.random.default_rng([seed, epoch]).uniform(0.5, 1.5)
    return weight, {"loss": weight, "val_acc": 1 - weight + 0.01 * epoch}


def plain(lr, *, epochs, seed):
    """The same training without checkpoints."""
    weight = 1.0
    for epoch in range(1, epochs + 1):
        weight, report = epoch_of(lr, seed, epoch, weight)
        told(lr, epoch)
        yield report


def saving(lr, *, epochs, seed, checkpoint):
    start, weight = read(checkpoint)
    for epoch in range(start + 1, epochs + 1):
        time.sleep(float(os.environ.get("PAUSE_S", "0")))
        weight, report = epoch_of(lr, seed, epoch, weight)
        told(lr, epoch)
        write(checkpoint, epoch, weight)
        yield report


def saving_now_and_then(lr, *, epochs, seed, checkpoint):
    """Writes every third epoch."""
    start, weight = read(checkpoint)
    for epoch in range(start + 1, epochs + 1):
        weight, report = epoch_of(lr, seed, epoch, weight)
        told(lr, epoch)
        if epoch % 3 == 0:
            write(checkpoint, epoch, weight)
        yield report


def ending_early(lr, *, epochs, seed, checkpoint=None):
    """Comes to its own end after 4 epochs when its rate is high."""
    yield from _ending_early(lr, epochs, seed, checkpoint)


def ending_early_plain(lr, *, epochs, seed):
    yield from _ending_early(lr, epochs, seed, None)


def _ending_early(lr, epochs, seed, checkpoint):
    start, weight = (0, 1.0) if checkpoint is None else read(checkpoint)
    for epoch in range(start + 1, epochs + 1):
        if lr > 0.02 and epoch > 4:
            return
        weight, report = epoch_of(lr, seed, epoch, weight)
        if checkpoint is not None:
            write(checkpoint, epoch, weight)
        yield report


def _going_wrong(lr, epochs, seed, checkpoint, wrong):
    start, weight = read(checkpoint)
    for epoch in range(start + 1, epochs + 1):
        weight, report = epoch_of(lr, seed, epoch, weight)
        if lr > 0.02 and epoch > 4:
            report = wrong(report)
        write(checkpoint, epoch, weight)
        yield report


def failing_late(lr, *, epochs, seed, checkpoint):
    def wrong(report):
        raise ValueError("too much for me")

    yield from _going_wrong(lr, epochs, seed, checkpoint, wrong)


def diverging_late(lr, *, epochs, seed, checkpoint):
    yield from _going_wrong(lr, epochs, seed, checkpoint, lambda report: {**report, "loss": float("nan")})


def hanging_late(lr, *, epochs, seed, checkpoint):
    for report in _going_wrong(lr, epochs, seed, checkpoint, lambda report: time.sleep(600)):
        time.sleep(0.3 if lr > 0.02 else 0.0)  # so that what it has reported is sent
        yield report


def dying_late(lr, *, epochs, seed, checkpoint):
    yield from _going_wrong(lr, epochs, seed, checkpoint, lambda report: os._exit(7))


def dying_once(lr, *, epochs, seed, checkpoint):
    """Its process dies at epoch 2 and at epoch 5, the first time that each is trained."""
    start, weight = read(checkpoint)
    for epoch in range(start + 1, epochs + 1):
        weight, report = epoch_of(lr, seed, epoch, weight)
        if epoch in (2, 5) and not seen(lr, epoch):
            told(lr, epoch)
            os._exit(7)
        told(lr, epoch)
        write(checkpoint, epoch, weight)
        yield report


def seen(lr, epoch):
    """Whether an epoch was trained before."""
    if not os.path.exists(os.environ["SIDE_LOG"]):
        return False
    with open(os.environ["SIDE_LOG"]) as file:
        return f"{lr!r} {epoch}\n" in file


def odd_numbers(lr, *, epochs, seed, checkpoint):
    """Reports what JSON and comparisons find hard, and dies once in the middle."""
    start, _ = read(checkpoint)
    negative = np.copysign(np.nan, -1.0)
    for epoch in range(start + 1, epochs + 1):
        if epoch == 3 and "SIDE_LOG" in os.environ and not seen(lr, epoch):
            told(lr, epoch)
            os._exit(7)
        write(checkpoint, epoch, 0.0)
        yield {"val_acc": lr * epoch, "minus": negative, "none": None, "big": np.inf, "tiny": 5e-324, "é": 0.1 + 0.2}


def searched(lr, reg, *, epochs, seed, checkpoint):
    """For searches: some diverge, some fail."""
    start, weight = read(checkpoint)
    for epoch in range(start + 1, epochs + 1):
        time.sleep(float(os.environ.get("PAUSE_S", "0")))
        weight, report = epoch_of(lr, seed, epoch, weight)
        if lr > 0.5:
            report["loss"] = float("nan")
        if seed % 3 == 0 and epoch > 1:
            raise ValueError("too much for me")
        told((lr, reg), epoch)
        write(checkpoint, epoch, weight)
        yield {**report, "val_acc": report["val_acc"] - (np.log10(reg) + 3) ** 2 * 0.05}


def searched_plain(lr, reg, *, epochs, seed):
    """The same without checkpoints."""
    weight = 1.0
    for epoch in range(1, epochs + 1):
        weight, report = epoch_of(lr, seed, epoch, weight)
        if lr > 0.5:
            report["loss"] = float("nan")
        if seed % 3 == 0 and epoch > 1:
            raise ValueError("too much for me")
        yield {**report, "val_acc": report["val_acc"] - (np.log10(reg) + 3) ** 2 * 0.05}


def knowing(lr, *, epochs, seed, context):
    """Prints what it was told of its trial."""
    print(repr(context), context.name, context.group, context.id, file=sys.stdout)
    for epoch in range(1, epochs + 1):
        yield {"loss": 1.0, "val_acc": lr * epoch}


def equal(lr, *, epochs, seed):
    """All trials are as good."""
    for epoch in range(1, epochs + 1):
        yield {"loss": 1.0, "val_acc": 0.1 * epoch}


def mixed(lr, mixed, n, flag, *, epochs, seed, checkpoint):
    """Its best epoch is its first, or its last."""
    start, _ = read(checkpoint)
    for epoch in range(start + 1, epochs + 1):
        write(checkpoint, epoch, 0.0)
        yield {"val_acc": lr * epoch if flag else lr / epoch, "kind": float(isinstance(mixed, str))}


def counting(lr, *, epochs, seed, checkpoint):
    """Reports how many trials have a checkpoint."""
    start, weight = read(checkpoint)
    for epoch in range(start + 1, epochs + 1):
        weight, report = epoch_of(lr, seed, epoch, weight)
        write(checkpoint, epoch, weight)
        yield {**report, "there": sum(1 for _ in checkpoint.parents[1].iterdir())}


def searched_dying(lr, reg, *, epochs, seed, checkpoint):
    """`searched`, whose process dies at some epochs, the first time that each is trained."""
    start, _ = read(checkpoint)
    for epoch, report in enumerate(searched(lr, reg, epochs=epochs, seed=seed, checkpoint=checkpoint), start + 1):
        if (seed + epoch) % 5 == 0 and not seen("died", f"{seed} {epoch}"):
            told("died", f"{seed} {epoch}")
            os._exit(7)
        yield report
