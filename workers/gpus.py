"""Which GPUs a slot sees, and how much of their memory is its own.

A share below one puts several slots on a device. Nothing keeps them apart there but good manners: each is told how
much memory to take, which JAX obeys by itself and PyTorch by one call.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

VISIBLE = "CUDA_VISIBLE_DEVICES"
MEMORY = "SWEEPS_GPU_MEMORY"  #: share of a device's memory, for `torch.cuda.set_per_process_memory_fraction`
_JAX_MEMORY = ("XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_CLIENT_MEM_FRACTION")  # the old name, which every JAX knows
_USABLE = 0.9  # of a slot's share: what CUDA itself takes in each process comes on top
_NAME = re.compile(r"\d+|(GPU|MIG)-.*")


def present(environ: Mapping[str, str], folder: str = "/dev") -> tuple[str, ...]:
    """The GPUs that a process started here would see, by the names that CUDA_VISIBLE_DEVICES has for them.

    Asks no driver: NVIDIA's devices are files. A name that is none ends the list, as it does for CUDA.

    Args:
        environ: Its environment.
        folder: Where the files of devices are.
    """
    if VISIBLE in environ:
        names = [name.strip() for name in environ[VISIBLE].split(",")]
        valid = [_NAME.fullmatch(name) is not None for name in names]
        return tuple(names[: [*valid, False].index(False)])
    files = os.listdir(folder) if os.path.isdir(folder) else []
    return tuple(str(i) for i in range(sum(re.fullmatch(r"nvidia\d+", name) is not None for name in files)))


def room(devices: Sequence[str], share: float) -> int:
    """How many slots that take `share` GPUs each these devices have room for.

    Args:
        devices: Their names.
        share: A whole number of devices, or a part of one.
    """
    if share >= 1:
        return len(devices) // int(share)
    return len(devices) * int(1 / share + 1e-9)


def environment(slot: int, devices: Sequence[str], share: float, environ: Mapping[str, str]) -> dict[str, str]:
    """What a slot's environment says of GPUs; nothing where none are asked for or present.

    Slots with a part of a device are dealt out to the devices in turn, so that few slots do not crowd on the first.

    Args:
        slot: Its number.
        devices: Those of the machine.
        share: How many of them a slot takes.
        environ: The environment that the slot inherits: what a person set there about memory stays.
    """
    if not share or not devices:
        return {}
    if share >= 1:
        count = int(share)
        first = slot * count % max(len(devices) - count + 1, 1)
        return {VISIBLE: ",".join(devices[first : first + count])}
    memory = f"{_USABLE * share:.4g}"
    told = {VISIBLE: devices[slot % len(devices)], MEMORY: memory}
    # JAX refuses to start where both names are set.
    return told if any(name in environ for name in _JAX_MEMORY) else told | {_JAX_MEMORY[0]: memory}
