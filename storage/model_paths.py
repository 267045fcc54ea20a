"""Which folder holds a model: what people name, here, on the Hugging Face hub, or of those that come with the package.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from storage.checked_files import DamageError, read_json, shortly
from storage.hub_names import HUB, TOKENIZER, is_hub_model, parse_hub_id
from storage.places import check_index, is_there, list_checkpoints
from storage.starters import is_starter, nearest_starter, starter_folder


class CheckpointError(ValueError):
    """A model folder cannot be used; the message says what is wrong with it."""


def find_model(path: Path) -> Path:
    """Return the model folder that `path` means: itself, its `final`, a run's newest checkpoint, or that of a name.

    The Hugging Face hub is asked for what reads `hf:owner/name` or `hf:owner/name@revision`, and for nothing else.
    `starter-clips` and `starter-stills` come with the package, where there is no path that is called so.

    Raises:
        CheckpointError: none of them holds a `model.safetensors` or what stands for it, the hub has no such model, or
            this installation lacks it.
    """
    if is_hub_model(path):
        return _download(path)
    if is_starter(path):
        return _find_starter(path)
    folders = (path, path / "final", *reversed(list_checkpoints(path)))
    for folder in folders:
        if _holds_model(folder):
            return folder
    if not path.exists():
        raise CheckpointError(f"{path} holds no model: there is no such folder{_hint(path)}")
    if path.is_file() and _holds_model(path.parent):
        raise CheckpointError(f"{path} is a file of a model: give the folder it lies in, {path.parent}")
    for folder in folders:
        try:
            check_index(folder / "model.safetensors")
        except DamageError as error:
            from storage.model_folder import remedy  # here, as models are read for it

            raise CheckpointError(f"the model in {folder} is damaged: {error}; {remedy(folder)}") from error
    raise CheckpointError(
        f"{path} holds no model: expected config.json and model.safetensors in it, in its final/, "
        "or in its checkpoints/"
    )


def find_of_kind(path: Path, kind: str) -> Path:
    """Return the model folder that `path` means to those who look for a kind of models: see `find_model`.

    Of a GPT that brings a tokenizer of that kind along it is the tokenizer's; of another kind it is what it is.

    Raises:
        CheckpointError: there is no model.
    """
    folder = find_model(path)
    brought = None if _kind_of(folder) == kind else brought_tokenizer(path)
    return brought if brought is not None and _kind_of(brought) == kind else folder


def check_model(path: Path, kind: str | None = None) -> None:
    """Refuse a path that means no model folder, or one that is of another kind; the hub is not asked.

    Args:
        path: see `find_model`.
        kind: what its config.json, or that of the tokenizer that it brings along, must name, if that can be read.

    Raises:
        CheckpointError: there is no model, or one of another kind.
    """
    if is_hub_model(path):
        return
    found = _kind_of(find_model(path) if kind is None else find_of_kind(path, kind))
    if kind is not None and found not in (None, kind):
        raise other_kind(path, found, kind)


def check_gpt(path: Path) -> None:
    """Refuse a path that means no GPT: see `check_model`."""
    check_model(path, "gpt")


def other_kind(path: Path | str, found: object, wanted: str) -> CheckpointError:
    """Return what is said of a model of another kind than asked for."""
    return CheckpointError(f"{path} holds a {shortly(found)}, not a {wanted}")


def is_at_hand(path: Path) -> bool:
    """Whether what names a model is here: there is such a path, the hub's cache has it, or it came with the package."""
    if is_starter(path):
        folder = starter_folder(path)
        return folder is not None and _holds_model(folder)
    if not is_hub_model(path):
        return path.exists()
    from storage.hub import is_in_cache

    return is_in_cache(path.as_posix())


def is_named(path: Path | str) -> bool:
    """Whether a model is asked for by a name, of the hub or of those that come with the package, and by no path."""
    return is_hub_model(path) or is_starter(path)


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


def _holds_model(folder: Path) -> bool:
    return is_there(folder / "model.safetensors") and (folder / "config.json").exists()


def _find_starter(name: Path) -> Path:
    """Return the folder of a model that comes with the package.

    Raises:
        CheckpointError: this installation lacks it.
    """
    folder = starter_folder(name)
    if folder is not None and _holds_model(folder):
        return folder
    where = "the package `starter`, which is not there" if folder is None else folder
    raise CheckpointError(
        f"{name} comes with secondsight, and this installation lacks its weights: config.json and model.safetensors "
        f"belong into {where}. Install secondsight again, or give a model of your own"
    )


def _kind_of(folder: Path) -> str | None:
    """Return the kind of the model in a folder; None if its config.json does not tell."""
    try:
        config = read_json(folder / "config.json", "config of a model")
    except DamageError:
        return None
    kind = config.get("kind") if isinstance(config, dict) else None
    return kind if isinstance(kind, str) else None


def _download(path: Path) -> Path:
    """Return the folder of a model of the hub.

    Raises:
        CheckpointError: no model can be called so, a folder here is, or it cannot be had.
    """
    # Imported here, so that a model's own file can be imported where the hub's client is not installed.
    from storage.hub import HubError, download_model

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
    """Return what may have been meant by what is no folder here: a model of the package, or one of the hub."""
    near = nearest_starter(path)
    if near is not None:
        return f" (did you mean {near}, which comes with secondsight?)"
    return f" ({HUB}{path} would ask the Hugging Face hub)" if parse_hub_id(f"{HUB}{path.as_posix()}") else ""
