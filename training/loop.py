"""Stopping before a broken model replaces a good one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from importlib.util import find_spec
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from training.order import DataOrder
from training.processes import gather_values
from training.state import ADVICE

# More names than this tell no more.
NAMED_ITEMS = 16


def check_finite(value: float, step: int) -> float:
    """Return `value`, the loss or score of `step`.

    Raises:
        FloatingPointError: it is not a finite number; checkpoints on disk are from before.
    """
    if not math.isfinite(value):
        raise FloatingPointError(f"the loss is {value} at step {step}; {ADVICE}")
    return value


class LossWatch:
    """Remembers the first step whose loss was not finite, without making a GPU wait, and names what was read then.

    Args:
        order: what this process reads at which step.
        name: tells an item by its index.
        device: where the losses are.
    """

    def __init__(self, order: DataOrder, name: Callable[[int], str], device: torch.device) -> None:
        self.order, self.name = order, name
        self.first = torch.full((), order.last_step, device=device)

    def note(self, loss: Tensor, step: int) -> None:
        """Take note of the loss of this process at `step`, a scalar."""
        self.first = torch.where(loss.isfinite(), self.first, self.first.clamp(max=step))

    def check(self) -> None:
        """Compare notes; all processes call it together.

        Raises:
            FloatingPointError: on any of them a loss was not finite.
        """
        firsts = gather_values(int(self.first))
        step = min(firsts)
        if step < self.order.last_step:
            ranks = [rank for rank, first in enumerate(firsts) if first == step]
            raise FloatingPointError(f"the loss is not finite at step {step}, on {self._items(step, ranks)}; {ADVICE}")

    def _items(self, step: int, ranks: list[int]) -> str:
        """Name what those processes read at `step`."""
        draws = [draw for rank in ranks for draw in replace(self.order, rank=rank).draws(step)]
        names = [self.name(draw.index) for draw in draws[:NAMED_ITEMS]]
        return ", ".join(names) + (f" and {len(draws) - NAMED_ITEMS} more" if len(draws) > NAMED_ITEMS else "")


class TrackerError(ValueError):
    """Metrics cannot be sent where they were asked to go."""


def tracker_name(name: str) -> str | None:
    """Return what Accelerate calls the tracker of that name: None for `none`.

    Raises:
        TrackerError: its package is not installed.
    """
    if name == "none":
        return None
    if find_spec(name) is None:
        raise TrackerError(f"--trackers {name} needs the package {name}, which is not installed: pip install {name}")
    return name


@contextmanager
def tracking(accelerator: Accelerator, options: Any) -> Iterator[None]:
    """Open the trackers that `accelerator` was made with, note the options (a dataclass), and close them at the end."""
    plain = (bool, int, float, str)
    config = {name: value if isinstance(value, plain) else str(value) for name, value in asdict(options).items()}
    accelerator.init_trackers("secondsight", config, {"wandb": {"name": options.out.name}})
    try:
        yield
    finally:
        for tracker in accelerator.trackers:
            tracker.finish()
