"""Timing both sides of a comparison in turn, so that what else the machine does falls on both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch


def medians(sides: Mapping[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """Return the median seconds of every side over `runs` rounds, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(runs + 1):
        for name, function in sides.items():
            _synchronise()
            began = time.perf_counter()
            function()
            _synchronise()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
