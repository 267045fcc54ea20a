"""Checkpoints that explain themselves, appear by rename, and resume exactly.

    checkpoints/000500/
        config.json, model.safetensors      the model alone, for `from_pretrained`
        training_state/tensors.safetensors  optimizer moments, further modules and the random state
        training_state/state.json           step and optimizer settings

Everything is tensors or JSON: nothing here is ever unpickled.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.hub import HubError, HubId, download_model, parse_hub_id
from training.run_folder import write_text

Config = TypeVar("Config")


def save_checkpoint(
    run: Path,
    step: int,
    save_model: Callable[[Path], None],
    optimizers: Mapping[str, torch.optim.Optimizer],
    modules: Mapping[str, nn.Module] | None = None,
    keep: int = 2,
) -> Path:
    """Write `run/checkpoints/<step>` beside and rename it into place, then prune all but the newest `keep`.

    Args:
        run: the run folder.
        step: optimizer steps done.
        save_model: writes `config.json` and `model.safetensors` into the folder it is given.
        optimizers: their states are saved, by name, with the process's random state.
        modules: whatever else the training needs to go on, by name.
        keep: how many checkpoints stay.
    """
    final = run / "checkpoints" / f"{step:06d}"
    temporary = final.with_name(final.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "training_state").mkdir(parents=True)
    save_model(temporary)
    _save_training_state(temporary / "training_state", step, optimizers, modules or {})
    shutil.rmtree(final, ignore_errors=True)
    os.replace(temporary, final)
    for old in list_checkpoints(run)[:-keep]:
        shutil.rmtree(old)
    return final


def list_checkpoints(run: Path) -> list[Path]:
    """Return the complete checkpoints of a run, oldest first. Folders still being written do not count."""
    # From a million steps on, names are longer and no longer in alphabetical order.
    complete = (path for path in (run / "checkpoints").glob("*") if path.name.isdigit())
    return sorted(complete, key=lambda path: int(path.name))


def newest_checkpoint(run: Path) -> Path | None:
    """Return the newest complete checkpoint of a run, or None before the first."""
    return next(reversed(list_checkpoints(run)), None)


def load_training_state(
    checkpoint: Path,
    optimizers: Mapping[str, torch.optim.Optimizer],
    modules: Mapping[str, nn.Module] | None = None,
) -> int:
    """Restore optimizers, modules and random state from `checkpoint`; return the number of steps done.

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
    torch.set_rng_state(tensors["random.cpu"])
    return int(state["step"])


class CheckpointError(ValueError):
    """A model folder cannot be used; the message says what is wrong with it."""


def find_model(path: Path) -> Path:
    """Return the model folder that `path` means: itself, its `final`, a run's newest checkpoint, or one on the hub.

    What exists nowhere here and reads `owner/name` or `owner/name@revision` is looked up on the Hugging Face hub.

    Raises:
        CheckpointError: none of them holds a `model.safetensors`, or the hub has no such model.
    """
    for folder in (path, path / "final", *reversed(list_checkpoints(path))):
        if (folder / "model.safetensors").exists() and (folder / "config.json").exists():
            return folder
    hub_id = parse_hub_id(path.as_posix())
    if hub_id is not None and not path.exists():
        return _download(hub_id)
    raise CheckpointError(
        f"{path} holds no model: expected config.json and model.safetensors in it, in its final/, "
        "or in its checkpoints/"
    )


def _download(hub_id: HubId) -> Path:
    try:
        return download_model(hub_id)
    except HubError as error:
        raise CheckpointError(
            f"{hub_id} is neither a folder here nor a model to be had from the Hugging Face hub: {error}. Check the "
            f"spelling, or get it where there is internet (hf download {hub_id.repo}) and set HF_HOME to that cache"
        ) from error


def save_model_folder(folder: Path, config: dict[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a self-describing model folder: `config.json` and `model.safetensors`."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / "model.safetensors.tmp"
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary)
    write_text(folder / "config.json", json.dumps(config, indent=2))
    # The library writes files that only their owner can read; models are there to be shared.
    shutil.copymode(folder / "config.json", temporary)
    os.replace(temporary, folder / "model.safetensors")


def load_model_folder(path: Path, *kinds: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read config and weights of the model that `path` means.

    Args:
        path: a model folder, a run folder, or a hub id.
        kinds: the values of the config's "kind" that will do.

    Raises:
        CheckpointError: there is no model, it is of another kind, or a file is damaged.
    """
    folder = find_model(path)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "model.safetensors")
    except (ValueError, SafetensorError) as error:
        raise CheckpointError(f"the model in {folder} is damaged: {error}") from error
    if config.get("kind") not in kinds:
        raise CheckpointError(f"{folder} holds a {config.get('kind')!r}, not a {' or '.join(kinds)}")
    return config, tensors


def config_from_dict(cls: type[Config], values: Mapping[str, Any]) -> Config:
    """Build the dataclass `cls` from a config.json, whose lists become tuples and whose "kind" is left out.

    Raises:
        CheckpointError: a key is not a field of `cls`, or a value is not acceptable to it.
    """
    plain = {key: _tuples(value) for key, value in values.items() if key != "kind"}
    try:
        return cls(**plain)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"config.json does not describe a {cls.__name__}: {error}") from error


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], source: Path | str) -> None:
    """Load `tensors` into `model`, all of them and nothing else.

    Raises:
        CheckpointError: names or shapes disagree; the first ten are named.
    """
    own = model.state_dict()
    wrong = [f"{name} is missing" for name in own if name not in tensors]
    wrong += [f"{name} is not part of the model" for name in tensors if name not in own]
    wrong += [
        f"{name} has shape {tuple(tensors[name].shape)}, not {tuple(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    if wrong:
        raise CheckpointError(f"weights and config in {source} disagree: {'; '.join(wrong[:10])}")
    model.load_state_dict(dict(tensors), strict=True)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: list[Any]) -> None:
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        parameter, key = name.split(".")
        moments.setdefault(int(parameter), {})[key] = tensor
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    for weight, values in cast(dict[Tensor, dict[str, Tensor]], optimizer.state).items():
        for kind, value in values.items():
            if value.shape == weight.shape:
                # Files hold contiguous tensors; the fused optimizer takes moments to lie in memory as parameters do.
                values[kind] = torch.empty_like(weight).copy_(value)


def _save_training_state(
    folder: Path, step: int, optimizers: Mapping[str, torch.optim.Optimizer], modules: Mapping[str, nn.Module]
) -> None:
    tensors = {"random.cpu": torch.get_rng_state()}
    states = {name: optimizer.state_dict() for name, optimizer in optimizers.items()}
    for name, state in states.items():
        for parameter, values in state["state"].items():
            tensors |= {f"optimizer.{name}.{parameter}.{key}": value for key, value in values.items()}
    for name, module in modules.items():
        tensors |= {f"module.{name}.{key}": value for key, value in module.state_dict().items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(tensors, folder / "tensors.safetensors")
    groups = {name: state["param_groups"] for name, state in states.items()}
    write_text(folder / "state.json", json.dumps({"step": step, "param_groups": groups}))
