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
from storage.hub_names import HUB, TOKENIZER, is_hub_model

Config = TypeVar("Config")


class CheckpointError(ValueError):
    """A model folder cannot be used; the message says what is wrong with it."""


def find_model(path: Path) -> Path:
    """Return the model folder that `path` means: itself, its `final`, a run's newest checkpoint, or one on the hub.

    The Hugging Face hub is asked for what reads `hf:owner/name` or `hf:owner/name@revision`, and for nothing else.

    Raises:
        CheckpointError: none of them holds a `model.safetensors`, or the hub has no such model.
    """
    if is_hub_model(path):
        return _download(path)
    for folder in (path, path / "final", *reversed(list_checkpoints(path))):
        if (folder / "model.safetensors").exists() and (folder / "config.json").exists():
            return folder
    if not path.exists():
        raise CheckpointError(f"{path} holds no model: there is no such folder{_hint(path)}")
    raise CheckpointError(
        f"{path} holds no model: expected config.json and model.safetensors in it, in its final/, "
        "or in its checkpoints/"
    )


def is_at_hand(path: Path) -> bool:
    """Whether what names a model is here: there is such a path, or the hub's cache has it."""
    if not is_hub_model(path):
        return path.exists()
    from storage.hub import is_in_cache

    return is_in_cache(path.as_posix())


def brought_tokenizer(gpt: Path) -> Path | None:
    """Return the folder of the tokenizer that a GPT brings along, None if it brings none.

    Raises:
        CheckpointError: there is no GPT.
    """
    for folder in (gpt, find_model(gpt)):
        if (folder / TOKENIZER / "config.json").exists():
            return folder / TOKENIZER
    return None


def hub_commits(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the commits of the models that options, by name, ask the hub for: what is asked for, and its commit.

    Raises:
        CheckpointError: the hub has no such model.
    """
    given = [value for name, value in options.items() if name != "out" and isinstance(value, Path | str)]
    return {str(value): find_model(Path(value)).name for value in given if is_hub_model(value)}


def _download(path: Path) -> Path:
    """Return the folder of a model of the hub.

    Raises:
        CheckpointError: no model can be called so, a folder here is, or it cannot be had.
    """
    # Imported here, so that a model's own file can be imported where the hub's client is not installed.
    from storage.hub import HubError, download_model, parse_hub_id

    if path.exists():
        raise CheckpointError(
            f"{path} is a folder here and also asks for a model of the hub: give the folder's whole path, or ask for "
            "the model from another folder"
        )
    hub_id = parse_hub_id(path.as_posix())
    if hub_id is None:
        raise CheckpointError(f"{path} names no model of the hub: write hf:owner/name or hf:owner/name@revision")
    try:
        return download_model(hub_id)
    except HubError as error:
        raise CheckpointError(
            f"{hub_id} cannot be had from the Hugging Face hub: {error}. Check the spelling, or get it where there is "
            f"internet (hf download {hub_id.repo}) and set HF_HOME to that cache"
        ) from error


def _hint(path: Path) -> str:
    """Return how to ask the hub for what is no folder here, if it could be called so there."""
    from storage.hub import parse_hub_id

    return f" ({HUB}{path} would ask the Hugging Face hub)" if parse_hub_id(f"{HUB}{path.as_posix()}") else ""


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
