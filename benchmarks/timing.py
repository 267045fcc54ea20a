"""Timing both sides of a comparison in turn, so that what else the machine does falls on both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch


def medians(
    sides: Mapping[str, Callable[[], object]], runs: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return the median seconds of every side over `runs` rounds, after one round that does not count.

    `time.process_time` as the clock counts what the processor did for this process, whatever else it did meanwhile.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(runs + 1):
        for name, function in sides.items():
            _synchronise()
            began = clock()
            function()
            _synchronise()
            if turn:
                seconds[name].append(clock() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
