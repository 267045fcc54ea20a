"""Tables as CSV files (RFC 4180, UTF-8): of text by column, or of dataclass instances, a column for each field."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from storage.files import atomic_write

Row = TypeVar("Row")


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    r"""Write rows below a line of column names; the file appears complete or not at all.

    None becomes an empty cell, and a float has as many digits as it takes to read it back equal. Bytes of file names
    that are no text (surrogate escapes) are written as `\udcff`.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)  # ends lines with \r\n: with \n alone it would not quote a lone \r
    writer.writeheader()
    writer.writerows(rows)
    content = text.getvalue().encode("utf-8", errors="backslashreplace")
    atomic_write(path, lambda file: file.write(content))


def write_rows(path: Path, rows: Iterable[Any], kind: type) -> None:
    """Write instances of the dataclass `kind`, a column for each field."""
    columns = [field.name for field in fields(kind)]
    write_table(path, ({name: getattr(row, name) for name in columns} for row in rows), columns)


def read_table(path: Path, columns: Iterable[str] = ()) -> list[dict[str, str]]:
    """Return the rows of a table as text by column.

    Args:
        path: of the table.
        columns: that it must have; others are returned as well.

    Raises:
        ValueError: a column is missing, or a row has more or fewer cells than there are columns.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = set(columns) - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path} has no column {', '.join(sorted(missing))}")
        rows = list(reader)
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise ValueError(f"{path} is damaged: row {number} does not have a cell for each column")
    return rows


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Return the rows that `write_rows` wrote, as instances of `kind`.

    The annotations of its fields say what becomes of a cell: str, int, float, bool, Literal, or one of these and None,
    which an empty cell stands for. A field with a default may have no column: tables of earlier versions lack it.

    Raises:
        ValueError: a column is missing, or a cell holds something else than its column should; it is named.
    """
    annotations = get_type_hints(kind)
    optional = {field.name for field in fields(cast(Any, kind)) if field.default is not MISSING}
    table = read_table(path, [name for name in annotations if name not in optional])
    there = set(table[0]) if table else set()
    parsers = {name: _parser(annotation) for name, annotation in annotations.items() if name in there}
    rows = []
    for number, row in enumerate(table, start=1):
        try:
            values = {name: parse(row[name]) for name, parse in parsers.items()}
        except (KeyError, ValueError) as error:
            name = next(name for name, parse in parsers.items() if not _parses(parse, row[name]))
            wrong = f"{name} {row[name]!r} is no {_describe(annotations[name])}"
            raise ValueError(f"{path}, row {number}: {wrong}") from error
        rows.append(kind(**values))
    return rows


def _parser(annotation: Any) -> Callable[[str], Any]:
    """Return what makes a value of a cell; it raises KeyError or ValueError where the cell holds something else."""
    choices = get_args(annotation)
    if NoneType in choices:
        parse = _parser(next(choice for choice in choices if choice is not NoneType))
        return lambda text: parse(text) if text else None
    if annotation is bool or get_origin(annotation) is Literal:
        return {str(choice): choice for choice in choices or (True, False)}.__getitem__
    return cast(Callable[[str], Any], annotation)


def _parses(parse: Callable[[str], Any], text: str) -> bool:
    try:
        parse(text)
    except (KeyError, ValueError):
        return False
    return True


def _describe(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).removeprefix("typing.")
