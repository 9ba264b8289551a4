"""A training script with options of its own, which knows nothing of sweeps: it prints one line of JSON an epoch.

python examples/digits_script.py --lr 0.1 --epochs 5
sweeps run examples/digits_script.toml
"""

import argparse
import json

import numpy as np
from sklearn.datasets import load_digits


def main():
    parser = argparse.ArgumentParser(description="Softmax regression on scikit-learn's digits.")
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--reg", type=float, default=0.0)
    parser.add_argument("--update", choices=["sgd", "momentum"], default="sgd")
    parser.add_argument("--beta", type=float, default=0.9, help="of the momentum")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    x, y = np.c_[pixels[order] / 16, np.ones(len(labels))], labels[order]
    x, y, x_val, y_val = x[:1400], y[:1400], x[1400:], y[1400:]
    print(f"{len(x)} images to train on, {len(x_val)} to validate")

    rng = np.random.default_rng(options.seed)
    beta = options.beta if options.update == "momentum" else 0.0
    w, v = 0.01 * rng.normal(size=(65, 10)), np.zeros((65, 10))
    for epoch in range(1, options.epochs + 1):
        losses = []
        for batch in np.array_split(rng.permutation(len(x)), 20):
            scores = x[batch] @ w
            p = np.exp(scores - scores.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            rows = np.arange(len(batch))
            losses.append(-np.log(p[rows, y[batch]] + 1e-12).mean() + 0.5 * options.reg * (w**2).sum())
            p[rows, y[batch]] -= 1
            v = beta * v - options.lr * (x[batch].T @ p / len(batch) + options.reg * w)
            w += v
        metrics = {"loss": np.mean(losses), "val_acc": ((x_val @ w).argmax(1) == y_val).mean()}
        print(json.dumps({"epoch": epoch, **metrics}))


if __name__ == "__main__":
    main()
