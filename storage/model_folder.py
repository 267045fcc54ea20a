"""Model folders that explain themselves, and where a run keeps them."""

from __future__ import annotations

import json
import math
import os
import shutil
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn

from storage.checked_files import DamageError, on_one_line, read_json, shortly
from storage.config_file import from_json
from storage.files import temporary_path, write_text
from storage.model_paths import CheckpointError, find_model
from storage.options import unknown_name
from storage.places import is_checkpoint, list_checkpoints
from storage.tensor_files import is_finite, save_tensors
from storage.tensor_parts import load_whole

Config = TypeVar("Config")

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
"""Types that weights may have in a file."""

MOST = 2**63
"""What the numbers of a config are below."""

LONGEST = 1000
"""Values in a list of a config, and characters of a text, at most."""


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


def as_type(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a tensor of floating-point numbers rounded to a type, or others, or one beyond its range, as they are.

    Raises:
        ValueError: numbers of a weights file cannot have that type.
    """
    if dtype not in FLOATS:
        names = ", ".join(str(each).removeprefix("torch.") for each in FLOATS)
        raise ValueError(f"weights cannot be stored as {str(dtype).removeprefix('torch.')}: one of {names} is needed")
    if not tensor.is_floating_point():
        return tensor
    rounded = tensor.to(dtype)
    return rounded if is_finite(rounded) or not is_finite(tensor) else tensor


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
        return config, load_whole(folder / "model.safetensors", config)
    except DamageError as error:
        raise CheckpointError(f"the model in {folder} is damaged: {error}; {remedy(folder)}") from error


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = read_json(folder / "config.json", "config of a model")
    except DamageError as error:
        raise CheckpointError(f"the model in {folder} is damaged: {error}; {remedy(folder)}") from error
    if not isinstance(config, dict) or not isinstance(config.get("kind"), str):
        raise CheckpointError(f'the config.json in {folder} has no "kind", and so describes no model')
    return config


def remedy(folder: Path) -> str:
    """Return what to do about a damaged model: its run may have a checkpoint that is whole, for which they are read."""
    run = folder.parent.parent if is_checkpoint(folder) else folder.parent
    whole = next((other for other in reversed(list_checkpoints(run)) if other != folder and _is_usable(other)), None)
    if whole is not None:
        return f"{whole} is whole and can be given instead"
    return "give another checkpoint, or copy or download it again"


def _is_usable(folder: Path) -> bool:
    try:
        load_whole(folder / "model.safetensors", read_json(folder / "config.json", "config of a model"))
    except (DamageError, OSError):
        return False
    return True


def config_from_dict(cls: type[Config], values: Mapping[str, Any], source: Path | str = "config.json") -> Config:
    """Build the dataclass `cls` from a config.json, whose lists become tuples and whose "kind" is left out.

    Types are those of the fields: whole numbers are no true or false, and numbers are finite and no texts.

    Args:
        cls: of the config.
        values: the fields by name.
        source: what they are from, for messages.

    Raises:
        CheckpointError: a key is not a field of `cls` (the nearest is named), a field without a default is missing, or
            a value is not of its type, absurdly large, or not acceptable to `cls`.
    """
    known = _field_types(cls)
    try:
        plain = {name: _value(name, value, known) for name, value in values.items() if name != "kind"}
        return cls(**plain)
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise CheckpointError(
            f"{source} does not describe a {cls.__name__}: {' '.join(str(error).split())}. Take the config.json that "
            "was saved with the weights"
        ) from error


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], source: Path | str) -> None:
    """Load `tensors` into `model`, all of them and nothing else. Floating-point numbers take the type that it has.

    Raises:
        CheckpointError: names, shapes or types disagree, or numbers are NaN or infinite; the first ten are named.
    """
    own = model.state_dict()
    check_fit(own, tensors, source)
    _check_numbers(model, tensors, source)
    model.load_state_dict(dict(tensors), strict=True)


def check_fit(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], source: Path | str) -> None:
    """Refuse tensors that are not those of a model.

    Args:
        own: the state dict of the model, which may lie on the meta device, where it has shapes and no numbers.
        tensors: those that it should have.
        source: what they are from, for the message.

    Raises:
        CheckpointError: names, shapes or types disagree; the first ten are named.
    """
    wrong = [f"{name} is missing" for name in own if name not in tensors]
    wrong += [f"{on_one_line(name)} is not part of the model" for name in tensors if name not in own]
    both = [name for name in own if name in tensors]
    wrong += [
        f"{name} has shape {tuple(tensors[name].shape)}, not {tuple(own[name].shape)}"
        for name in both
        if tensors[name].shape != own[name].shape
    ]
    wrong += [
        f"{name} is of type {_type_name(tensors[name])}, not {_type_name(own[name])}"
        for name in both
        if not _is_type_of(tensors[name], own[name])
    ]
    if wrong:
        raise CheckpointError(f"weights and config in {source} disagree: {'; '.join(wrong[:10])}")


def _check_numbers(model: nn.Module, tensors: Mapping[str, Tensor], source: Path | str) -> None:
    own = model.state_dict()
    bad = [name for name in own if own[name].is_floating_point() and not _is_finite_as(tensors[name], own[name].dtype)]
    # Bounds that do not bind are infinite on purpose, as in timm's networks that clip; so they are as they are built.
    open_ended = {name for name, buffer in model.named_buffers() if buffer.is_floating_point() and buffer.isinf().any()}
    bad = [name for name in bad if name not in open_ended or tensors[name].isnan().any()]
    if bad:
        raise CheckpointError(
            f"the weights in {source} hold numbers that are NaN or infinite, in {', '.join(bad[:10])}: the training "
            "that made them broke down, or the file is damaged. Take an earlier checkpoint"
        )


def _is_finite_as(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Whether all numbers are finite as `dtype`."""
    if torch.finfo(tensor.dtype).max > torch.finfo(dtype).max:
        tensor = tensor.to(dtype)
    return is_finite(tensor)


def _is_type_of(tensor: Tensor, own: Tensor) -> bool:
    return tensor.dtype in FLOATS if own.is_floating_point() else tensor.dtype == own.dtype


def _type_name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _field_types(cls: type[Any]) -> dict[str, Any]:
    """Return the annotations of a dataclass by field; Any where they cannot be looked up."""
    try:
        hints = get_type_hints(cls)
    except NameError:  # a class that was defined within a function
        hints = {}
    return {field.name: hints.get(field.name, Any) for field in fields(cls)}


def _value(name: str, value: Any, known: Mapping[str, Any]) -> Any:
    """Return the value of a field, of the type it has.

    Raises:
        ValueError: there is no such field, or the value is of another type or absurdly large.
    """
    if name not in known:
        raise ValueError(unknown_name("field", on_one_line(name), known))
    if _is_plain(known[name]):
        from_json(name, value, known[name])
    # Numbers stay as they were written: fingerprints of versions before tell 8 and 8.0 apart.
    plain = _tuples(value)
    for part in _parts(plain):
        if isinstance(part, float) and not math.isfinite(part):
            raise ValueError(f"{name} {part} must be a finite number")
        if isinstance(part, int) and abs(part) >= MOST:
            raise ValueError(f"{name} {shortly(part)} is beyond all numbers that a model has")
        if isinstance(part, str | tuple) and len(part) > LONGEST:
            raise ValueError(f"{name} has a length of {len(part):,}, and {LONGEST} is the longest")
    return plain


def _is_plain(annotation: Any) -> bool:
    """Whether `from_json` knows the type; classes of other packages may have any."""
    inner = [each for each in get_args(annotation) if each is not Ellipsis]
    origin = get_origin(annotation)
    if origin is Literal:
        return True
    if origin in (tuple, Union, types.UnionType):
        return all(each is types.NoneType or _is_plain(each) for each in inner)
    return annotation in (int, float, str, bool)


def _parts(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, tuple):
        for part in value:
            yield from _parts(part)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
