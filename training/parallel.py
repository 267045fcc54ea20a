"""Work on many small things at once: each in one thread of torch, as many side by side as torch may use.

On small tensors the threads of one computation wait for one another more than they compute. And what is computed in one
thread is the same to the last bit, however many there are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch

Input = TypeVar("Input")
Output = TypeVar("Output")


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(
    function: Callable[[Input], Output], inputs: Sequence[Input], device: torch.device, at_most: int | None = None
) -> Iterator[Output]:
    """Yield what a function makes of inputs, in their order; on a CPU of several at once.

    Args:
        function: that several threads may call at once. An error in it ends all: what has not begun does not begin.
        inputs: of it.
        device: that it computes on. On others than a CPU inputs come one after another.
        at_most: how many at once; as many as torch has threads if not given.
    """
    if device.type != "cpu":
        yield from map(function, inputs)
        return
    threads = torch.get_num_threads()
    count = max(1, min(threads, threads if at_most is None else at_most))
    with one_thread():
        # Every thread says it for itself: OpenMP would give a new one as many as there are processors.
        pool = ThreadPoolExecutor(count, initializer=partial(torch.set_num_threads, 1))
        try:
            yield from pool.map(function, inputs)
        finally:
            pool.shutdown(cancel_futures=True)
