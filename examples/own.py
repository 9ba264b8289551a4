"""Ten lines of your own: gradient descent on a line, and a sweep of its learning rate.

python examples/own.py
"""

import numpy as np

import sweeps


def train(lr, *, epochs, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=100)
    y = 3 * x + rng.normal(scale=0.1, size=100)
    slope = 0.0
    for _ in range(epochs):
        slope -= lr * 2 * np.mean((slope * x - y) * x)
        yield {"loss": float(np.mean((slope * x - y) ** 2))}


result = sweeps.run(
    train,
    space={"lr": {"log": [1e-4, 10.0]}},
    stages=[{"name": "coarse", "trials": 30, "epochs": 3}, {"name": "fine", "trials": 20, "epochs": 10}],
    metric="loss",
    mode="min",
    name="own",
)
print(result)
