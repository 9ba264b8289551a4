"""Trainers that do one thing each: learn, diverge, crash, hang, print."""

import ctypes
import os
import sys
import time

import numpy as np


def bowl(lr, reg=0.0, *, epochs, seed):
    """The closer log10(lr) is to -3, the better; deterministic, with a little noise from its seed."""
    noise = np.random.default_rng(seed).normal(0, 0.01)
    for epoch in range(1, epochs + 1):
        score = 1.0 - 0.1 * (np.log10(lr) + 3) ** 2 - 0.01 * reg + noise - 0.3 / epoch
        yield {"loss": 2.0 - score, "val_acc": score}


def diverging(lr, *, epochs):
    for epoch in range(1, epochs + 1):
        yield {"loss": 1.0 if lr < 1e-3 else float("nan") if epoch == 2 else 1.0, "val_acc": 0.5}


def hopeless(lr, *, epochs):
    yield {"loss": float("nan"), "val_acc": float("nan")}


def failing(lr, *, epochs):
    yield {"loss": 1.0, "val_acc": 0.1}
    if lr > 1e-3:
        raise ValueError(f"lr {lr} is too much for me")
    yield {"loss": 0.9, "val_acc": 0.2}


def late_metric(lr, *, epochs):
    for epoch in range(1, epochs + 1):
        yield {"loss": 1.0, "val_acc": lr} | ({"late": 1.0} if lr > 1e-3 and epoch == 2 else {})


def dying(lr, *, epochs, seed):
    yield {"loss": 1.0, "val_acc": lr}
    if lr > 3e-3:
        os._exit(7)
    yield {"loss": 1.0, "val_acc": lr}


def hanging_in_c(lr, *, epochs):
    """Sleeps in C with the interpreter locked: no Python signal handler and no thread runs."""
    yield {"loss": 1.0, "val_acc": lr}
    while lr > 3e-3:  # a signal ends one sleep, not the hang
        ctypes.PyDLL(None).sleep(600)
    yield {"loss": 1.0, "val_acc": lr}


def slow(lr, *, epochs):
    for _ in range(epochs):
        time.sleep(0.05)
        yield {"loss": 1.0, "val_acc": lr}


def printing(lr, *, epochs):
    print(f"hello from {lr:.3g}")
    print("and from stderr", file=sys.stderr)
    return {"loss": 1.0, "val_acc": lr}


def bare_number(lr):
    return lr


def takes_config(config, *, epochs, seed):
    return {"loss": 1.0, "val_acc": config["lr"]}


def silent(lr):
    return iter(())


def odd(lr):
    yield "a text"


def conditional(lr, update, beta=0.123, *, epochs):
    return {"loss": 1.0, "val_acc": lr, "beta_seen": beta}


def load_number():
    return 42.0


def with_data(lr, *, data):
    return {"loss": 1.0, "val_acc": data}


def global_random(lr, *, epochs):
    """Draws from the global generators without seeding them."""
    import random

    return {"loss": random.random(), "val_acc": float(np.random.random())}


def writing(lr, *, epochs):
    with open("notes.txt", "w") as file:
        file.write("kept nowhere")
    return {"loss": 1.0, "val_acc": lr}
