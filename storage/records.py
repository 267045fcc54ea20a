"""Records in JSON of what was made: read within bounds, checked against their own digest and for the types they say.

A record carries the SHA-256 of all its other entries under `sha256`, its seal. Records of earlier versions have none;
those are taken as they are, as far as their types allow.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import stat
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

SEAL = "sha256"
"""The key of a record's own digest."""

LARGEST = 1 << 26
"""Bytes of a record, at most: more is no record."""


class RecordError(ValueError):
    """A record cannot be used; the message says why, not where nor what to do."""


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """Return the content of a file, which is no pipe, device or folder, before memory is taken for more than `largest`.

    Raises:
        FileNotFoundError: it is not there.
        RecordError: it is no file, too large, or cannot be read.
    """
    check_file(path, largest)
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordError(f"it cannot be read: {error.strerror}") from error


def check_file(path: Path, largest: int) -> None:
    """Check that something is a file of at most `largest` bytes; opening a pipe would wait for ever.

    Raises:
        FileNotFoundError: it is not there.
        RecordError: it is no file, or too large.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RecordError(f"it cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise RecordError("it is a folder, pipe or device, not a file")
    if status.st_size > largest:
        raise RecordError(f"it has {status.st_size:,} bytes, over the limit of {largest:,}")


def read_record(path: Path, largest: int = LARGEST) -> dict[str, Any]:
    """Return the JSON object in a file, its seal included; see `open_seal`.

    Raises:
        FileNotFoundError: it is not there.
        RecordError: it is no JSON object, or `read_bytes` refuses it.
    """
    content = parse_json(read_bytes(path, largest))
    if not isinstance(content, dict):
        raise RecordError(f"it holds a {type(content).__name__}, not entries by name")
    return content


def parse_json(text: bytes | str) -> Any:
    """Return what JSON says; numbers that are not finite are no JSON.

    Raises:
        RecordError: it is no JSON, or nested too deeply.
    """
    try:
        return _DECODER.decode(text.decode("utf-8") if isinstance(text, bytes) else text)
    except RecursionError as error:
        raise RecordError("it is nested too deeply") from error
    except RecordError:
        raise
    except ValueError as error:
        raise RecordError(f"it is no JSON: {error}") from error


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a JSON object, whatever the order of its entries, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its own digest."""
    return {**content, SEAL: digest_of(content)}


def open_seal(content: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return a record without its seal, and whether it had one.

    Raises:
        RecordError: the seal is that of other entries.
    """
    rest = {name: value for name, value in content.items() if name != SEAL}
    if SEAL not in content:
        return rest, False
    if content[SEAL] != digest_of(rest):
        raise RecordError("it is not as it was written: its SHA-256 is that of other entries")
    return rest, True


def check_types(instance: Any) -> None:
    """Check that the fields of a dataclass or named tuple hold what their annotations say, floats finite ones.

    Raises:
        RecordError: one does not; it is named.
    """
    for name, annotation in _annotations(type(instance)).items():
        value = getattr(instance, name)
        if not _fits(value, annotation):
            raise RecordError(f"{name} cannot be {_short(value)}")


def _refuse_constant(name: str) -> Any:
    raise RecordError(f"it holds the number {name}")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


_known: dict[type, dict[str, Any]] = {}
"""Annotations of the fields of classes, which take long to find."""


def _annotations(kind: type) -> dict[str, Any]:
    if kind not in _known:
        hints = get_type_hints(kind)
        names = [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else hints
        _known[kind] = {name: hints[name] for name in names}
    return _known[kind]


def _fits(value: Any, annotation: Any) -> bool:
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is Literal:
        return type(value) in {type(each) for each in arguments} and value in arguments
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        return len(kinds) == len(value) and all(map(_fits, value, kinds))
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if dataclasses.is_dataclass(annotation) or hasattr(annotation, "_fields"):
        return isinstance(value, annotation) and _is_sound(value)
    return isinstance(value, annotation)


def _is_sound(value: Any) -> bool:
    try:
        check_types(value)
    except RecordError:
        return False
    return True


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
