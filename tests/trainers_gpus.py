"""A trainer that reports which devices it may see."""

import os


def seeing(lr):
    return {
        "val_acc": lr,
        "device": float(os.environ.get("CUDA_VISIBLE_DEVICES", "nan").partition(",")[0]),
        "devices": 1.0 + os.environ.get("CUDA_VISIBLE_DEVICES", "").count(","),
        "memory": float(os.environ.get("XLA_PYTHON_CLIENT_MEM_FRACTION", "nan")),
    }
