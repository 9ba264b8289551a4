"""A training script with options, as somebody else would have written it; each mood does one thing."""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--beta", type=float, default=-1.0)
parser.add_argument("--name", default="")
parser.add_argument("--mood", default="")
parser.add_argument("--folder", type=pathlib.Path)
options = parser.parse_args()

print(f"begins {options.name}".strip())
print("a warning", file=sys.stderr)
for epoch in range(1, options.epochs + 1):
    loss = math.nan if options.mood == "diverges" and epoch == 2 else 1.0 / epoch
    print(json.dumps({"epoch": epoch, "loss": loss, "val_acc": options.lr, "seen": options.seed, "beta": options.beta}))
    print('{"level": "info"}')
    if options.mood == "fails":
        raise ValueError(f"lr {options.lr} is too much for me")
    if options.mood in ("hangs", "diverges"):
        child = subprocess.Popen(["sleep", "600"])
        for pid in (os.getpid(), child.pid):
            (options.folder / str(pid)).touch()
    while options.mood == "hangs":
        time.sleep(600)
if options.mood == "saves":
    (options.folder / f"{options.lr!r}.saved").write_text("x" * 100_000)
    print("x" * 100_000)
