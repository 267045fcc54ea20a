"""Files that appear complete or not at all, and JSON of what this project writes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from storage.naming import naming


def to_json(value: Any, indent: int | None = 2) -> str:
    """Return `value` as JSON, on one line if `indent` is None; paths become strings and dataclasses become objects.

    Numbers that are not finite become null: JSON has no word for them, and most of its readers refuse Python's.
    """
    try:
        return json.dumps(value, indent=indent, default=_plain, allow_nan=False)
    except ValueError:
        finite = json.loads(json.dumps(value, default=_plain), parse_constant=lambda _: None)
        return json.dumps(finite, indent=indent)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    content = text.encode("utf-8")
    atomic_write(path, lambda file: file.write(content))


def atomic_write(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write beside `path` and rename, so that a reader sees the old file or the new one, never half.

    Args:
        path: of the file; its folder is made.
        write: writes the content into an open file.

    Raises:
        OSError: the disk is full, or the folder cannot be written; it names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        with naming(path), temporary.open("wb") as file:
            write(file)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "__dataclass_fields__"):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
