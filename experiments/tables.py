"""Tables of results, read back before anything is concluded from them."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar, cast

from storage.checked_files import FaultError, check_size
from storage.tables import read_rows

Row = TypeVar("Row")

LARGEST_TABLE = 1 << 32
"""Bytes of a table, at most."""


def read_results(path: Path, kind: type[Row], unique: Sequence[str]) -> list[Row]:
    """Return the rows of a table that `storage.tables.write_rows` wrote, and that nothing happened to since.

    Args:
        path: of the table.
        kind: dataclass of its rows.
        unique: columns that tell each row from all others.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is no file, its last line is cut, a column is missing, a cell does not hold what its column
            should, a number is not finite, or a row is there twice; the file and the row are named.
    """
    try:
        check_size(path, LARGEST_TABLE)
        _check_end(path)
        rows = read_rows(path, kind)
    except (FaultError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is damaged ({error}): measure it again") from error
    seen: dict[tuple[Any, ...], int] = {}
    for number, row in enumerate(rows, start=1):
        for field in fields(cast(Any, kind)):
            value = getattr(row, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{path}, row {number}: {field.name} is {value}, no finite number; measure it again")
        key = tuple(getattr(row, name) for name in unique)
        if key in seen:
            raise ValueError(f"{path}, row {number}: it is there already, as row {seen[key]}; remove one of them")
        seen[key] = number
    return rows


def _check_end(path: Path) -> None:
    """Check that a table ends with a line, as all that are written do.

    Raises:
        FaultError: it does not.
    """
    with path.open("rb") as file:
        file.seek(0, 2)
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                raise FaultError("its last line is cut")
