"""Model folders that explain themselves, and where a run keeps them. `training.state` writes a run's checkpoints."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.hub import HubError, HubId, download_model, parse_hub_id
from training.run_folder import write_text

Config = TypeVar("Config")


def list_checkpoints(run: Path) -> list[Path]:
    """Return the complete checkpoints of a run, oldest first. Folders still being written do not count."""
    # From a million steps on, names are longer and no longer in alphabetical order.
    complete = (path for path in (run / "checkpoints").glob("*") if path.name.isdigit())
    return sorted(complete, key=lambda path: int(path.name))


def newest_checkpoint(run: Path) -> Path | None:
    """Return the newest complete checkpoint of a run, or None before the first."""
    return next(reversed(list_checkpoints(run)), None)


def best_checkpoint(run: Path) -> Path | None:
    """Return the complete checkpoint of the best validation score, the oldest of equals; None if none has a score."""
    scored = {path: score for path in list_checkpoints(run) if (score := _score(path)) is not None}
    return max(scored, key=scored.__getitem__, default=None)


def _score(checkpoint: Path) -> float | None:
    state = json.loads((checkpoint / "training_state" / "state.json").read_text(encoding="utf-8"))
    return cast("float | None", state.get("score"))  # absent where there was no validation


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
