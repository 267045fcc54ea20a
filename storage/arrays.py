"""Arrays in an .npz file, with a digest of them and the name of what they belong to.

Files of earlier versions have neither; those are taken as they are.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from storage.checked_files import FaultError, check_size
from storage.files import atomic_write

SEAL = "seal"
"""Name of the array that holds the digest, and what the others belong to, as JSON."""

LARGEST = 1 << 31
"""Bytes of all arrays of a file, at most."""

READING = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What zipfile and numpy raise on files that say something odd."""


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], of: str = "") -> None:
    """Write arrays of any shapes, none of objects; the file appears complete or not at all.

    Args:
        path: of the file.
        arrays: by name; `seal` is taken.
        of: digest of what they belong to.
    """
    content = pack_arrays(arrays, of)
    atomic_write(path, lambda file: file.write(content))


def pack_arrays(arrays: Mapping[str, NDArray[Any]], of: str = "") -> bytes:
    """Return the content of the file that `save_arrays` writes."""
    sealed: dict[str, Any] = {**arrays, SEAL: np.array(json.dumps({"of": of, "sha256": _digest(arrays)}))}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **sealed)
    return buffer.getvalue()


def load_arrays(path: Path, of: str = "", largest: int = LARGEST) -> dict[str, NDArray[Any]]:
    """Return the arrays that `save_arrays` wrote.

    Args:
        path: of the file.
        of: what they must belong to; anything if empty.
        largest: bytes of all of them, at most.

    Raises:
        FileNotFoundError: it is not there.
        FaultError: the file is damaged, claims more than it can hold, or belongs to something else.
    """
    check_size(path, largest)
    try:
        arrays = _read(path, largest)
        seal = json.loads(str(arrays.pop(SEAL))) if SEAL in arrays else None
        whole = seal is None or seal["sha256"] == _digest(arrays)
        owner = of if seal is None else seal["of"]
    except READING as error:
        raise FaultError(f"it cannot be read: {error}") from error
    if not whole:
        raise FaultError("it does not hold what was written")
    if of not in ("", owner):
        raise FaultError("it belongs to something else")
    return arrays


def _read(path: Path, largest: int) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > largest:
            raise FaultError(f"its arrays are said to take more than {largest:,} bytes")
        for member in members:
            _check_header(archive, member)
    with np.load(path, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}


def _check_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Check that an array is as large as its member, before memory is taken for what its header says."""
    with archive.open(member) as file:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
        if dtype.hasobject or math.prod(shape) * dtype.itemsize + file.tell() != member.file_size:
            raise FaultError(f"{member.filename} is said to be {shape} of {dtype}, in {member.file_size:,} bytes")


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
