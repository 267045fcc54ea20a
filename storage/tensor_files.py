"""Files of named tensors (safetensors) that carry their digest: a damaged one is noticed when it is read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from storage.checked_files import DamageError, check_file
from storage.checksums import digest_of_tensors, is_known
from storage.naming import naming

# The only one: the library writes several in an order that differs between calls (safetensors 0.8.0), and then the same
# weights would no longer be the same bytes.
KEY = "digest"


def save_tensors(path: Path, tensors: Mapping[str, Tensor], config: Any = None) -> str:
    """Write named tensors of any dtype and shape with their digest, and return it.

    Args:
        path: of the file.
        tensors: contiguous, and none a part of another.
        config: of the config.json beside them; it goes into the digest alone.

    Raises:
        OSError: the disk is full, or the file cannot be written; it names the file.
    """
    digest = digest_of_tensors(tensors, config)
    with naming(path), _system_errors(path):
        save_file(dict(tensors), path, metadata={KEY: digest})
    return digest


def load_tensors(path: Path, config: Any = None, expected: object = None) -> dict[str, Tensor]:
    """Read named tensors, onto the CPU, and compare them with the digests that are known of them.

    Args:
        path: of the file.
        config: of the config.json beside them, if there is one.
        expected: the digest that another file has of them, beside that in the file itself; None if there is none.

    Raises:
        DamageError: the file is damaged, was not written with `config`, or has another digest than `expected`. Files
            of other programs and of versions before have no digest, and are not compared.
        OSError: the file cannot be read.
    """
    recorded = recorded_digest(path)
    try:
        with naming(path), _system_errors(path):
            tensors = load_file(path)
    except SafetensorError as error:
        raise DamageError(f"{path} is damaged: {error}") from error
    if is_known(recorded) or is_known(expected):
        actual = digest_of_tensors(tensors, config)
        if is_known(recorded) and actual != recorded:
            raise DamageError(_what_changed(path, str(recorded), actual))
        if is_known(expected) and actual != expected:
            raise DamageError(f"{path} is of another step or another run than training_state/state.json")
    return tensors


def recorded_digest(path: Path) -> str | None:
    """Return the digest that a file of tensors carries; None if it has none.

    Raises:
        DamageError: the file is damaged.
        OSError: the file cannot be read.
    """
    check_file(path, "weights file")
    try:
        with naming(path), _system_errors(path), safe_open(path, "pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except SafetensorError as error:
        raise DamageError(f"{path} is damaged: {error}") from error
    return metadata.get(KEY)


def check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Check that no number of named tensors is NaN or infinite.

    Raises:
        DamageError: one is; it names `path`, which they were read from, and the tensor.
    """
    broken = [name for name, tensor in tensors.items() if not is_finite(tensor)]
    if broken:
        raise DamageError(f"{path} holds NaN or infinite numbers, in {broken[0]}")


def _what_changed(path: Path, recorded: str, actual: str) -> str:
    """Say whether tensors or the config beside them are not those of a recorded digest."""
    if recorded.split(":")[:2] == actual.split(":")[:2]:
        return f"{path.with_name('config.json')} is not as written with the weights beside it"
    return f"{path} is not as written"


def is_finite(tensor: Tensor) -> bool:
    """Whether a tensor of any dtype and shape holds no NaN and no infinite number."""
    if not tensor.is_floating_point():
        return True
    # A sum is not finite if one of its numbers is not, and takes no memory. If it overflows, all are looked at.
    total = tensor.sum(dtype=torch.promote_types(tensor.dtype, torch.float32))
    return bool(total.isfinite()) or bool(tensor.isfinite().all())


@contextmanager
def _system_errors(path: Path) -> Iterator[None]:
    """Raise what the operating system says through the safetensors library, in words alone, as Python does."""
    try:
        yield
    except (SafetensorError, OSError) as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        code = int(number[1])
        raise OSError(code, os.strerror(code), str(path)) from error
