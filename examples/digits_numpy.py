"""numpy: a training loop written by hand, softmax regression on scikit-learn's digits.

sweeps run examples/digits_numpy.toml
"""

import numpy as np
from sklearn.datasets import load_digits


def load_data():
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    x, y = pixels[order] / 16, labels[order]
    return x[:1400], y[:1400], x[1400:], y[1400:]


def train(lr, reg, *, epochs, seed, data):
    x, y, x_val, y_val = data
    rng = np.random.default_rng(seed)
    w, b = 0.01 * rng.normal(size=(64, 10)), np.zeros(10)
    for _ in range(epochs):
        losses = []
        for batch in np.array_split(rng.permutation(len(x)), 20):
            scores = x[batch] @ w + b
            p = np.exp(scores - scores.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            rows = np.arange(len(batch))
            losses.append(-np.log(p[rows, y[batch]] + 1e-12).mean() + 0.5 * reg * (w**2).sum())
            p[rows, y[batch]] -= 1
            w -= lr * (x[batch].T @ p / len(batch) + reg * w)
            b -= lr * p.mean(0)
        yield {
            "loss": np.mean(losses),
            "train_acc": ((x @ w + b).argmax(1) == y).mean(),
            "val_acc": ((x_val @ w + b).argmax(1) == y_val).mean(),
        }
