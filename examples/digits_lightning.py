"""PyTorch Lightning: its own loop, its own modules, and a callback that reports each epoch.

sweeps run examples/digits_lightning.toml
"""

import lightning
import torch
from pulled import pulled
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class Net(lightning.LightningModule):
    """A two-layer net."""

    def __init__(self, lr, weight_decay, hidden):
        super().__init__()
        self.save_hyperparameters()
        self.layers = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))

    def training_step(self, batch, index):
        """The loss of a batch."""
        x, y = batch
        loss = nn.functional.cross_entropy(self.layers(x), y)
        self.log("loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch, index):
        """Logs the accuracy of a batch."""
        x, y = batch
        self.log("val_acc", (self.layers(x).argmax(1) == y).float().mean())

    def configure_optimizers(self):
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), self.hparams.lr, weight_decay=self.hparams.weight_decay)


class Report(lightning.Callback):
    """Reports what has been logged, at the end of each epoch."""

    def __init__(self, report):
        self.report = report

    def on_train_epoch_end(self, trainer, module):
        """Called by Lightning, after the validation."""
        self.report({name: value.item() for name, value in trainer.callback_metrics.items()})


def load_data():
    pixels, labels = load_digits(return_X_y=True)
    images = TensorDataset(torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(labels))
    return random_split(images, [1400, 397], torch.Generator().manual_seed(0))


def train(lr, weight_decay, hidden=32, *, epochs, seed, data):
    lightning.seed_everything(seed, verbose=False)
    training, validation = data

    def fit(report):
        trainer = lightning.Trainer(
            max_epochs=epochs,
            callbacks=[Report(report)],
            devices=1,  # of those that the trial has
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        )
        trainer.fit(
            Net(lr, weight_decay, hidden),
            DataLoader(training, batch_size=64, shuffle=True),
            DataLoader(validation, batch_size=400),
        )

    return pulled(fit, epochs)
