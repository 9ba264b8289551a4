"""A small torch network that is trained as `workers.reference` trains its own: other code, other activations.

Linear layers as torch initialises them, GELU between them, torch's own optimizers. Its arguments and its reports are
those of `workers.reference.train`, so that the corpus can be made of either.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import nn

from workers.datasets import Dataset
from workers.network import SMALL
from workers.reference import SAMPLE

torch.set_num_threads(1)  # the networks are small


def train(
    lr: float,
    reg: float,
    hidden: int = 50,
    layers: int = 1,
    batch: int = 200,
    update: str = "momentum",
    decay: float = 0.95,
    init: str = "he",
    *,
    epochs: int,
    seed: int,
    data: Dataset,
) -> Iterator[dict[str, float]]:
    """One report per epoch: loss, train_acc, val_acc, learning_rate, update_ratio."""
    net = _untrained(hidden, layers, init, seed, data)
    optimizer = _optimizer(net, update, lr, reg)
    x, y = torch.from_numpy(data.x_train.copy()), torch.as_tensor(data.y_train)
    generator = torch.Generator().manual_seed(seed)
    batch = min(batch, len(x))
    for _ in range(epochs):
        order = torch.randperm(len(x), generator=generator)
        *most, last = order[: len(x) - len(x) % batch].reshape(-1, batch)
        losses = [_step(net, optimizer, x[rows], y[rows]) for rows in most]
        before = _flat(net)
        losses.append(_step(net, optimizer, x[last], y[last]))
        size, moved = float(before.norm()), float((_flat(net) - before).norm())
        yield {
            "loss": sum(losses) / len(losses),
            "train_acc": _accuracy(net, data.x_train[:SAMPLE], data.y_train[:SAMPLE]),
            "val_acc": _accuracy(net, data.x_val, data.y_val),
            "learning_rate": optimizer.param_groups[0]["lr"],
            "update_ratio": moved / size if size else 0.0,
        }
        for group in optimizer.param_groups:
            group["lr"] *= decay


def initial_loss(reg: float, hidden: int = 50, layers: int = 1, init: str = "he", *, seed: int, data: Dataset) -> float:
    """The loss of the untrained network; `reg`, which torch keeps out of the loss, is there for the likeness."""
    net = _untrained(hidden, layers, init, seed, data)
    with torch.no_grad():
        x, y = torch.from_numpy(data.x_train[:SAMPLE].copy()), torch.as_tensor(data.y_train[:SAMPLE])
        return float(nn.functional.cross_entropy(net(x), y))


def _untrained(hidden: int, layers: int, init: str, seed: int, data: Dataset) -> nn.Sequential:
    """The network; `small` weights are as small as the reference's, all others as torch has them."""
    torch.manual_seed(seed)
    sizes = [data.x_train.shape[1], *[hidden] * layers]
    parts: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        parts += [nn.Linear(inputs, outputs), nn.GELU()]
    net = nn.Sequential(*parts, nn.Linear(hidden, len(data.classes)))
    if init == "small":
        for each in net.parameters():
            nn.init.normal_(each, std=SMALL) if each.ndim > 1 else nn.init.zeros_(each)
    return net


def _step(net: nn.Sequential, optimizer: torch.optim.Optimizer, x: torch.Tensor, y: torch.Tensor) -> float:
    """The loss of a minibatch, and an update by it."""
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


def _optimizer(net: nn.Module, update: str, lr: float, reg: float) -> torch.optim.Optimizer:
    """Torch's optimizer by the name that the reference has for it."""
    if update == "adam":
        return torch.optim.Adam(net.parameters(), lr=lr, weight_decay=reg, fused=True)
    momentum = 0.9 if update == "momentum" else 0.0
    return torch.optim.SGD(net.parameters(), lr=lr, weight_decay=reg, momentum=momentum, fused=True)


def _flat(net: nn.Module) -> torch.Tensor:
    """All weights, without biases."""
    return torch.cat([each.detach().flatten() for each in net.parameters() if each.ndim > 1]).double()


def _accuracy(net: nn.Module, x: object, y: object) -> float:
    """The share of examples whose class is predicted."""
    with torch.no_grad():
        return float((net(torch.as_tensor(x)).argmax(dim=1) == torch.as_tensor(y)).float().mean())
