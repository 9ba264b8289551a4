"""scikit-learn: an estimator that learns epoch by epoch, through `partial_fit`.

sweeps run examples/digits_sklearn.toml
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split


def load_data():
    pixels, labels = load_digits(return_X_y=True)
    return train_test_split(pixels / 16, labels, test_size=400, random_state=0, stratify=labels)


def train(eta0, alpha, penalty="l2", *, epochs, seed, data):
    x, x_val, y, y_val = data
    rng = np.random.default_rng(seed)
    model = SGDClassifier("log_loss", penalty=penalty, alpha=alpha, learning_rate="constant", eta0=eta0)
    for _ in range(epochs):
        order = rng.permutation(len(x))
        model.random_state = int(rng.integers(2**31))
        model.partial_fit(x[order], y[order], classes=np.arange(10))
        yield {
            "loss": log_loss(y, model.predict_proba(x)),
            "train_acc": model.score(x, y),
            "val_acc": model.score(x_val, y_val),
        }
