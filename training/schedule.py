"""Learning rate as a pure function of the step."""

from __future__ import annotations

import math

import torch

FLOORS = {"cosine": 0.1, "constant": 1.0}
"""Share of the peak at which the learning rate ends, by name of the schedule."""


def learning_rate(step: int, steps: int, peak: float, warmup: int, floor: float = 0.1) -> float:
    """Return the rate of optimizer step `step` (from 0): linear warm-up, then a cosine to `floor * peak`.

    With a floor of 1 the rate stays at the peak.

    Cosine annealing after Loshchilov and Hutter (2017), equation 5, without restarts.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group of `optimizer` the rate `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = rate
