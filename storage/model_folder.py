"""Model folders that explain themselves, and where a run keeps them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from storage.checkpoints import list_checkpoints
from storage.files import write_text

Config = TypeVar("Config")


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
    if not path.exists() and (downloaded := _download(path.as_posix())):
        return downloaded
    raise CheckpointError(
        f"{path} holds no model: expected config.json and model.safetensors in it, in its final/, "
        "or in its checkpoints/"
    )


def _download(name: str) -> Path | None:
    """Return the folder of a model on the hub, None if its name does not have the shape of one there."""
    # Imported here, so that a model's own file can be imported where the hub's client is not installed.
    from storage.hub import HubError, download_model, parse_hub_id

    hub_id = parse_hub_id(name)
    if hub_id is None:
        return None
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


def load_model_folder(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read config and weights of the model that `path` means: a model folder, a run folder, or a hub id.

    Returns:
        The content of its `config.json`, which has a "kind", and its tensors by name, on the CPU.

    Raises:
        CheckpointError: there is no model, or a file is damaged.
    """
    folder = find_model(path)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "model.safetensors")
    except (ValueError, SafetensorError) as error:
        raise CheckpointError(f"the model in {folder} is damaged: {error}") from error
    if not isinstance(config, dict) or not isinstance(config.get("kind"), str):
        raise CheckpointError(f'the config.json in {folder} has no "kind", and so describes no model')
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
