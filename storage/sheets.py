"""Tables as spreadsheets and experiment programs save them: what separates cells, which mark decimals have.

What is found is said, for a table that was read in another way than it was meant is worse than one that was refused.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from storage.checked_files import FaultError, check_size
from storage.tables import Table, parse_table, required_columns
from storage.terminal import count

LARGEST_SHEET = 1 << 30
"""Bytes of a table that people made, at most."""
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
MARKS = {
    codecs.BOM_UTF8: ("utf-8-sig", "a byte order mark was skipped"),
    codecs.BOM_UTF16_LE: ("utf-16", "read as UTF-16"),
    codecs.BOM_UTF16_BE: ("utf-16", "read as UTF-16"),
}
"""Encoding, and what is said of it, by the bytes that a file begins with."""
MISSING_WORDS = frozenset({"na", "nan", "null", "none"})
TRUTHS = {"true": "1", "false": "0"}
WHOLE = re.compile(r"(-?[0-9]+)\.0+")
THOUSANDS = re.compile(r"-?[0-9]{1,3}(,[0-9]{3})+")


@dataclass(frozen=True)
class Sheet:
    """A table as text, and how it was read."""

    path: Path
    columns: tuple[str, ...]
    rows: Table
    notes: tuple[str, ...]

    def for_kind(self, kind: type) -> tuple[Table, list[str]]:
        """Return the columns that a dataclass has, numbers as Python writes them, and what was changed for it.

        Raises:
            ValueError: a column is missing, decimals have points and commas, or whole numbers have commas.
        """
        missing = [name for name in required_columns(kind) if name not in self.columns]
        if missing:
            there = ", ".join(self.columns) or "none"
            raise ValueError(f"{self.path} has no column {', '.join(missing)} (its columns: {there})")
        annotations = get_type_hints(kind)
        others = [name for name in self.columns if name not in annotations]
        notes = [f"columns left out: {', '.join(others)}"] if others else []
        table = [{name: row[name] for name in annotations if name in row} for row in self.rows]
        numbers = [name for name, annotation in annotations.items() if name in self.columns and _is_number(annotation)]
        _check_thousands(self.path, table, [name for name in numbers if not _has_decimals(annotations[name])])
        return table, notes + _plain_numbers(self.path, table, numbers)


def read_sheet(path: Path) -> Sheet:
    """Read a table whose cells are separated by commas, semicolons or tabs.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no table in UTF-8 or UTF-16, has no rows, or a row has more or fewer cells than columns.
    """
    text, notes = read_any_text(path)
    separator = _separator(text)
    if separator != ",":
        notes.append(f"cells separated by {SEPARATORS[separator]}")
    try:
        rows = parse_table(path, io.StringIO(text, newline=""), separator=separator)
    except csv.Error as error:
        raise ValueError(f"{path} is no table of text: {error}") from error
    if not rows:
        raise ValueError(f"{path} has no rows: it is empty, or has nothing below the names of its columns")
    names = list(rows[0])
    return Sheet(path, tuple(names), rows, tuple(notes))


def read_any_text(path: Path) -> tuple[str, list[str]]:
    """Return the text of a file in UTF-8 or UTF-16, and what is to be said of its encoding.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no such text, or larger than any table that people make.
    """
    try:
        check_size(path, LARGEST_SHEET)
        content = path.read_bytes()
        encoding, note = next((MARKS[mark] for mark in MARKS if content.startswith(mark)), ("utf-8", ""))
        return content.decode(encoding), [note] if note else []
    except FaultError as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    except UnicodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: save it as CSV in UTF-8") from error


def _separator(text: str) -> str:
    """Return what the first line has most of outside of quotes."""
    line = re.sub(r'"[^"]*"', "", re.split(r"[\r\n]", text, maxsplit=1)[0])
    return max(SEPARATORS, key=line.count)


def _is_number(annotation: Any) -> bool:
    return bool({int, float} & {annotation, *get_args(annotation)})


def _has_decimals(annotation: Any) -> bool:
    return float in {annotation, *get_args(annotation)}


def _check_thousands(path: Path, table: Table, columns: list[str]) -> None:
    """Refuse whole numbers such as 1,000, which would be read as 1 where commas are those of decimals.

    Raises:
        ValueError: there is one; it is named.
    """
    for number, row in enumerate(table, start=1):
        for name in columns:
            if THOUSANDS.fullmatch(row[name].strip()):
                raise ValueError(
                    f"{path}, row {number}: {name} {row[name]!r} has a comma between its thousands: save whole numbers "
                    "without"
                )


def _plain_numbers(path: Path, table: Table, columns: list[str]) -> list[str]:
    """Write numbers as Python does, in place; return a sentence for every kind of change.

    Raises:
        ValueError: some decimals have points, others commas.
    """
    commas = _decimal_commas(path, table, columns)
    changes: Counter[str] = Counter()
    for row in table:
        for name in columns:
            row[name] = _plain_number(row[name].strip(), name, commas, changes)
    notes = ["decimal commas read as points"] if commas else []
    return notes + [f"{count(number, 'cell')} {what}" for what, number in sorted(changes.items())]


def _decimal_commas(path: Path, table: Table, columns: list[str]) -> bool:
    cells = [(number, row[name].strip()) for number, row in enumerate(table, start=1) for name in columns]
    with_comma = [(number, cell) for number, cell in cells if "," in cell]
    with_point = [(number, cell) for number, cell in cells if "." in cell]
    if with_comma and with_point:
        raise ValueError(
            f"{path} has decimal commas and points ({with_comma[0][1]!r} in row {with_comma[0][0]}, "
            f"{with_point[0][1]!r} in row {with_point[0][0]}): use one of them"
        )
    return bool(with_comma)


def _plain_number(cell: str, column: str, commas: bool, changes: Counter[str]) -> str:
    lower = cell.lower()
    if lower in MISSING_WORDS:
        changes[f"of {column} with {cell} read as empty"] += 1
        return ""
    if lower in TRUTHS:
        changes[f"of {column} with {cell} read as {TRUTHS[lower]}"] += 1
        return TRUTHS[lower]
    if commas:
        cell = cell.replace(",", ".")
    whole = WHOLE.fullmatch(cell)
    return whole[1] if whole else cell
