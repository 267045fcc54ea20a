"""Which numbers a training computes with, and how that is set for the whole process.

| name | layers | products of matrices and convolutions in fp32 |
|---|---|---|
| fp32 | fp32 | exact to fp32 rounding, on GPUs too |
| tf32 | fp32 | on tensor cores, with 10 bits of mantissa |
| bf16 | bf16 by autocast | exact to fp32 rounding |
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import torch

from storage.run_folder import holds_training
from training.options import Precision, TrainingOptions

NAMES = ("fp32", "tf32", "bf16")


class Chosen(NamedTuple):
    """A precision, and why it is that one."""

    precision: Precision
    """One of `NAMES`."""
    why: str
    """In words, for people."""


def choose_precision(asked: Precision, device: torch.device) -> Chosen:
    """Return the precision that is meant on a device.

    `auto` is bf16 on GPUs whose tensor cores know it and on processors with AVX512-BF16 or AMX, where it is several
    times as fast as fp32, and otherwise fp32: processors without are a hundred times slower in bf16.

    Args:
        asked: by the options.
        device: that computes.

    Raises:
        ValueError: the device has no tensor cores for TF32.
    """
    if asked == "tf32" and not has_tf32(device):
        raise ValueError(
            f"--precision tf32 needs an NVIDIA GPU of the Ampere generation or later, and this computes on "
            f"{device.type}: give fp32, bf16 or auto"
        )
    if asked != "auto":
        return Chosen(asked, "as asked")
    fast = has_bf16(device)
    return Chosen("bf16", "which is fast on this device") if fast else Chosen("fp32", "as bf16 is slow on this device")


def has_bf16(device: torch.device) -> bool:
    """Whether a device has instructions of its own for products of bf16 matrices."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        return any(getattr(torch.cpu, name, lambda: False)() for name in known)
    return False


def has_tf32(device: torch.device) -> bool:
    """Whether a device has tensor cores for fp32 numbers with 10 bits of mantissa."""
    return device.type == "cuda" and torch.version.hip is None and torch.cuda.get_device_capability(device)[0] >= 8


def recorded_precision(training: TrainingOptions, out: Path) -> Precision | None:
    """Return the precision that the run in `out`, which is about to be continued, began with; None if there is none.

    Every process reads it for itself, because what they need to talk to each other is made for a precision.
    """
    if training.overwrite or not holds_training(out):
        return None
    try:
        found = json.loads((out / "config.json").read_text(encoding="utf-8")).get("precision")
    except (OSError, ValueError, AttributeError):
        return None
    return found if found in NAMES else None


def forget_earlier_trainings() -> None:
    """Forget what accelerate keeps of an earlier training of this process, above all its precision.

    It keeps the precision of its first use for the whole process, and refuses any other. The processes that train
    together, and the devices, stay as they are.
    """
    # Here, as what samples and scores asks for a precision too, and needs nothing else of accelerate.
    from accelerate.state import AcceleratorState, GradientState

    AcceleratorState._reset_state()
    GradientState._reset_state()
