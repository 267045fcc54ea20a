"""Checkpoints as `torch.save` writes them, with entries of a test's own, for guards that no honest file meets."""

import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK%ctQ"
"""The opcodes of a storage "0" of so many numbers, as a format of one byte."""


def rebuilt(shape: bytes, strides: bytes, offset: bytes = b"K\x00", numbers: int = 4) -> bytes:
    """Return a pickle of a dictionary with one tensor `w` over a storage "0" of so many float32 numbers.

    Args:
        shape: opcodes of a tuple.
        strides: opcodes of a tuple.
        offset: opcodes of a number.
        numbers: below 256.
    """
    stored = STORAGE.replace(b"%c", bytes([numbers]))
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + stored + offset + shape + strides + b"\x89}tR"
    return b"\x80\x02}X\x01\x00\x00\x00w" + tensor + b"s."


def write_archive(
    path: Path, data: bytes, entries: Mapping[str, bytes] | None = None, method: int = zipfile.ZIP_STORED
) -> Path:
    """Write an archive with a pickle and, without others, a storage "0" of the numbers 0 to 3."""
    entries = entries if entries is not None else {"data/0": struct.pack("<4f", 0, 1, 2, 3)}
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in {"data.pkl": data, "byteorder": b"little", **entries}.items():
            archive.writestr(f"a/{name}", content)
    return path


def repack(source: Path, target: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write the entries of an archive anew, compressed or not."""
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w", method) as after:
        for info in before.infolist():
            after.writestr(info.filename, before.read(info))
    return target


def flip(path: Path, position: int) -> Path:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 0x10
    path.write_bytes(content)
    return path


def bare(value: Any, protocol: int = 2) -> bytes:
    """Return the pickle of a plain value."""
    return pickle.dumps(value, protocol)


def legacy(path: Path, value: Any) -> Path:
    """Write a file as torch did before 1.6."""
    torch.save(value, path, _use_new_zipfile_serialization=False)
    return path
