"""Model folders that explain themselves, and where a run keeps them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from storage.checkpoints import is_checkpoint, list_checkpoints, read_json
from storage.checksums import DamageError
from storage.files import temporary_path, write_text
from storage.tensor_files import load_tensors, save_tensors

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


def save_model_folder(folder: Path, config: dict[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Write a self-describing model folder, `config.json` and `model.safetensors`, and return its digest.

    Raises:
        OSError: the disk is full, or the folder cannot be written; it names the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / "model.safetensors"
    temporary = temporary_path(final)
    content = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        digest = save_tensors(temporary, content, config)
        write_text(folder / "config.json", json.dumps(config, indent=2))
        # The library writes files that only their owner can read; models are there to be shared.
        shutil.copymode(folder / "config.json", temporary)
        os.replace(temporary, final)
    finally:
        temporary.unlink(missing_ok=True)
    return digest


def load_model_folder(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read config and weights of the model that `path` means: a model folder, a run folder, or a hub id.

    They are compared with the digest that was written with them. Files of other programs and of versions before have
    none.

    Returns:
        The content of its `config.json`, which has a "kind", and its tensors by name, on the CPU.

    Raises:
        CheckpointError: there is no model, a file is damaged, or the config was changed by hand.
    """
    folder = find_model(path)
    config = _read_config(folder)
    try:
        return config, load_tensors(folder / "model.safetensors", config)
    except DamageError as error:
        raise CheckpointError(f"the model in {folder} is damaged: {error}; {_remedy(folder)}") from error


def load_model_config(path: Path) -> dict[str, Any]:
    """Read the config alone of the model that `path` means; its weights are not looked at.

    Raises:
        CheckpointError: there is no model, or its config is damaged.
    """
    return _read_config(find_model(path))


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = read_json(folder / "config.json")
    except DamageError as error:
        raise CheckpointError(f"the model in {folder} is damaged: {error}; {_remedy(folder)}") from error
    if not isinstance(config, dict) or not isinstance(config.get("kind"), str):
        raise CheckpointError(f'the config.json in {folder} has no "kind", and so describes no model')
    return config


def _remedy(folder: Path) -> str:
    """Return what to do about a damaged model: its run may have a checkpoint that is whole."""
    run = folder.parent.parent if is_checkpoint(folder) else folder.parent
    whole = next((other for other in reversed(list_checkpoints(run)) if other != folder and _is_usable(other)), None)
    if whole is not None:
        return f"{whole} is whole and can be given instead"
    return "give another checkpoint, or copy or download it again"


def _is_usable(folder: Path) -> bool:
    try:
        load_tensors(folder / "model.safetensors", read_json(folder / "config.json"))
    except (DamageError, OSError):
        return False
    return True


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
