"""CS231n's own search on CIFAR-10: the two-layer net of 50 hidden units.

    sweeps run examples/cifar10.toml

Data: the standard folder (`cifar-10-batches-bin` or `cifar-10-batches-py`), found through $CIFAR10 or in `data/`.
"""

import os

from workers import cifar10
from workers.datasets import Dataset
from workers.reference import train

__all__ = ["load_data", "train"]


def load_data() -> Dataset:
    """CIFAR-10, 49,000 images to train on and 1,000 to validate."""
    return cifar10.load(os.environ.get("CIFAR10", "data"))
