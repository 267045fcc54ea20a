"""What a checkpoint will hold, as it is at one step: tensors that the training no longer changes, or does not change
while they are written.

On several processes each has its own: in parts, what it holds of sharded tensors; otherwise the first has all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from storage.pretrained import Pretrained
from storage.tensor_parts import Piece
from training.processes import process_count, process_index

Optimizers = Mapping[str, torch.optim.Optimizer]
Modules = Mapping[str, nn.Module]
Pieces = dict[str, Piece]


class Staging:
    """Memory of the CPU into which tensors are copied, so that they can be written while the training changes them.

    It is taken at the first save and used again by all others: to take as much memory anew costs ten times the copy.
    On GPUs it is pinned, and the copy does not make the training wait.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def hold(self, name: str, tensor: Tensor) -> Tensor:
        """Return a copy of a tensor of any shape, dtype and device, contiguous and on the CPU, in the memory of `name`.

        From a GPU it is complete when `ready` says so.
        """
        buffer = self._buffers.get(name)
        if buffer is None or buffer.shape != tensor.shape or buffer.dtype != tensor.dtype:
            buffer = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
            self._buffers[name] = buffer
        return buffer.copy_(tensor.detach(), non_blocking=tensor.is_cuda)

    def event(self) -> torch.cuda.Event | None:
        """Return what says that all copies so far are complete; None if they are."""
        if not any(buffer.is_pinned() for buffer in self._buffers.values()):
            return None
        event = torch.cuda.Event()
        event.record()
        return event


@dataclass(frozen=True)
class Snapshot:
    """What this process writes of a checkpoint."""

    step: int
    """Optimizer steps done."""
    description: dict[str, Any]
    """The config.json of the model."""
    weights: Pieces
    """Of the model, by name; on the CPU."""
    tensors: Pieces
    """Optimizer moments and further modules, by name; on the CPU."""
    state: dict[str, Any]
    """What state.json holds, but for digests."""
    in_parts: bool
    """Whether every process writes what it holds."""
    event: torch.cuda.Event | None = field(default=None)
    """When it is reached, all tensors are there; None if they are."""

    def wait(self) -> None:
        """Wait until all tensors are there."""
        if self.event is not None:
            self.event.synchronize()


def take_snapshot(
    step: int,
    model: Pretrained,
    optimizers: Optimizers,
    modules: Modules | None = None,
    score: float | None = None,
    in_parts: bool = False,
    staging: Staging | None = None,
) -> Snapshot:
    """Return what this process writes of a checkpoint; all processes call it together.

    Args:
        step: optimizer steps done.
        model: what is trained, or an average of it.
        optimizers: their states are saved, by name.
        modules: whatever else the training needs to go on, by name.
        score: how good the model is on held-out data, higher for better; None if it was not measured.
        in_parts: whether every process writes what it holds; otherwise tensors are gathered on the first.
        staging: where copies are kept, if the training goes on before the snapshot is written; the one before it must
            be written.
    """
    taken = _Taking(in_parts, staging)
    weights = taken.take("model", model.state_dict())
    states = {name: optimizer.state_dict() for name, optimizer in optimizers.items()}
    tensors: Pieces = {}
    for name, tensor in _tensors(states, modules or {}):
        tensors |= taken.take("", {name: tensor})
    return Snapshot(
        step=step,
        description=model.description,
        weights=weights,
        tensors=tensors,
        state={
            "step": step,
            "score": score,
            "processes": process_count(),
            "threads": torch.get_num_threads(),
            "param_groups": {name: state["param_groups"] for name, state in states.items()},
        },
        in_parts=in_parts,
        event=staging.event() if staging is not None else None,
    )


def _tensors(states: Mapping[str, Any], modules: Modules) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors beside the model's, by the names that a checkpoint has for them."""
    for name, state in states.items():
        for parameter, values in state["state"].items():
            for key, value in values.items():
                yield f"optimizer.{name}.{parameter}.{key}", value
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            yield f"module.{name}.{key}", value


@dataclass(frozen=True)
class _Taking:
    """How tensors are taken."""

    in_parts: bool
    staging: Staging | None

    def take(self, kind: str, tensors: Mapping[str, Tensor]) -> Pieces:
        """Return what this process writes of tensors, by name."""
        taken = {}
        for name, tensor in tensors.items():
            piece = self._piece(tensor)
            if piece is not None:
                held = self._held(f"{kind} {name}", piece.tensor)
                taken[name] = Piece(held, piece.shape, piece.offsets)
        return taken

    def _piece(self, tensor: Tensor) -> Piece | None:
        if not isinstance(tensor, DTensor):
            return Piece.whole(tensor) if process_index() == 0 else None
        if self.in_parts:
            return _own_piece(tensor)
        whole = tensor.full_tensor()
        return Piece.whole(whole) if process_index() == 0 else None

    def _held(self, name: str, tensor: Tensor) -> Tensor:
        if self.staging is None:
            return tensor.detach().cpu().contiguous()
        return self.staging.hold(name, tensor)


def _own_piece(tensor: DTensor) -> Piece | None:
    """Return what this process holds of a sharded tensor; None if that is nothing, or others before it hold it too."""
    coordinates = tensor.device_mesh.get_coordinate()
    assert coordinates is not None, "a process outside the mesh of a tensor has none of it"
    replicated = [at for at, placement in zip(coordinates, tensor.placements, strict=True) if placement.is_replicate()]
    local = tensor.to_local()
    if any(replicated) or not local.numel():
        return None
    shape, offsets = compute_local_shape_and_global_offset(tensor.shape, tensor.device_mesh, tensor.placements)
    assert tuple(shape) == tuple(local.shape), f"{tensor.placements} is no box of a tensor"
    return Piece(local, tuple(tensor.shape), tuple(offsets))
