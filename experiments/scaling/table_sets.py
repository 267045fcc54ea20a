"""All tables of a command as one object, which is written into a folder and read back from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from storage.tables import read_rows, write_rows

Set = TypeVar("Set")


def write_set(folder: Path, tables: Any, kinds: Mapping[str, type]) -> None:
    """Write a dataclass whose fields are rows, a table for each.

    Args:
        folder: to write into.
        tables: the dataclass.
        kinds: of rows by the name of their file, in the order of its fields.
    """
    for (name, kind), field in zip(kinds.items(), fields(tables), strict=True):
        write_rows(folder / name, getattr(tables, field.name), kind)


def read_set(folder: Path, kind_of_set: type[Set], kinds: Mapping[str, type], needed: tuple[str, ...]) -> Set:
    """Return what `write_set` wrote.

    Args:
        folder: to read from.
        kind_of_set: the dataclass.
        kinds: of rows by the name of their file, in the order of its fields.
        needed: names of tables that have a row or more.

    Raises:
        OSError: a table is not there.
        ValueError: one is damaged, or has no rows where it needs some.
    """
    rows: dict[str, list[Any]] = {name: read_rows(folder / name, kind) for name, kind in kinds.items()}
    for name in needed:
        if not rows[name]:
            raise ValueError(f"{folder / name} is damaged: it has no rows")
    return kind_of_set(*rows.values())
