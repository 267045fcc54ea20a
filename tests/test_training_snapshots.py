"""What each process writes of a checkpoint: every number of a tensor once, whoever holds it besides."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from tiny import GPT_SHORT
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard
from torch.testing._internal.distributed.fake_pg import FakeStore

from gpt.model import GPT
from storage.places import part_path
from storage.tensor_files import save_tensors
from storage.tensor_parts import Part, load_whole, write_index
from training.snapshots import Pieces, Staging, take_snapshot

NAME = "optimizer.shared.0.exp_avg"
WHOLE = torch.arange(35.0).view(5, 7)


@pytest.fixture(autouse=True)
def no_group_left() -> Iterator[None]:
    yield
    if dist.is_initialized():
        dist.destroy_process_group()


def taken(process: int, placements: tuple[Placement, Placement]) -> Pieces:
    """What one of four processes, two by two, writes of a tensor that they share."""
    dist.init_process_group("fake", store=FakeStore(), rank=process, world_size=4)
    mesh = init_device_mesh("cpu", (2, 2))
    share = WHOLE
    for placement, at in zip(placements, divmod(process, 2), strict=True):
        if isinstance(placement, Shard):
            share = share.chunk(2, placement.dim)[at]
    tensor = DTensor.from_local(share.contiguous(), mesh, placements, run_check=False, shape=WHOLE.shape, stride=(7, 1))
    pieces = pieces_of(tensor)
    dist.destroy_process_group()
    return pieces


def pieces_of(moment: Tensor) -> Pieces:
    """What this process writes of the state of an optimizer that has one moment."""
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight])
    # Not as a weight: operations on sharded tensors are remembered with the place of the first process that did them.
    optimizer.state[weight] = {"exp_avg": moment}
    return take_snapshot(1, GPT(GPT_SHORT), {"shared": optimizer}, in_parts=True).tensors


@pytest.mark.parametrize(
    ("placements", "writers"),
    [
        ((Replicate(), Shard(0)), [0, 1]),
        ((Shard(0), Replicate()), [0, 2]),
        ((Shard(0), Shard(1)), [0, 1, 2, 3]),
        ((Shard(1), Shard(0)), [0, 1, 2, 3]),
        ((Shard(0), Shard(0)), [0, 1, 2, 3]),
        ((Replicate(), Replicate()), [0]),
    ],
)
def test_every_number_is_written_once(
    tmp_path: Path, placements: tuple[Placement, Placement], writers: list[int]
) -> None:
    path = tmp_path / "tensors.safetensors"
    parts = []
    for process in range(4):
        pieces = taken(process, placements)
        assert set(pieces) == ({NAME} if process in writers else set())
        file = part_path(path, process, 4)
        digest = save_tensors(file, {name: piece.tensor for name, piece in pieces.items()}) if pieces else None
        parts.append(Part(digest, {name: piece.place for name, piece in pieces.items()}))
    write_index(path, parts)
    assert torch.equal(load_whole(path)[NAME], WHOLE)


def test_a_process_without_rows_writes_nothing() -> None:
    dist.init_process_group("fake", store=FakeStore(), rank=3, world_size=4)
    mesh = init_device_mesh("cpu", (4,))
    size = torch.Size((3, 2))
    tensor = DTensor.from_local(torch.empty(0, 2), mesh, [Shard(0)], run_check=False, shape=size, stride=(2, 1))
    assert pieces_of(tensor) == {}


def test_what_all_processes_hold_the_first_writes() -> None:
    found = []
    for process in range(2):
        dist.init_process_group("fake", store=FakeStore(), rank=process, world_size=2)
        found.append(take_snapshot(1, GPT(GPT_SHORT), {}, in_parts=True).weights)
        dist.destroy_process_group()
    assert (len(found[0]), len(found[1])) == (len(GPT(GPT_SHORT).state_dict()), 0)


@pytest.mark.parametrize("tensor", [torch.randn(3, 4).t(), torch.tensor(2), torch.ones(2, dtype=torch.bfloat16)])
def test_memory_of_copies_is_taken_once(tensor: Tensor) -> None:
    staging = Staging()
    first = staging.hold("w", tensor)
    again = staging.hold("w", tensor + 1)
    assert first.data_ptr() == again.data_ptr()
    assert torch.equal(again, tensor + 1)
    assert again.is_contiguous()


def test_another_shape_takes_other_memory() -> None:
    staging = Staging()
    first = staging.hold("w", torch.zeros(2))
    assert staging.hold("w", torch.ones(3)).tolist() == [1, 1, 1]
    assert first.tolist() == [0, 0]
