"""A fully connected ReLU network with softmax loss: its parameters, scores, loss and gradient.

It knows no data sets, update rules or epochs: `workers.reference` trains it. Anyone may import it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.integer[Any]]

SMALL = 1e-4
"""Standard deviation of the "small random numbers" of CS231n's babysitting example."""

INITIAL_DEVIATION: Mapping[str, Callable[[int], float]] = {
    "small": lambda inputs: SMALL,
    "xavier": lambda inputs: math.sqrt(1.0 / inputs),
    "he": lambda inputs: math.sqrt(2.0 / inputs),
}
"""Standard deviation of the initial weights of a layer with so many inputs, by the name of the scheme."""

EPSILON = 1e-5  # keeps batch normalisation from dividing by zero
MEMORY = 0.9  # share of the old running average that a new batch leaves, as in CS231n


@dataclass(frozen=True)
class Parameters:
    """The numbers that training changes, or a gradient with respect to them.

    Attributes:
        flat: (p,) all of them, contiguous, so that an update rule is a few operations on one vector. The
            other fields are views of it.
        decayed: The part of `flat` that L2 regularisation applies to: all weights, no biases or scales.
        weights: One (inputs, outputs) array per layer.
        biases: One (outputs,) array per layer; with batch normalisation it acts after it, as its shift.
        scales: One (outputs,) array per batch normalisation, that is per hidden layer, or none.
    """

    flat: Array
    decayed: Array
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    scales: tuple[Array, ...]


@dataclass(frozen=True)
class Network:
    """A network: its parameters, their gradient, and what batch normalisation remembers for test time.

    Attributes:
        parameters: What training changes, in place.
        gradient: Where `backpropagate` writes the gradient, laid out like the parameters.
        means: Running mean of each normalised layer, (outputs,) each; none without batch normalisation.
        variances: Running variance of each, likewise.
    """

    parameters: Parameters
    gradient: Parameters
    means: tuple[Array, ...]
    variances: tuple[Array, ...]


@dataclass(frozen=True)
class _Normalised:
    """What the backward pass of one batch normalisation needs from its forward pass."""

    values: Array
    deviation: Array


def create(
    sizes: Sequence[int],
    rng: np.random.Generator,
    *,
    init: str = "he",
    batch_norm: bool = False,
    dtype: npt.DTypeLike = np.float32,
) -> Network:
    """An untrained network with random weights and zero biases.

    Args:
        sizes: Inputs, units of each hidden layer, classes: `[3072, 50, 10]` is the two-layer net.
        rng: Where the weights come from.
        init: "small" (deviation 1e-4 in every layer), "xavier" (1 / sqrt(inputs)) or "he" (sqrt(2 / inputs)).
        batch_norm: Whether hidden layers are normalised before the ReLU.
        dtype: float32, or float64 for gradient checks.

    Raises:
        ValueError: `init` is not one of the three.

    Source: CS231n, lecture 5 (initialisation; xavier after Glorot & Bengio 2010, he after He et al. 2015;
        batch normalisation after Ioffe & Szegedy 2015).
    """
    if init not in INITIAL_DEVIATION:
        raise ValueError(f"unknown init {init!r}: known are {', '.join(INITIAL_DEVIATION)}")
    parameters = _zeros(sizes, batch_norm, dtype)
    for weights in parameters.weights:
        weights[:] = rng.standard_normal(weights.shape, parameters.flat.dtype)
        weights *= INITIAL_DEVIATION[init](len(weights))
    for scale in parameters.scales:
        scale[:] = 1.0
    means = tuple(np.zeros_like(scale) for scale in parameters.scales)
    variances = tuple(np.ones_like(scale) for scale in parameters.scales)
    return Network(parameters, _zeros(sizes, batch_norm, dtype), means, variances)


