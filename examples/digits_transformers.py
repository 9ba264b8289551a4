"""Hugging Face Trainer: a small vision transformer, made from its config, so that nothing is downloaded.

sweeps run examples/digits_transformers.toml
"""

import tempfile

import torch
from pulled import pulled
from sklearn.datasets import load_digits
from transformers import Trainer, TrainerCallback, TrainingArguments, ViTConfig, ViTForImageClassification, set_seed
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()


class Report(TrainerCallback):
    """Reports each evaluation, with the loss that was logged last."""

    def __init__(self, report):
        self.report = report

    def on_evaluate(self, args, state, control, metrics, **rest):
        """Called by the Trainer, after each epoch."""
        loss = next(row["loss"] for row in reversed(state.log_history) if "loss" in row)
        self.report({"loss": loss, "val_loss": metrics["eval_loss"], "val_acc": metrics["eval_accuracy"]})


def load_data():
    pixels, labels = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 8 - 1, dtype=torch.float32).reshape(-1, 1, 8, 8)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0)).tolist()
    examples = [{"pixel_values": images[i], "labels": int(labels[i])} for i in order]
    return examples[:1400], examples[1400:]


def accuracy(prediction):
    return {"accuracy": (prediction.predictions.argmax(1) == prediction.label_ids).mean()}


def train(lr, weight_decay, layers=2, *, epochs, seed, data):
    set_seed(seed)
    training, validation = data
    shape = ViTConfig(
        image_size=8,
        patch_size=2,
        num_channels=1,
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=64,
        num_labels=10,
    )

    def fit(report):
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                folder,
                num_train_epochs=epochs,
                learning_rate=lr,
                weight_decay=weight_decay,
                per_device_train_batch_size=64,
                per_device_eval_batch_size=400,
                eval_strategy="epoch",
                logging_strategy="epoch",
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                seed=seed,
            )
            Trainer(
                ViTForImageClassification(shape),
                arguments,
                train_dataset=training,
                eval_dataset=validation,
                compute_metrics=accuracy,
                callbacks=[Report(report)],
            ).train()

    return pulled(fit, epochs)
