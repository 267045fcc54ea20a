"""Reading checkpoints that other programs wrote, without running anything they hold.

A `.pt` or `.ckpt` file is a pickle, and a pickle can call any function of the machine that reads it. Here it is read as
data (see `storage.foreign.pickles`): tensors and plain containers are built. The settings objects that real checkpoints
carry beside their weights (argparse namespaces, callbacks of Lightning, configs) become inert `Settings` that hold
their attributes and can do nothing; a file that names anything else is refused, and what it names is said. What a file
claims is compared with what it holds before memory is taken: a tensor is never larger than its part of the file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from storage.checked_files import RefusedFileError, open_file, shortly
from storage.foreign.archives import ArchiveError
from storage.foreign.files import WHAT, check_weights_file
from storage.foreign.pickles import NamesError, PickleError, Settings
from storage.foreign.torch_files import read_torch, type_name
from storage.model_paths import CheckpointError

__all__ = ["Settings", "check_weights", "read_foreign", "say_converted", "settings_of", "without_wrappers"]

OTHER_TENSORS = ("torch._utils._rebuild_", "torch.sparse.", "torch._tensor.", "torch.Q", "torch.nested.")
"""Beginnings of the names of what is a tensor, but not of plain numbers: quantized, sparse or without numbers."""

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
"""Types of weights, all of which become float32."""

MOST_HEADER = 100_000_000
"""Bytes of the header of a safetensors file, at most, as that format has it."""

WRAPPERS = ("module.", "_orig_mod.")
"""Beginnings of the names of weights of a model that was wrapped for parallel training, or compiled."""

MOST_SHARED = 8
"""How often the bytes of a file may be used, at most: tied weights are twice in a state dict."""


def read_foreign(path: Path) -> dict[str, Any]:
    """Read the top level of a checkpoint that another program wrote; tensors come on the CPU.

    Args:
        path: a `.safetensors` file, or a file written by `torch.save`.

    Raises:
        CheckpointError: the file is missing or damaged, is no dictionary, or holds or claims more than its data.
    """
    try:
        check_weights_file(path)
        content = _read_safetensors(path) if path.suffix == ".safetensors" else read_torch(path)
    except CheckpointError:
        raise
    except RefusedFileError as error:
        raise CheckpointError(str(error)) from error
    except NamesError as error:
        raise CheckpointError(_refusal(path, error.names)) from error
    except (ArchiveError, PickleError, SafetensorError) as error:
        raise CheckpointError(f"{_no_checkpoint(path)}: {error}. {_REMEDY}") from error
    except Exception as error:  # whatever else a damaged file leads to is no reason for a traceback
        raise CheckpointError(f"{_no_checkpoint(path)} ({type(error).__name__}). {_REMEDY}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a dictionary of weights")
    return content


def settings_of(value: Any) -> dict[str, Any]:
    """Return the attributes of a settings object, or the entries of a dictionary."""
    return dict(value) if isinstance(value, dict) else dict(vars(value))


def check_weights(weights: Mapping[Any, Any], path: Path, most_shared: int = MOST_SHARED) -> None:
    """Refuse weights that no model here can have, before anything is made of them.

    Args:
        weights: what should be tensors by name; values that are none are for others to judge.
        path: of the file that they are from.
        most_shared: how often the bytes of that file may be used, at most.

    Raises:
        CheckpointError: a name is no text, a type is one of floating-point numbers of too few bits, or the tensors use
            the same few bytes over and over.
    """
    tensors = {name: value for name, value in weights.items() if isinstance(value, Tensor)}
    for name, tensor in tensors.items():
        if not isinstance(name, str):
            raise CheckpointError(f"{path} has a weight with the name {shortly(name)}, which is no text")
        if tensor.is_floating_point() and tensor.dtype not in FLOATS:
            raise CheckpointError(
                f"{path} has {shortly(name)} in {type_name(tensor.dtype)}, which is for speed and not for keeping: "
                "ask for the weights in float32, float16 or bfloat16"
            )
    held = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors.values()}
    used = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if used > most_shared * sum(held.values()):
        raise CheckpointError(
            f"{path} makes {used:,} bytes of weights out of {sum(held.values()):,}: ask for a file in which every "
            "weight has its own numbers"
        )


def without_wrappers(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return weights without the beginnings that parallel or compiled training puts before all of their names."""
    kept = dict(weights)
    while kept and (found := next((each for each in WRAPPERS if all(name.startswith(each) for name in kept)), None)):
        kept = {name.removeprefix(found): value for name, value in kept.items()}
    return kept


def say_converted(weights: Mapping[str, Any]) -> None:
    """Print of what types weights are that become float32, if they are not."""
    types = Counter(
        type_name(each.dtype) for each in weights.values() if isinstance(each, Tensor) and each.is_floating_point()
    )
    del types["float32"]
    if types:
        named = ", ".join(f"{count} in {name}" for name, count in sorted(types.items()))
        print(f"Converted to float32: weights {named}.")


_REMEDY = "Get the file again, or ask for the weights alone, best as safetensors"


def _no_checkpoint(path: Path) -> str:
    wrote = "no safetensors file" if path.suffix == ".safetensors" else "no checkpoint that torch.save wrote"
    return f"{path} is damaged, or is {wrote}"


def _refusal(path: Path, names: list[str]) -> str:
    if others := [name for name in names if name.startswith(OTHER_TENSORS)]:
        return (
            f"{path} is refused: it holds tensors that are not plain numbers but quantized, sparse, empty or of other "
            f"programs ({', '.join(others[:10])}). Ask for the weights in float32, best as safetensors"
        )
    return (
        f"{path} is refused: it would run {', '.join(names[:10])} when opened, which weights have no use for. "
        "Ask for a file of the weights alone, best as safetensors"
    )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    with open_file(path, WHAT) as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MOST_HEADER:
            raise PickleError(f"its header claims {length:,} bytes")
        # The library takes the last of several entries of one name; its other checks are as strict as can be.
        json.loads(file.read(length) or b"null", object_pairs_hook=_named_once)
    return dict(load_file(path))


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(name for name, _ in pairs)
    for name, count in counts.items():
        if count > 1:
            raise PickleError(f"its header has {shortly(name)} {count} times")
    return dict(pairs)
