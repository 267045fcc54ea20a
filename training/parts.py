"""Tensors of which every process holds a part (FSDP2): gathered to be saved, and parted again to be loaded.

Apart from `training.processes`, which every command needs: what shares tensors is a fifth of all that torch imports.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from training.processes import process_index


def gather_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return whole tensors, on the CPU, on the first process, and none on the others, which must call too."""
    gathered = {}
    for name, tensor in tensors.items():
        complete = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        if process_index() == 0:
            gathered[name] = complete.detach().cpu().contiguous()
    return gathered


def gather_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return the whole state of `module`, on the CPU, on the first process; the others must call too."""
    return gather_tensors(module.state_dict())


def part_like(x: Tensor, like: Tensor) -> Tensor:
    """Return what of `x`, whole and the same on all processes, this process holds of `like`, a tensor of its shape.

    Files hold contiguous tensors; the result also lies in memory as `like` does.
    """
    if isinstance(like, DTensor):
        return distribute_tensor(x.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
    return torch.empty_like(like).copy_(x)
