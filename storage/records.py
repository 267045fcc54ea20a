"""Records in JSON of what was made: read within bounds, checked against their own digest and for the types they say.

A record carries the SHA-256 of all its other entries under `sha256`, its seal. Records of earlier versions have none;
those are taken as they are, as far as their types allow.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import types
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from storage.checked_files import MOST_BYTES, FaultError, parse_json, read_bytes, shortly

SEAL = "sha256"
"""The key of a record's own digest."""


def read_record(path: Path, at_most: int = MOST_BYTES) -> dict[str, Any]:
    """Return the JSON object in a file, its seal included; see `open_seal`.

    Raises:
        FileNotFoundError: it is not there.
        FaultError: it is no JSON object, or `read_bytes` refuses it.
    """
    content = parse_json(read_bytes(path, at_most))
    if not isinstance(content, dict):
        raise FaultError(f"it holds a {type(content).__name__}, not entries by name")
    return content


def grow_record(path: Path, record: Mapping[str, Any], counts: Collection[str], made: str) -> dict[str, Any]:
    """Return a record of what a folder will hold, which is what its record in a file says, and more of it.

    Args:
        path: of the record; there need be none yet.
        record: of what is asked for.
        counts: entries that may grow, of which the larger one holds; all others must be as they are.
        made: what the folder holds, in words.

    Raises:
        ValueError: it is damaged, or of what was made in another way.
    """
    try:
        before = read_record(path)
    except FileNotFoundError:
        return dict(record)
    except FaultError as error:
        raise ValueError(f"{path} is damaged ({error}): choose another --out") from error
    grown = dict(record)
    for name, value in record.items():
        if name not in before:
            raise ValueError(f"{path} is damaged (it has no {name}): choose another --out")
        found = before[name]
        if name in counts:
            if type(found) is not int:
                raise ValueError(f"{path} is damaged ({name} is {shortly(found)}): choose another --out")
            grown[name] = max(value, found)
        elif value != found:
            number = isinstance(value, int | float)
            other = f"{name}={shortly(found)}, not {value}" if number else f"other {name}"  # a digest says nothing
            raise ValueError(f"{path.parent} holds {made} made with {other}: choose another --out")
    return grown


def digest_of(content: Any) -> str:
    """Return the SHA-256 of what JSON can hold, whatever the order of entries, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its own digest."""
    return {**content, SEAL: digest_of(content)}


def open_seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record without its seal; of one that has none it cannot be told whether it is as it was written.

    Raises:
        FaultError: the seal is that of other entries.
    """
    rest = {name: value for name, value in content.items() if name != SEAL}
    if SEAL in content and content[SEAL] != digest_of(rest):
        raise FaultError("it is not as it was written: its SHA-256 is that of other entries")
    return rest


def check_types(instance: Any) -> None:
    """Check that the fields of a dataclass or named tuple hold what their annotations say, floats finite ones.

    Raises:
        FaultError: one does not; it is named.
    """
    for name, annotation in _annotations(type(instance)).items():
        value = getattr(instance, name)
        if not _fits(value, annotation):
            raise FaultError(f"{name} cannot be {shortly(value)}")


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
    except FaultError:
        return False
    return True
