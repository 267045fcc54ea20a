"""What the processes of one run do together, and on which device. A process alone agrees with itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from training.waiting import patient_group

Value = TypeVar("Value")


def best_device() -> torch.device:
    """Return the GPU if there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def describe_device(device: torch.device) -> str:
    """Return a device in words: the GPU's name, or the processor's threads."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} (one of {process_count()})"
    return f"{device.type}, {torch.get_num_threads()} threads" + (
        f", {process_count()} processes" * (process_count() > 1)
    )


def process_count() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def process_index() -> int:
    """Return which of them this one is, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def is_shared(module: nn.Module) -> bool:
    """Whether this process holds but a part of the weights of `module`: all must then call it together."""
    # Who shared them has imported this; nobody else should, as it is a fifth of all that torch can import.
    sharing = sys.modules.get("torch.distributed.tensor")
    return sharing is not None and any(isinstance(parameter, sharing.DTensor) for parameter in module.parameters())


def sum_across_processes(x: Tensor) -> Tensor:
    """Replace `x` (...), contiguous and of one shape everywhere, by its sum over all processes, and return it."""
    if dist.is_initialized():
        dist.all_reduce(x)
    return x


def mean_across_processes(x: Tensor) -> Tensor:
    """Replace `x` (...), contiguous and of one shape everywhere, by its mean over all processes, and return it."""
    return sum_across_processes(x).div_(process_count())


def from_first_process(x: Tensor) -> Tensor:
    """Replace `x` (...), contiguous and of one shape everywhere, by that of the first process, and return it."""
    if dist.is_initialized():
        dist.broadcast(x, src=0)
    return x


def own_part(x: Tensor) -> Tensor:
    """Return the rows of this process among `x` (B, ...), which has one for each item of the global batch."""
    return x.chunk(process_count())[process_index()]


def gather_values(value: Value) -> list[Value]:
    """Return the `value` of every process, in their order, on all of them."""
    if not dist.is_initialized():
        return [value]
    values: list[Any] = [None] * process_count()
    dist.all_gather_object(values, value)
    return values


def on_first_process(action: Callable[[], Value]) -> Value:
    """Run `action` on the first process while the others wait, and return its result on all.

    Raises:
        Exception: what `action` raised, on the first process; the others exit, so that people read it once.
    """
    if not dist.is_initialized():
        return action()
    waiting = patient_group()
    outcome: list[Any] = [None]
    failure: Exception | None = None
    if process_index() == 0:
        try:
            outcome = [("done", action())]
        except Exception as error:
            failure = error
            outcome = [("failed", None)]
    dist.broadcast_object_list(outcome, src=0, group=waiting)
    if failure is not None:
        raise failure
    state, value = outcome[0]
    if state == "failed":
        raise SystemExit(1)
    return cast(Value, value)
