"""Models that several processes share: each holds a part of every weight, its gradient and its moments (FSDP2).

A part of the model that computes, a unit, gathers its weights from all processes that share them just before it is
needed, and lets them go afterwards (Zhao et al. 2023). Numbers are those of data-parallel training under autocast: in
bf16 only what autocast would lower travels in bf16, gradients are summed in fp32.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from training.options import Sharing
from training.processes import from_first_process, gather_values, process_count


def check_sharing(sharing: Sharing) -> None:
    """Check that there are the processes to share a model; all processes call it together.

    Args:
        sharing: the value of `--shard`.

    Raises:
        ValueError: there is one process only, or one per node, or the nodes run different numbers of them.
    """
    if sharing == "none":
        return
    if process_count() == 1:
        raise ValueError(
            f"--shard {sharing} shares the model among processes, and there is one: start several with accelerate "
            "launch --multi_gpu --num_processes N, or leave --shard out"
        )
    if sharing == "node" and processes_per_node() == 1:
        raise ValueError(
            "--shard node shares the model among the processes of a node, and every node runs one: use --shard full "
            "to share it among all nodes, or leave --shard out"
        )


def processes_per_node() -> int:
    """Return how many processes every node runs; all processes call it together.

    Launchers say it in LOCAL_WORLD_SIZE; where one does not, processes on machines of the same name count as a node's.

    Raises:
        ValueError: the nodes run different numbers.
    """
    said = gather_values(int(os.environ.get("LOCAL_WORLD_SIZE", 0)))
    hosts = gather_values(socket.gethostname())
    counts = set(said) if all(said) else {hosts.count(host) for host in hosts}
    if len(counts) > 1:
        numbers = " and ".join(map(str, sorted(counts)))
        raise ValueError(
            f"--shard node needs equally many processes on every node, and there are nodes of {numbers}: start the "
            "same number on each, or use --shard full"
        )
    return counts.pop()


def share_out(model: nn.Module, units: Iterable[nn.Module], sharing: Sharing, accelerator: Accelerator) -> nn.Module:
    """Share a model out among processes, in place, and return what trains it; all processes call it together.

    All begin with the weights of the first process. Call it before the optimizer is made, whose moments are then as
    small as the weights.

    Args:
        model: on any device; it may be called, scored and saved as before, by all processes together.
        units: parts of it that gather their weights one after another, whose matrices autocast may lower; what is
            in none of them is gathered once a step, in fp32.
        sharing: `full`, among all processes, or `node`, among those of a node, while nodes hold replicas.
        accelerator: says device and precision, and compiles.
    """
    device = accelerator.device
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.copy_(from_first_process(tensor.detach().to(device)))
    mesh = _mesh(sharing, device.type)
    lowered = accelerator.mixed_precision == "bf16"
    # Inputs stay as they are: the residual stream and the rotations of positions need the digits of fp32.
    policy = MixedPrecisionPolicy(torch.bfloat16 if lowered else None, torch.float32, cast_forward_inputs=False)
    for unit in units:
        fully_shard(unit, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=MixedPrecisionPolicy(cast_forward_inputs=False))
    # What accelerate adds without wrapping the model once more: autocast around `forward`, and the compiler.
    prepared: nn.Module = accelerator.prepare_model(model, evaluation_mode=True)
    return prepared


def _mesh(sharing: Sharing, device: str) -> DeviceMesh:
    """Return which processes share a model, on devices of a type, and which hold replicas of what."""
    processes = process_count()
    shared = processes if sharing == "full" else processes_per_node()
    if shared == processes:
        return init_device_mesh(device, (processes,), mesh_dim_names=("shard",))
    return init_device_mesh(device, (processes // shared, shared), mesh_dim_names=("replicate", "shard"))


@contextmanager
def more_to_come(accelerator: Accelerator, model: nn.Module) -> Iterator[None]:
    """Within it, gradients wait for those of further parts of the batch before processes exchange them.

    Processes that share a model still exchange parts: none of them has room for all gradients. Replicas wait.

    Args:
        accelerator: prepared the model.
        model: what is trained, compiled or not.
    """
    plain = accelerator.unwrap_model(model, keep_torch_compile=False)
    if not isinstance(plain, FSDPModule):
        with accelerator.no_sync(model):
            yield
        return
    plain.set_requires_all_reduce(False)
    try:
        yield
    finally:
        plain.set_requires_all_reduce(True)
