"""Trainers that do to their process what they should not."""

import os
import subprocess
import sys
import threading
import time

import numpy as np

HOME = os.getcwd()


class Unpicklable(Exception):
    """Cannot travel, and cannot be told."""

    def __init__(self, text):
        super().__init__(text, lambda: None)

    def __reduce__(self):
        raise TypeError("not me")

    def __str__(self):
        raise RuntimeError("nor this")


def hostile(deed, *, epochs):
    """Tells how it found the process, then does the deed."""
    yield {"loss": 1.0, "at_home": float(os.getcwd() == HOME), "draw": np.random.random()}
    if deed == "moves":
        os.chdir("/")
    elif deed == "reseeds":
        np.random.seed(1)
    elif deed == "raises":
        raise Unpicklable("gone")
    elif deed == "prints":
        for _ in range(2000):
            print("x" * 1000)
    elif deed == "floods":
        flood()
    elif deed == "prints for ever":
        while True:
            print("x" * 1000)
    elif deed == "forks":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdout=subprocess.DEVNULL)
    elif deed == "leaves a daemon":
        subprocess.Popen(["sleep", "600"], start_new_session=True)
    elif deed == "leaves a thread":
        threading.Thread(target=time.sleep, args=(600,)).start()
    elif deed == "exits":
        sys.exit(3)
    elif deed == "hangs up":
        os.closerange(3, 64)
    elif deed == "recurses":
        hostile_depth(0)
    yield {"loss": 0.5}


def hostile_depth(depth):
    return hostile_depth(depth + 1)


def flood():
    """Write past Python until the file on the other side has been cut, or for ten seconds."""
    most = 0
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        size = os.fstat(1).st_blocks
        if size < most:
            return
        most = max(size, most)
        os.write(1, b"x" * (1 << 20) if most * 512 < (6 << 20) else b"x")
    raise RuntimeError("nobody cuts what I write")


def moves_out(lr):
    os.chdir("/")
    return {"loss": 1.0, "val_acc": lr}


def names(lr):
    """Calls its metrics what no terminal and no text file should see."""
    odd = ["", "a\x1b[2Jb", "nul\0", "r\u202etl", "new\nline", "half\ud800", "\u2028", "x" * 5_000, 7, None]
    return {"val_acc": lr} | {name: float(i) for i, name in enumerate(odd)}
