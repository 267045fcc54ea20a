"""Stopping before a broken model replaces a good one."""

from __future__ import annotations

import math


def check_finite(value: float, step: int) -> float:
    """Return `value`, the loss or score of `step`.

    Raises:
        FloatingPointError: it is not a finite number; checkpoints on disk are from before.
    """
    if not math.isfinite(value):
        raise FloatingPointError(
            f"the loss is {value} at step {step}; the last checkpoint is kept: lower --learning-rate and resume"
        )
    return value
