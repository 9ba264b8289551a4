"""Trainers for the contract of the backends: each does what the values of its batch tell it."""

import atexit
import ctypes
import os
import pathlib
import random
import subprocess
import sys
import time

import numpy as np
import threadpoolctl

HELD = "HELD_BY_THE_TRAINER"  #: environment variable: the file that a process of a trainer keeps open


def act(deed, *, epochs):
    """Uses its budget; after the first epoch it does the deed."""
    yield {"loss": 1.0}
    if deed == "raise":
        stumble()
    elif deed == "return":
        return
    elif deed in ("nan", "blow up"):
        yield {"loss": float("nan") if deed == "nan" else 3.5}
    elif deed == "report a text":
        yield "a text"
    elif deed == "exit":
        sys.exit("enough of this")
    elif deed == "die":
        os._exit(7)
    elif deed == "segfault":
        ctypes.string_at(0)
    elif deed == "go on for ever":
        while True:
            time.sleep(0.01)
            yield {"loss": 1.0}
    while deed == "hang":  # in C with the interpreter locked, where no Python signal handler runs
        ctypes.PyDLL(None).sleep(600)  # a signal ends one sleep, not the hang
    for _ in range(1, epochs):
        yield {"loss": 1.0}


def stumble():
    raise ValueError("too much\nfor me")


def sleepy(seconds, *, epochs):
    for _ in range(epochs):
        time.sleep(seconds)
        yield 1.0


def tidies_up(file):
    """When its process ends, it writes a file, for which that takes its time: a logger on a busy machine."""
    atexit.register(pathlib.Path(file).touch)
    atexit.register(time.sleep, 1.2)  # this one first
    yield 1.0


def ends_as_it_is_killed(waits, *, epochs):
    """One that waits reports once the driver has lost patience: it asked for the Python stack, on the real stderr."""
    while waits and not os.fstat(2).st_size:
        time.sleep(0.01)
    yield 1.0
    time.sleep(0.6)
    yield 1.0


def what_it_got(x, y=-1, *, seed, epochs):
    return {"x": x, "y": y, "seed": seed, "epochs": epochs}


def draws(x):
    return {"python": random.random(), "numpy": np.random.random()}


def talks(word):
    print(f"{word} from stdout")
    print(f"{word} from stderr", file=sys.stderr)
    return 1.0


def threads(x):
    return {name: int(os.environ[name]) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


def pools(x):
    return {"threads": max(pool["num_threads"] for pool in threadpoolctl.threadpool_info())}


def returns_data(x, *, data):
    return data


def leaves_a_process(x):
    """In its last epoch it dies; what it started goes on."""
    with holds() as held:
        subprocess.Popen(["sleep", "600"], stdout=held)
    yield 1.0
    os._exit(7)


def holds():
    held = open(os.environ[HELD], "w", buffering=1)  # noqa: SIM115
    held.write("held\n")
    return held


def raises():
    raise FileNotFoundError("no images here")


def leaves():
    sys.exit("no images here")


def dies():
    os._exit(9)