@np.errstate(over="ignore", invalid="ignore")  # divergence is a result: the loss says so, by NaN or inf
def backpropagate(net: Network, x: Array, y: Labels, reg: float) -> float:
    """The loss on a minibatch, in training mode; its gradient is left in `net.gradient`.

    The loss is the mean softmax cross-entropy plus `0.5 * reg * sum(W ** 2)` over all weights W. Batch
    normalisation uses the statistics of the minibatch and updates the running averages of `net`.

    Shapes: x (n, inputs), y (n,) with classes counted from 0.
    Source: CS231n, lectures 3 and 4, and the notes on batch normalisation.
    """
    parameters, gradient = net.parameters, net.gradient
    activations = [x]
    normalised: list[_Normalised] = []
    for weights, bias in zip(parameters.weights, parameters.biases, strict=True):
        units = activations[-1] @ weights
        hidden = len(activations) < len(parameters.weights)
        if hidden and parameters.scales:
            normalised.append(_normalise(net, len(normalised), units))
            np.multiply(normalised[-1].values, parameters.scales[len(normalised) - 1], out=units)
        units += bias
        activations.append(np.maximum(units, 0.0, out=units) if hidden else units)

    loss, slope = _softmax_loss(activations.pop(), y)
    for layer in reversed(range(len(activations))):
        np.sum(slope, axis=0, out=gradient.biases[layer])
        if layer < len(normalised):
            slope = _unnormalise(slope, parameters.scales[layer], normalised[layer], gradient.scales[layer])
        np.matmul(activations[layer].T, slope, out=gradient.weights[layer])
        if layer > 0:
            slope = slope @ parameters.weights[layer].T
            slope *= activations[layer] > 0.0
    if reg:
        np.add(gradient.decayed, reg * parameters.decayed, out=gradient.decayed)
    return loss + penalty(net, reg)


@np.errstate(over="ignore", invalid="ignore")
def penalty(net: Network, reg: float) -> float:
    """The L2 regularisation's share of the loss: `0.5 * reg * sum(W ** 2)` over all weights W."""
    weights = net.parameters.decayed
    return 0.5 * reg * float(np.vdot(weights, weights)) if reg else 0.0


@np.errstate(over="ignore", invalid="ignore")
def scores(net: Network, x: Array) -> Array:
    """Unnormalised log-probabilities, (n, classes), in test mode: normalised by the running averages.

    Shapes: x (n, inputs).
    """
    parameters = net.parameters
    last = len(parameters.weights) - 1
    for layer, (weights, bias) in enumerate(zip(parameters.weights, parameters.biases, strict=True)):
        x = x @ weights
        if layer < len(parameters.scales):
            x -= net.means[layer]
            x *= parameters.scales[layer] / np.sqrt(net.variances[layer] + EPSILON)
        x += bias
        if layer < last:
            np.maximum(x, 0.0, out=x)
    return x


def predict(net: Network, x: Array) -> Labels:
    """The most likely class of each example, (n,)."""
    classes: Labels = np.argmax(scores(net, x), axis=1)
    return classes


def accuracy(net: Network, x: Array, y: Labels) -> float:
    """The share of examples whose class is predicted, between 0 and 1."""
    return float(np.mean(predict(net, x) == y))


def _zeros(sizes: Sequence[int], batch_norm: bool, dtype: npt.DTypeLike) -> Parameters:
    """All-zero parameters of a network of these sizes."""
    layers = list(itertools.pairwise(sizes))
    shapes: list[tuple[int, ...]] = [*layers, *((outputs,) for outputs in sizes[1:])]
    if batch_norm:
        shapes += [(outputs,) for outputs in sizes[1:-1]]
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes))
    flat = np.zeros(ends[-1], dtype)
    views = tuple(flat[start:end].reshape(shape) for start, end, shape in zip([0, *ends], ends, shapes, strict=False))
    depth = len(layers)
    return Parameters(
        flat=flat,
        decayed=flat[: ends[depth - 1]],
        weights=views[:depth],
        biases=views[depth : 2 * depth],
        scales=views[2 * depth :],
    )


def _softmax_loss(logits: Array, y: Labels) -> tuple[float, Array]:
    """The mean cross-entropy and its gradient with respect to `logits`, which takes their place."""
    rows = np.arange(len(y))
    logits -= logits.max(axis=1, keepdims=True)  # the same probabilities, and no exponential overflows
    correct = logits[rows, y]
    np.exp(logits, out=logits)
    sums = logits.sum(axis=1, keepdims=True)
    loss = float(np.mean(np.log(sums[:, 0]) - correct))
    logits /= sums
    logits[rows, y] -= 1.0
    logits /= len(y)
    return loss, logits


def _normalise(net: Network, layer: int, units: Array) -> _Normalised:
    """`units` with mean 0 and variance 1 over the minibatch; moves the layer's running averages."""
    mean, variance = units.mean(axis=0), units.var(axis=0)
    for running, batch in ((net.means[layer], mean), (net.variances[layer], variance)):
        running *= MEMORY
        running += (1.0 - MEMORY) * batch
    deviation = np.sqrt(variance + EPSILON)
    return _Normalised((units - mean) / deviation, deviation)


def _unnormalise(slope: Array, scale: Array, forward: _Normalised, scale_slope: Array) -> Array:
    """The gradient before a batch normalisation from the one after it; writes that of its scale."""
    np.sum(slope * forward.values, axis=0, out=scale_slope)
    slope = slope - slope.mean(axis=0) - forward.values * (scale_slope / len(slope))
    slope *= scale / forward.deviation
    return slope
