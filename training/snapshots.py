"""What a checkpoint will hold, as it is at one step: tensors that the training no longer changes, or does not change
while they are written.

On several processes each has its own: in parts, what it holds of sharded tensors; otherwise the first has all of them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Shard

from storage.pretrained import Pretrained
from storage.tensor_parts import Piece
from training.processes import process_count, process_index

Optimizers = Mapping[str, torch.optim.Optimizer]
Modules = Mapping[str, nn.Module]
Pieces = dict[str, Piece]


class Staging:
    """Memory of the CPU into which tensors are copied, so that they can be written while the training changes them.

    It is taken at the first save and used again by all others: to take as much memory anew costs several times the
    copy. What only an optimizer changes is copied on a CPU by who writes, while gradients are computed, and the
    optimizer waits for it. On GPUs the memory is pinned, and nobody waits: a GPU does things in the order in which it
    is asked to.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}
        self._later: list[tuple[Tensor, Tensor]] = []
        self._event: torch.cuda.Event | None = None
        self._copied = threading.Event()
        self._copied.set()

    def hold(self, name: str, tensor: Tensor, later: bool = False) -> Tensor:
        """Return what will be a copy of a tensor, contiguous and on the CPU, in the memory of `name`.

        Args:
            name: of the memory.
            tensor: of any shape, dtype and device.
            later: whether nothing changes it before `wait` has returned.
        """
        buffer = self._buffers.get(name)
        if buffer is None or buffer.shape != tensor.shape or buffer.dtype != tensor.dtype:
            buffer = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
            self._buffers[name] = buffer
        if later and tensor.device.type == "cpu":
            self._copied.clear()
            self._later.append((buffer, tensor.detach()))
            return buffer
        buffer.copy_(tensor.detach(), non_blocking=tensor.is_cuda)
        if tensor.is_cuda:
            self._event = self._event or torch.cuda.Event()
            self._event.record()
        return buffer

    def finish(self) -> None:
        """Make the copies that are not there yet: called, in any thread, by who reads them."""
        try:
            for buffer, tensor in self._later:
                buffer.copy_(tensor)
        finally:
            self._later = []
            self._copied.set()
        if self._event is not None:
            self._event.synchronize()

    def wait(self) -> None:
        """Wait until tensors may change again."""
        self._copied.wait()


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
    staging: Staging | None = None
    """Where the tensors are copied; None if they need not be."""

    def finish(self) -> None:
        """Make sure that all tensors are there."""
        if self.staging is not None:
            self.staging.finish()


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
            be written. Before an optimizer steps, `staging.wait` must have returned.
    """
    states = {name: optimizer.state_dict() for name, optimizer in optimizers.items()}
    taking = _Taking(in_parts, staging, _stepped(optimizers))
    weights = taking.take("model", model.state_dict().items())
    tensors = taking.take("", _tensors(states, modules or {}))
    return Snapshot(
        step=step,
        description=model.content,
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
        staging=staging,
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


def _stepped(optimizers: Optimizers) -> set[int]:
    """Return where the tensors lie that optimizers alone change: weights that they step, and their moments."""
    weights = (weight for each in optimizers.values() for group in each.param_groups for weight in group["params"])
    moments = (value for each in optimizers.values() for state in each.state.values() for value in state.values())
    return {_local(tensor).data_ptr() for tensor in (*weights, *moments)}


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


@dataclass(frozen=True)
class _Taking:
    """How tensors are taken."""

    in_parts: bool
    staging: Staging | None
    stepped: set[int]
    """Where tensors lie that do not change before an optimizer steps."""

    def take(self, kind: str, tensors: Iterable[tuple[str, Tensor]]) -> Pieces:
        """Return what this process writes of tensors, by name."""
        taken = {}
        for name, tensor in tensors:
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
        return self.staging.hold(name, tensor, later=tensor.data_ptr() in self.stepped)


def _own_piece(tensor: DTensor) -> Piece | None:
    """Return what this process holds of a sharded tensor; None if that is nothing, or others before it hold it too.

    Raises:
        ValueError: it is shared out in another way than by chunks of its axes.
    """
    coordinates = tensor.device_mesh.get_coordinate()
    assert coordinates is not None, "a process outside the mesh of a tensor has none of it"
    local = tensor.to_local()
    offsets = [0] * tensor.ndim
    sizes = list(tensor.shape)
    first = True
    for at, count, placement in zip(coordinates, tensor.device_mesh.shape, tensor.placements, strict=True):
        if placement.is_replicate():
            first = first and at == 0
        elif type(placement) is Shard:
            axis = placement.dim
            chunk = math.ceil(sizes[axis] / count)
            before = min(at * chunk, sizes[axis])
            offsets[axis] += before
            sizes[axis] = min(chunk, sizes[axis] - before)
        else:
            raise ValueError(f"a tensor that is shared out as {placement} can only be saved by --checkpoints whole")
    assert sizes == list(local.shape), f"a piece of {sizes} holds {tuple(local.shape)}"
    return Piece(local, tuple(tensor.shape), tuple(offsets)) if first and local.numel() else None
