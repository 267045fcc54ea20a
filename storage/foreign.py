"""Reading checkpoints that other programs wrote, without running anything they hold.

A `.pt` or `.ckpt` file is a pickle, and a pickle can call any function of the machine that reads it. Here only tensors
and plain containers are built. The settings objects that real checkpoints carry beside their weights (argparse
namespaces, callbacks of Lightning, configs) become inert `Settings` that hold their attributes and can do nothing;
a file that names anything else is refused, and what it names is said.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from storage.model_folder import CheckpointError

# Packages whose objects are settings that real checkpoints carry; none of them is ever imported.
SETTINGS = ("argparse.Namespace", "mingpt.", "pytorch_lightning.", "lightning.", "omegaconf.", "pathlib.")


class Settings:
    """An object of another program of which only the attributes are kept."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments


def read_foreign(path: Path) -> dict[str, Any]:
    """Read the top level of a checkpoint that another program wrote; tensors come on the CPU.

    Args:
        path: a `.safetensors` file, or a file written by `torch.save`.

    Raises:
        CheckpointError: the file is missing or damaged, is no dictionary, or holds more than data.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint file {path}")
    if path.suffix == ".safetensors":
        try:
            return dict(load_file(path))
        except SafetensorError as error:
            raise CheckpointError(f"{path} is damaged: {error}") from error
    content = _read_pickle(path)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a dictionary of weights")
    return content


def settings_of(value: Any) -> dict[str, Any]:
    """Return the attributes of a settings object, or the entries of a dictionary."""
    return dict(value) if isinstance(value, dict) else dict(vars(value))


def _read_pickle(path: Path) -> Any:
    named = _named(path)
    _refuse(path, [name for name in named if not name.startswith(SETTINGS)])
    try:
        with warnings.catch_warnings(), safe_globals([(type(name, (Settings,), {}), name) for name in named]):
            warnings.simplefilter("ignore")  # about newer pickle protocols, which either work or fail below
            # Mapped, so that what nobody asks for (optimizer moments, mostly) is never read into memory.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a damaged pickle can fail in any way
        # torch's own message goes on to advise the very thing that must not be done, so it is not passed on.
        _refuse(path, re.findall(r"GLOBAL (\S+) (?:was not an allowed|whose module)", str(error)))
        raise CheckpointError(f"{path} is damaged, or is no checkpoint that torch.save wrote") from error


def _named(path: Path) -> list[str]:
    """Return the functions and classes that a checkpoint names beside those of tensors."""
    if not zipfile.is_zipfile(path):
        return []  # files from before torch 1.6 cannot be looked through first: they may hold tensors only
    try:
        return get_unsafe_globals_in_checkpoint(path)
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{path} is an archive, but none that torch.save wrote: a TorchScript program, perhaps, which is refused"
        ) from error


def _refuse(path: Path, names: list[str]) -> None:
    if names:
        raise CheckpointError(
            f"{path} is refused: it would run {', '.join(names[:10])} when opened, which weights have no use for. "
            "Ask for a file of the weights alone, best as safetensors"
        )
