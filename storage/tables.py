"""Tables as CSV files (RFC 4180, UTF-8): of text by column, or of dataclass instances, a column for each field.

Names of files and folders are the work of others: no cell is a formula when a spreadsheet opens the table.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from storage.files import atomic_write

Row = TypeVar("Row")
Table = list[dict[str, str]]
"""Rows of text by column."""

FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a text begins that spreadsheets take for a formula (some take the wide forms of East Asia for the same), or would
take for one when apostrophes before it were taken away."""


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    r"""Write rows below a line of column names; the file appears complete or not at all.

    None becomes an empty cell, and a float has as many digits as it takes to read it back equal. Bytes of file names
    that are no text (surrogate escapes) are written as `\udcff`. A text, or the name of a column, that begins as a
    formula of spreadsheets does (`=`, `+`, `-`, `@`, tab, line break) has an apostrophe before it, which reading takes
    away.

    Raises:
        ValueError: a row has a value for no column.
    """
    text = io.StringIO(newline="")
    # Ends lines with \r\n: with \n alone it would not quote a lone \r.
    writer = csv.DictWriter(text, [_as_text(name) for name in columns])
    writer.writeheader()
    writer.writerows({_as_text(name): _cell(value) for name, value in row.items()} for row in rows)
    content = text.getvalue().encode("utf-8", errors="backslashreplace")
    atomic_write(path, lambda file: file.write(content))


def write_rows(path: Path, rows: Iterable[Any], kind: type) -> None:
    """Write instances of the dataclass `kind`, a column for each field."""
    columns = [field.name for field in fields(kind)]
    write_table(path, ({name: getattr(row, name) for name in columns} for row in rows), columns)


def read_table(path: Path, columns: Iterable[str] = ()) -> Table:
    """Return the rows of a table as text by column.

    Args:
        path: of the table.
        columns: that it must have; others are returned as well.

    Raises:
        ValueError: a column is missing, or a row has more or fewer cells than there are columns.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write a byte order mark
        return parse_table(path, file, columns)


def parse_table(path: Path, lines: Iterable[str], columns: Iterable[str] = (), separator: str = ",") -> Table:
    """Return the rows of a table, as `read_table` does, from its lines.

    Args:
        path: of the table, for errors.
        lines: of its text, with their ends.
        columns: that it must have; others are returned as well.
        separator: between cells.

    Raises:
        ValueError: a column is missing or there twice, or a row has more or fewer cells than there are columns.
    """
    reader = csv.DictReader(lines, delimiter=separator)
    names = [_without_apostrophe(name) for name in reader.fieldnames or ()]
    missing = set(columns) - set(names)
    if missing:
        raise ValueError(f"{path} has no column {', '.join(sorted(missing))}")
    twice = sorted(name for name, number in Counter(names).items() if number > 1 and name)
    if twice:
        raise ValueError(f"{path} has the column {', '.join(twice)} more than once: rename or remove all but one")
    reader.fieldnames = names
    rows = list(reader)
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise ValueError(f"{path} is damaged: row {number} does not have a cell for each column")
    return [{name: _without_apostrophe(cell) for name, cell in row.items()} for row in rows]


def read_rows(path: Path, kind: type[Row]) -> list[Row]:
    """Return the rows that `write_rows` wrote, as instances of `kind`.

    The annotations of its fields say what becomes of a cell: str, int, float, bool, Literal, or one of these and None,
    which an empty cell stands for. A field with a default may have no column: tables of earlier versions lack it.

    Raises:
        ValueError: a column is missing, or a cell holds something else than its column should; it is named.
    """
    return parse_rows(path, read_table(path, required_columns(kind)), kind)


def required_columns(kind: type) -> list[str]:
    """Return the columns that a table of `kind` must have: the fields without a default."""
    return [field.name for field in fields(kind) if field.default is MISSING]


def parse_rows(path: Path, table: Table, kind: type[Row]) -> list[Row]:
    """Return the rows of a table, as text by column, as instances of `kind`: see `read_rows`.

    Raises:
        ValueError: a cell holds something else than its column should; the file and the row are named.
    """
    annotations = get_type_hints(kind)
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


def _cell(value: Any) -> Any:
    return _as_text(str(value)) if isinstance(value, str | Path) else value


def _as_text(text: str) -> str:
    """Return a text so that no spreadsheet computes it: with an apostrophe before what looks like a formula."""
    return f"'{text}" if FORMULA.match(text) else text


def _without_apostrophe(text: str) -> str:
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


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
