"""How tensors get to the device that computes, without its being waited for."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """Return `x` (...), from the CPU, on a device; a GPU fetches it while the program goes on.

    Memory that is not pinned is copied into some that is first: out of other memory a GPU cannot fetch by itself.
    """
    if device.type != "cuda" or x.is_cuda:
        return x.to(device)
    return (x if x.is_pinned() else x.pin_memory()).to(device, non_blocking=True)
