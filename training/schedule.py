"""Learning rate as a pure function of the step."""

from __future__ import annotations

import math

import torch

from training.options import TrainingOptions

FLOORS = {"cosine": 0.1, "constant": 1.0, "wsd": 0.0}
"""Share of the peak at which the learning rate ends, by name of the schedule."""


def rate_at(step: int, training: TrainingOptions) -> float:
    """Return the learning rate of optimizer step `step` (from 0) of a training."""
    peak = training.learning_rate
    if training.schedule == "wsd":
        return wsd_rate(step, training.steps, peak, training.warmup, training.decay_steps)
    return learning_rate(step, training.steps, peak, training.warmup, FLOORS[training.schedule])


def learning_rate(step: int, steps: int, peak: float, warmup: int, floor: float = 0.1) -> float:
    """Return the rate of optimizer step `step` (from 0): linear warm-up, then a cosine to `floor * peak`.

    With a floor of 1 the rate stays at the peak.

    Cosine annealing after Loshchilov and Hutter (2017), equation 5, without restarts.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))


def wsd_rate(step: int, steps: int, peak: float, warmup: int, decay_steps: int = 0) -> float:
    """Return the rate of optimizer step `step` (from 0): linear warm-up, the peak, and a decay to 0 at `steps`.

    The decay is 1 - sqrt, the best of those that Haegele et al. (2024, section 3) compare: it falls fast at first. Up
    to where it begins, the rate does not depend on `steps`, so that runs of several lengths have their beginning, the
    trunk, in common.

    Args:
        step: optimizer steps done before.
        steps: in all.
        peak: the highest rate.
        warmup: steps of linear warm-up.
        decay_steps: steps of the decay; 0 means a tenth of `steps`.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    start = decay_start(steps, decay_steps)
    progress = min(1.0, max(0, step - start) / (steps - start))
    return peak * (1 - math.sqrt(progress))


def decay_start(steps: int, decay_steps: int = 0) -> int:
    """Return how many of `steps` optimizer steps a wsd schedule takes before its decay; 0 decays for a tenth of all."""
    return steps - (decay_steps or max(1, steps // 10))


def trunk_steps(training: TrainingOptions) -> int | None:
    """Return after how many steps the decay of a training begins; None for schedules other than wsd."""
    return decay_start(training.steps, training.decay_steps) if training.schedule == "wsd" else None


def kept_steps(training: TrainingOptions) -> frozenset[int]:
    """Return the steps whose checkpoints are kept for good: those asked for, and where a decay begins."""
    trunk = trunk_steps(training)
    return frozenset(training.keep_at) | (frozenset() if trunk is None else {trunk})


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group of `optimizer` the rate `rate`, times its own `rate_factor` where it has one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("rate_factor", 1.0)
