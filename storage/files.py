"""Files that appear complete or not at all, and JSON of what this project writes."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
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
    temporary = temporary_path(path)
    try:
        with naming(path), temporary.open("wb") as file:
            write(file)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def unwritable(folder: Path, error: OSError) -> OSError:
    """Return what is said of the folder of `--out` where it cannot be written, and why."""
    return OSError(f"--out {folder} cannot be written: {error.strerror}: choose another")


def temporary_path(path: Path) -> Path:
    """Return where this process writes what will be `path`, beside it: no other process ever has the same name."""
    from socket import gethostname  # here, so that the help of all commands stays instant

    unique = f"{_SAFE.sub('-', gethostname())[:32]}-{os.getpid()}-{os.urandom(4).hex()}"
    # Names may have 255 bytes, and that of the file may have used them up.
    start = path.name.encode("utf-8", "ignore")[:_NAME_BYTES].decode("utf-8", "ignore")
    return path.with_name(f"{start}.{unique}.tmp")


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left half-written under `folder`; whoever calls it is the only one to write there.

    What was never finished is all that has such a name (`temporary_path`); what cannot be removed stays.
    """
    for root, folders, files in os.walk(folder):
        for name in filter(is_leftover, files):
            with suppress(OSError):
                (Path(root) / name).unlink()
        for name in filter(is_leftover, list(folders)):
            folders.remove(name)
            shutil.rmtree(Path(root) / name, ignore_errors=True)


def is_leftover(name: str) -> bool:
    """Whether a file or folder has a name of `temporary_path`."""
    return _LEFTOVER.search(name) is not None


_SAFE = re.compile(r"[^A-Za-z0-9]+")
_NAME_BYTES = 150
_LEFTOVER = re.compile(r"\.[A-Za-z0-9-]*-[0-9]+-[0-9a-f]{8}\.tmp$")


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "__dataclass_fields__"):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
