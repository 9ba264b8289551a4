"""PyTorch: a convolutional net on scikit-learn's digits, on a GPU where there is one.

sweeps run examples/digits_torch.toml
sweeps run examples/digits_torch.toml --set run.gpus=0.25     # four trials share each GPU
"""

import os

import torch
from sklearn.datasets import load_digits
from torch import nn

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cuda" and "SWEEPS_GPU_MEMORY" in os.environ:  # a part of a GPU: leave the others theirs
    torch.cuda.set_per_process_memory_fraction(float(os.environ["SWEEPS_GPU_MEMORY"]))


def load_data():
    pixels, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    x = torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)[order].to(DEVICE)
    y = torch.tensor(labels)[order].to(DEVICE)
    return x[:1400], y[:1400], x[1400:], y[1400:]


def train(lr, weight_decay, channels=16, dropout=0.0, *, epochs, seed, data):
    torch.manual_seed(seed)
    x, y, x_val, y_val = data
    net = nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(8 * channels, 10),
    ).to(DEVICE)
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=weight_decay)
    for _ in range(epochs):
        net.train()
        losses, right = [], 0
        for batch in torch.randperm(len(x)).split(64):
            scores = net(x[batch])
            loss = nn.functional.cross_entropy(scores, y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            right += (scores.argmax(1) == y[batch]).sum().item()
        net.eval()
        with torch.no_grad():
            val_acc = (net(x_val).argmax(1) == y_val).float().mean().item()
        yield {"loss": sum(losses) / len(losses), "train_acc": right / len(x), "val_acc": val_acc}
