"""Named tensors in parts, one file from each process that held some of them; read, the tensors are whole again.

    model.parts.json                     how the pieces of every tensor lie in it, and the digest of every part
    model.00000-of-00002.safetensors     what the first process held, a piece under the name of its tensor
    model.00001-of-00002.safetensors     what the second held

They stand for a `model.safetensors`, under whose path they are asked for, and any number of processes can read them.
Of what several processes hold alike the first writes its own; one that has nothing of its own writes no file.

Why not the files of `torch.distributed.checkpoint`: its own format keeps the index as a pickle, which this project does
not open, and its safetensors have no digest and do not say which save they belong to, so that parts of two saves would
be joined in silence (torch 2.14). Its asynchronous saving exchanges plans among the processes; here all is known
from a tensor's placement.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from storage.checked_files import MOST_BYTES, DamageError, FaultError, check_file, on_one_line, read_json
from storage.checksums import ALGORITHM, is_known
from storage.files import write_text
from storage.places import check_index, index_path, is_in_parts, part_path
from storage.records import digest_of, open_seal, seal
from storage.tensor_files import load_tensors, recorded_digest

Offsets = Sequence[int]


@dataclass(frozen=True)
class Piece:
    """What a process holds of a tensor."""

    tensor: Tensor
    """Of any shape; the whole tensor, or a box of it."""
    shape: tuple[int, ...]
    """Of the whole tensor."""
    offsets: tuple[int, ...]
    """Where the box begins in it, along every axis."""

    @classmethod
    def whole(cls, tensor: Tensor) -> Piece:
        """Return a piece that is all of its tensor."""
        return cls(tensor, tuple(tensor.shape), (0,) * tensor.ndim)

    @property
    def place(self) -> dict[str, list[int]]:
        """Where it lies, as JSON."""
        return {"shape": list(self.shape), "offsets": list(self.offsets)}


@dataclass(frozen=True)
class Part:
    """What a process has written."""

    digest: str | None
    """Of its file; None if it wrote none."""
    places: Mapping[str, Mapping[str, Any]]
    """`Piece.place` of every tensor that it has a piece of, by name."""


def write_index(path: Path, parts: Sequence[Part], config: Any = None) -> str:
    """Write what joins parts, and return the digest of all of them.

    Args:
        path: as which the tensors will be asked for.
        parts: of all processes, in their order.
        config: of the config.json beside them; it goes into the digest alone.

    Raises:
        OSError: the disk is full, or the file cannot be written; it names the file.
    """
    tensors: dict[str, dict[str, Any]] = {}
    for process, part in enumerate(parts):
        for name, place in part.places.items():
            entry = tensors.setdefault(name, {"shape": place["shape"], "pieces": {}})
            entry["pieces"][str(process)] = place["offsets"]
    content = {"parts": [part.digest for part in parts], "tensors": tensors}
    digest = _digest(content, config)
    write_text(index_path(path), json.dumps(seal({**content, "digest": digest})))
    return digest


def load_whole(path: Path, config: Any = None, expected: object = None) -> dict[str, Tensor]:
    """Read named tensors, onto the CPU: of the file `path`, or joined of the parts that stand for it.

    Args:
        path: of the file, which need not be there if parts are.
        config: of the config.json beside them, if there is one.
        expected: the digest that another file has of them; None if there is none.

    Raises:
        DamageError: see `storage.tensor_files.load_tensors`; or a part or the index is missing, or a part is of another
            save than the index, or pieces do not make up their tensors.
        OSError: a file cannot be read.
    """
    check_index(path)
    if not is_in_parts(path):
        return load_tensors(path, config, expected)
    index = _read_index(path)
    if config is not None and index["digest"] != _digest(index, config):
        raise DamageError(f"{path.with_name('config.json')} is not as written with the weights beside it")
    if is_known(expected) and index["digest"] != expected:
        raise DamageError(f"{index_path(path)} is of another step or another run than training_state/state.json")
    files = {process: part_path(path, process, len(index["parts"])) for process in _writers(index)}
    for file in files.values():
        check_file(file, "part of a weights file")
    joined = _Joined(path, index["tensors"], sum(file.stat().st_size for file in files.values()))
    for process, file in files.items():
        if recorded_digest(file) != index["parts"][process]:
            raise DamageError(f"{file} is of another step or another run than {index_path(path).name}")
        joined.add(process, load_tensors(file))
    return joined.finish()


def whole_digest(path: Path) -> str | None:
    """Return the digest that a file of tensors, or the index of its parts, carries; None if it has none.

    Raises:
        DamageError: the file is damaged, or the index is missing.
        OSError: the file cannot be read.
    """
    check_index(path)
    if not is_in_parts(path):
        return recorded_digest(path)
    return str(_read_index(path)["digest"])


def _digest(content: Mapping[str, Any], config: Any) -> str:
    beside = "" if config is None else f":{digest_of(config)}"
    return f"{ALGORITHM}:{digest_of({name: content[name] for name in ('parts', 'tensors')})}{beside}"


def _writers(index: Mapping[str, Any]) -> list[int]:
    """Return the processes that wrote a part."""
    return [process for process, digest in enumerate(index["parts"]) if digest is not None]


class _Joined:
    """Tensors that grow together of their pieces.

    Args:
        path: as which they are asked for.
        tensors: shape and pieces of each, by name.
        most: bytes of all parts together; a tensor that has more numbers is refused before memory is taken for it.
    """

    def __init__(self, path: Path, tensors: Mapping[str, Any], most: int) -> None:
        self._path = path
        self._places = tensors
        self._missing = {name: math.prod(entry["shape"]) for name, entry in tensors.items()}
        self._tensors: dict[str, Tensor] = {}
        if sum(self._missing.values()) > most:
            raise self._gap(max(self._missing, key=self._missing.__getitem__))

    def add(self, process: int, pieces: Mapping[str, Tensor]) -> None:
        """Put the pieces of a process where they belong."""
        for name, piece in pieces.items():
            entry = self._places.get(name, {"shape": [], "pieces": {}})
            offsets = entry["pieces"].get(str(process))
            if offsets is None or not _fits(piece, offsets, entry["shape"]):
                raise DamageError(
                    f"{index_path(self._path)} does not say where {on_one_line(name)} of process {process} belongs"
                )
            self._missing[name] -= piece.numel()
            if list(piece.shape) == entry["shape"]:
                self._tensors[name] = piece
                continue
            if name not in self._tensors:
                self._tensors[name] = torch.zeros(entry["shape"], dtype=piece.dtype)
            box = tuple(slice(first, first + size) for first, size in zip(offsets, piece.shape, strict=True))
            self._tensors[name][box] = piece

    def finish(self) -> dict[str, Tensor]:
        """Return the whole tensors by name.

        Raises:
            DamageError: pieces of one are missing.
        """
        gaps = [name for name, missing in self._missing.items() if missing or name not in self._tensors]
        if gaps:
            raise self._gap(gaps[0])
        return self._tensors

    def _gap(self, name: str) -> DamageError:
        return DamageError(f"the parts of {self._path} do not make up {on_one_line(name)}: pieces of it are missing")


def _fits(piece: Tensor, offsets: Offsets, shape: Sequence[int]) -> bool:
    """Whether a piece lies within its tensor."""
    if not piece.ndim == len(offsets) == len(shape):
        return False
    return all(first + size <= most for first, size, most in zip(offsets, piece.shape, shape, strict=True))


def _read_index(path: Path) -> dict[str, Any]:
    """Return the content of an index.

    Raises:
        DamageError: it is damaged, or none.
        OSError: it cannot be read.
    """
    file = index_path(path)
    content = read_json(file, "index of parts", MOST_BYTES)
    try:
        content = open_seal(content) if isinstance(content, dict) else {}
    except FaultError as error:
        raise DamageError(f"{file} is damaged: {error}") from error
    if not _is_index(content):
        raise DamageError(f"{file} is damaged: it does not say how parts lie")
    return content


def _is_index(content: Mapping[str, Any]) -> bool:
    parts = content.get("parts")
    tensors = content.get("tensors")
    return (
        isinstance(content.get("digest"), str)
        and isinstance(parts, list)
        and all(part is None or isinstance(part, str) for part in parts)
        and isinstance(tensors, dict)
        and all(map(_is_entry, tensors.values()))
    )


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict) or not _are_counts(entry.get("shape")):
        return False
    pieces = entry.get("pieces")
    return isinstance(pieces, dict) and all(map(_are_counts, pieces.values()))


def _are_counts(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)
