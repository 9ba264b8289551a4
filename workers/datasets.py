"""Data sets for the reference network: the record, mean subtraction, and scikit-learn's digits.

Pixels keep the unit of their files; only the mean image is subtracted, as in CS231n. Anyone may import this.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled examples in three parts.

    Attributes:
        x_train: (n, d) float32, rows are examples, less the mean of this part.
        y_train: (n,) classes, counted from 0.
        x_val: Likewise for validation, less the mean of the training part.
        y_val: Their classes.
        x_test: Likewise for the test that nothing is chosen by.
        y_test: Their classes.
        classes: The name of each class.
    """

    x_train: Images
    y_train: Labels
    x_val: Images
    y_val: Labels
    x_test: Images
    y_test: Labels
    classes: tuple[str, ...]

    def subset(self, n: int) -> Dataset:
        """The same data with the first `n` training examples only: can the network overfit them?"""
        return replace(self, x_train=self.x_train[:n], y_train=self.y_train[:n])


def split(x: Images, y: Labels, *, validation: int, test: int, classes: tuple[str, ...]) -> Dataset:
    """A data set of these examples: for training, then `validation` for validation, the last `test` for test.

    The mean of the training part is subtracted from `x` in place and the parts are views of it: no copies.
    """
    a, b = len(x) - test - validation, len(x) - test
    x -= x[:a].mean(axis=0, dtype=np.float64).astype(np.float32)
    return Dataset(x[:a], y[:a], x[a:b], y[a:b], x[b:], y[b:], classes)


def digits() -> Dataset:
    """scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels between 0 and 16, no download.

    1,297 for training, 250 for validation, 250 for test, in one fixed random order.

    Raises:
        ModuleNotFoundError: scikit-learn is not installed; says how to get it.

    Source: Alpaydin & Kaynak, "Optical recognition of handwritten digits", UCI repository, 1998.
    """
    try:
        # Here, since scikit-learn is optional and slow to import.
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("the digits need scikit-learn: pip install coarsefine[digits]") from error
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    return split(
        pixels[order].astype(np.float32),
        labels[order],
        validation=250,
        test=250,
        classes=tuple("0123456789"),
    )
