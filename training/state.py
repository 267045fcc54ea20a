"""Checkpoints of a training: they appear by rename, hold all that is needed to go on, and are pruned.

    checkpoints/000500/
        config.json, model.safetensors      the model alone, for `from_pretrained`
        training_state/tensors.safetensors  optimizer moments and further modules
        training_state/state.json           step, score, numbers of processes and threads, optimizer settings, digests,
                                            whether it is kept for good

Data order, learning rate and random numbers are pure functions of the step, so nothing of them is saved. Everything is
tensors or JSON: nothing here is ever unpickled. Tensors are saved whole, or in parts that are joined when they are read
(`storage.tensor_parts`), so any number of processes, with or without sharding, can go on.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from storage.checked_files import DamageError
from storage.checkpoints import load_training_tensors, read_state
from storage.checksums import is_known
from storage.model_folder import load_weights, save_model_folder
from storage.model_paths import CheckpointError
from storage.places import is_in_parts
from storage.pretrained import Pretrained
from storage.tensor_parts import whole_digest
from storage.terminal import visible
from training.parts import gather_weights, part_like
from training.processes import on_first_process, process_count, process_index
from training.snapshots import Modules, Optimizers, take_snapshot
from training.writing import Together, write_checkpoint


def save_checkpoint(
    run: Path,
    step: int,
    model: Pretrained,
    optimizers: Optimizers,
    modules: Modules | None = None,
    keep: int = 2,
    score: float | None = None,
    keep_at: Collection[int] = (),
) -> Path:
    """Write `run/checkpoints/<step>` beside, rename it into place, and prune all but the newest `keep` and the best.

    All processes call it together: each gives the parts of the tensors that it holds, and the first one writes. Runs
    that may be saved otherwise do so by a `training.saving.CheckpointSaver`.

    Args:
        run: the run folder.
        step: optimizer steps done.
        model: what is trained, or an average of it.
        optimizers: their states are saved, by name.
        modules: whatever else the training needs to go on, by name.
        keep: how many of the newest checkpoints stay.
        score: how good the model is on held-out data, higher for better; None if it was not measured.
        keep_at: steps whose checkpoints are never pruned.

    Raises:
        CheckpointWriteError: the disk is full, or the folder cannot be written.
        FloatingPointError: a weight of the model, or a moment of an optimizer, is not finite.
    """
    return write_checkpoint(
        run, take_snapshot(step, model, optimizers, modules, score), keep, Together(), keep_at=keep_at
    )


def check_model(checkpoint: Path, model: Pretrained, config: Any) -> None:
    """Check that the model of a checkpoint is the one that a run trains.

    Args:
        checkpoint: where the model comes from.
        model: as it was loaded.
        config: that the run's options describe.

    Raises:
        CheckpointError: it is another; what differs is named.
    """
    found = asdict(model.config)
    differing = [
        f"{name}: {found[name]!r}, not {value!r}" for name, value in asdict(config).items() if found[name] != value
    ]
    if differing:
        raise CheckpointError(
            f"{checkpoint} is of another model than this run's ({'; '.join(differing)}): remove it, and --resume auto "
            "goes on from the one before, or begin anew with --overwrite"
        )


def load_training_state(checkpoint: Path, optimizers: Optimizers, modules: Modules | None = None) -> int:
    """Restore optimizers and modules from `checkpoint`; return the number of steps done.

    Says so if another number of processes or threads goes on: sums are then rounded in another order.

    Raises:
        CheckpointError: a part is damaged, or of another step, run or model; or it holds NaN.
    """
    folder = checkpoint / "training_state"
    with _refusing(checkpoint):
        state = read_state(checkpoint)
        model = whole_digest(checkpoint / "model.safetensors")
        expected = state.get("digests", {}).get("model")
        if is_known(model) and is_known(expected) and model != expected:
            raise DamageError(f"{checkpoint / 'model.safetensors'} is of another step or another run than {folder}")
        tensors = load_training_tensors(checkpoint, state)
    for name, module in (modules or {}).items():
        load_weights(module, _below(f"module.{name}.", tensors), folder)
    for name, optimizer in optimizers.items():
        try:
            _restore_optimizer(optimizer, _below(f"optimizer.{name}.", tensors), state["param_groups"][name])
        except (ValueError, KeyError, IndexError, TypeError, RuntimeError) as error:
            raise CheckpointError(
                f"{folder} does not fit the optimizer {name} of this run ({error}): it is of another model, or "
                "damaged; give another checkpoint"
            ) from error
    _compare_processes(checkpoint, state.get("processes", 1))
    _compare_threads(checkpoint, state.get("threads"))
    return int(state["step"])


def _compare_processes(checkpoint: Path, before: int) -> None:
    """Say so if another number of processes goes on than a checkpoint was saved by."""
    if before == process_count() or process_index():
        return
    how = ", whose parts are joined," if is_in_parts(checkpoint / "model.safetensors") else ""
    print(
        f"{visible(checkpoint)} was saved by {before} processes{how} and {process_count()} go on: they read the same "
        "samples in the same order, but the run no longer ends with the same bits",
        file=sys.stderr,
    )


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


@contextmanager
def _refusing(checkpoint: Path) -> Iterator[None]:
    """Say what to do about what is damaged in a checkpoint."""
    try:
        yield
    except (DamageError, FileNotFoundError, NotADirectoryError) as error:
        raise CheckpointError(
            f"the checkpoint {checkpoint} cannot be gone on from: {error}; give another checkpoint, or the run folder "
            "with --resume auto, which falls back to the newest that is whole"
        ) from error


def save_gathered(model: Pretrained, folder: Path) -> Path:
    """Write a model of which every process may hold a part into `folder`; all processes call it together."""
    weights = gather_weights(model)
    on_first_process(lambda: save_model_folder(folder, model.content, weights))
    return folder


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: list[Any]) -> None:
    """Give an optimizer the moments and settings of a checkpoint.

    Raises:
        ValueError: they are of other weights, or of wrong types.
        IndexError: they are of more weights.
        RuntimeError: they are of other shapes.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, key = name.split(".")
        weight = weights[int(number)]
        if tensor.ndim and tensor.shape != weight.shape:
            raise ValueError(f"{key} of weight {number} has shape {tuple(tensor.shape)}, not {tuple(weight.shape)}")
        # A moment has the shape of its weight, and the fused optimizer takes it to lie in memory as that does.
        value = part_like(tensor, weight) if tensor.shape == weight.shape else tensor
        moments.setdefault(int(number), {})[key] = value
    for group, own in zip(groups, optimizer.param_groups, strict=True):
        wrong = [name for name, value in own.items() if name != "params" and not _is_like(group.get(name), value)]
        if wrong:
            raise ValueError(f"{wrong[0]} is {group.get(wrong[0])!r}")
    optimizer.load_state_dict({"state": moments, "param_groups": groups})


def _is_like(value: Any, own: Any) -> bool:
    """Whether a setting from a file can take the place of an optimizer's own; what is no number is not looked at."""
    if isinstance(own, tuple | list):
        return isinstance(value, tuple | list) and len(value) == len(own) and all(map(_is_like, value, own))
    if isinstance(own, int | float) and not isinstance(own, bool):
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return True
