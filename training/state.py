"""Checkpoints of a training: they appear by rename, hold all that is needed to go on, and are pruned.

    checkpoints/000500/
        config.json, model.safetensors      the model alone, for `from_pretrained`
        training_state/tensors.safetensors  optimizer moments and further modules
        training_state/state.json           step, validation score, numbers of processes and threads, optimizer settings

Data order, learning rate and random numbers are pure functions of the step, so nothing of them is saved. Everything is
tensors or JSON: nothing here is ever unpickled. Tensors are saved whole, however many processes shared them, so any
number of processes, with or without sharding, can go on.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from storage.checkpoints import best_checkpoint, list_checkpoints
from storage.files import write_text
from storage.model_folder import load_weights, save_model_folder
from storage.pretrained import Pretrained
from storage.terminal import visible
from training.processes import gather_tensors, gather_weights, on_first_process, part_like, process_count, process_index

ADVICE = "the last checkpoint is kept: look at what was read, or train again with a lower --learning-rate"

Optimizers = Mapping[str, torch.optim.Optimizer]
Modules = Mapping[str, nn.Module]


class CheckpointWriteError(OSError):
    """A checkpoint could not be written, as on a full disk; those before it are whole."""


def save_checkpoint(
    run: Path,
    step: int,
    model: Pretrained,
    optimizers: Optimizers,
    modules: Modules | None = None,
    keep: int = 2,
    score: float | None = None,
) -> Path:
    """Write `run/checkpoints/<step>` beside, rename it into place, and prune all but the newest `keep` and the best.

    All processes call it together: each gives the parts of the tensors that it holds, and the first one writes.

    Args:
        run: the run folder.
        step: optimizer steps done.
        model: what is trained, or an average of it.
        optimizers: their states are saved, by name.
        modules: whatever else the training needs to go on, by name.
        keep: how many of the newest checkpoints stay.
        score: how good the model is on held-out data, higher for better; None if it was not measured.

    Raises:
        CheckpointWriteError: the disk is full, or the folder cannot be written.
        FloatingPointError: a weight of the model is not finite.
    """
    weights = gather_weights(model)
    tensors, groups = _gather(optimizers, modules or {})
    state = {
        "step": step,
        "score": score,
        "processes": process_count(),
        "threads": torch.get_num_threads(),
        "param_groups": groups,
    }

    def write() -> Path:
        _remove_unfinished(run)
        final = run / "checkpoints" / f"{step:06d}"
        _check_weights(weights, step)
        try:
            _write(final, model, weights, tensors, state)
        except (OSError, SafetensorError) as error:
            _remove_unfinished(run)
            raise CheckpointWriteError(
                f"the checkpoint of step {step} cannot be written to {run}: {error}; those before it are whole: "
                "make room there and continue with --resume auto"
            ) from error
        _prune(run, keep)
        return final

    return on_first_process(write)


def load_training_state(checkpoint: Path, optimizers: Optimizers, modules: Modules | None = None) -> int:
    """Restore optimizers and modules from `checkpoint`; return the number of steps done.

    Says so if another number of processes or threads goes on: sums are then rounded in another order.

    Raises:
        CheckpointError: a module's weights are not there, or not of its shape.
    """
    folder = checkpoint / "training_state"
    tensors = load_file(folder / "tensors.safetensors")
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    for name, module in (modules or {}).items():
        load_weights(module, _below(f"module.{name}.", tensors), folder)
    for name, optimizer in optimizers.items():
        _restore_optimizer(optimizer, _below(f"optimizer.{name}.", tensors), state["param_groups"][name])
    before = state.get("processes", 1)
    if before != process_count() and process_index() == 0:
        print(
            f"{visible(checkpoint)} was saved by {before} processes and {process_count()} go on: they read the same "
            "samples in the same order, but the run no longer ends with the same bits",
            file=sys.stderr,
        )
    _compare_threads(checkpoint, state.get("threads"))
    return int(state["step"])


def _compare_threads(checkpoint: Path, before: int | None) -> None:
    """Say so if processors go on with another number of threads than a checkpoint was computed with."""
    now = torch.get_num_threads()
    if before is None or before == now or process_index():
        return
    print(
        f"{visible(checkpoint)} was computed with {before} threads and {now} go on: sums may be rounded in another "
        "order, so that the run may not end with the same bits; OMP_NUM_THREADS sets the number",
        file=sys.stderr,
    )


def _gather(optimizers: Optimizers, modules: Modules) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return all tensors, whole on the first process, and the settings of the optimizers."""
    tensors: dict[str, Tensor] = {}
    states = {name: optimizer.state_dict() for name, optimizer in optimizers.items()}
    for name, state in states.items():
        for parameter, values in state["state"].items():
            tensors |= gather_tensors({f"optimizer.{name}.{parameter}.{key}": value for key, value in values.items()})
    for name, module in modules.items():
        tensors |= {f"module.{name}.{key}": value for key, value in gather_weights(module).items()}
    return tensors, {name: state["param_groups"] for name, state in states.items()}


def save_gathered(model: Pretrained, folder: Path) -> Path:
    """Write a model of which every process may hold a part into `folder`; all processes call it together."""
    weights = gather_weights(model)
    on_first_process(lambda: save_model_folder(folder, model.description, weights))
    return folder


def _check_weights(weights: Mapping[str, Tensor], step: int) -> None:
    broken = [name for name, weight in weights.items() if not weight.isfinite().all()]
    if broken:
        raise FloatingPointError(f"after step {step}, {broken[0]} is not finite; {ADVICE}")


def _write(
    final: Path, model: Pretrained, weights: dict[str, Tensor], tensors: dict[str, Tensor], state: dict[str, Any]
) -> None:
    temporary = final.with_name(final.name + ".tmp")
    folder = temporary / "training_state"
    folder.mkdir(parents=True)
    save_model_folder(temporary, model.description, weights)
    save_file(tensors, folder / "tensors.safetensors")
    write_text(folder / "state.json", json.dumps(state))
    for file in temporary.rglob("*"):
        if file.is_file():
            _to_disk(file)  # the name must not be there before the content, should the machine lose its power
    if final.exists():
        _discard(final)
    os.replace(temporary, final)


def _to_disk(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _prune(run: Path, keep: int) -> None:
    complete = list_checkpoints(run)
    kept = {*complete[-keep:], best_checkpoint(run)}
    for old in complete:
        if old not in kept:
            _discard(old)


def _discard(checkpoint: Path) -> None:
    """Remove a checkpoint; killed on the way, it leaves nothing that looks like one."""
    doomed = checkpoint.with_name(checkpoint.name + ".old.tmp")
    os.replace(checkpoint, doomed)
    shutil.rmtree(doomed)


def _remove_unfinished(run: Path) -> None:
    for folder in (run / "checkpoints").glob("*.tmp"):
        shutil.rmtree(folder, ignore_errors=True)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: list[Any]) -> None:
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, key = name.split(".")
        weight = weights[int(number)]
        # A moment has the shape of its weight, and the fused optimizer takes it to lie in memory as that does.
        value = part_like(tensor, weight) if tensor.shape == weight.shape else tensor
        moments.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
