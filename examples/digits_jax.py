"""JAX: a two-layer net on scikit-learn's digits, on a GPU where there is one.

sweeps run examples/digits_jax.toml
sweeps run examples/digits_jax.toml --set run.gpus=0.25     # four trials share each GPU, and its memory
"""

import jax
import jax.numpy as jnp
from sklearn.datasets import load_digits


def load_data():
    pixels, labels = load_digits(return_X_y=True)
    order = jax.random.permutation(jax.random.key(0), len(labels))
    x, y = jnp.asarray(pixels / 16, jnp.float32)[order], jnp.asarray(labels)[order]
    return x[:1408], y[:1408], x[1408:], y[1408:]


def scores(weights, x):
    w1, b1, w2, b2 = weights
    return jax.nn.relu(x @ w1 + b1) @ w2 + b2


def loss_of(weights, x, y, reg):
    log_p = jax.nn.log_softmax(scores(weights, x))
    penalty = jnp.sum(weights[0] ** 2) + jnp.sum(weights[2] ** 2)
    return -log_p[jnp.arange(len(y)), y].mean() + 0.5 * reg * penalty


@jax.jit  # compiled once per worker process: lr and reg are values to it, not constants
def epoch(weights, x, y, lr, reg, key):
    def step(weights, batch):
        loss, slopes = jax.value_and_grad(loss_of)(weights, x[batch], y[batch], reg)
        return jax.tree.map(lambda w, g: w - lr * g, weights, slopes), loss

    batches = jax.random.permutation(key, len(x)).reshape(-1, 64)
    weights, losses = jax.lax.scan(step, weights, batches)
    return weights, losses.mean()


def train(lr, reg, hidden=32, *, epochs, seed, data):
    x, y, x_val, y_val = data
    key, *keys = jax.random.split(jax.random.key(seed), 3)
    weights = (
        jax.random.normal(keys[0], (64, hidden)) * jnp.sqrt(2 / 64),
        jnp.zeros(hidden),
        jax.random.normal(keys[1], (hidden, 10)) * jnp.sqrt(2 / hidden),
        jnp.zeros(10),
    )
    for i in range(epochs):
        weights, loss = epoch(weights, x, y, lr, reg, jax.random.fold_in(key, i))
        yield {
            "loss": loss,
            "train_acc": (scores(weights, x).argmax(1) == y).mean(),
            "val_acc": (scores(weights, x_val).argmax(1) == y_val).mean(),
        }
