"""A data set as a CSV: stretches of videos, `path,start,end[,group]`, and images, which have neither start nor end."""

from __future__ import annotations

import csv
import itertools
import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from data.errors import MediaError
from data.folders import Place, look_at, place_of
from data.sources import Stretch


class Row(NamedTuple):
    """A line of the list."""

    line: int
    """Its number; the line of column names is 1."""
    name: str
    """The path from the folder of the list; as it is written if it is elsewhere."""
    path: Path
    start: float
    end: float
    """Infinite where the list names none."""
    group: str


class ListedFile(NamedTuple):
    """A file of the list, with what is wanted of it for one group."""

    name: str
    path: Path
    group: str
    windows: tuple[Stretch, ...]
    """Ascending; the last may end at infinity."""
    lines: tuple[int, ...]
    """Numbers of its lines."""


def read_clip_list(path: Path, group_column: str | None = None) -> list[ListedFile]:
    """Read a list; stretches of one file in one group are put together.

    Args:
        path: of the CSV; the paths in it are absolute or begin at its folder.
        group_column: column that says what the split keeps together; `group` if there is one and none is given.

    Raises:
        MediaError: a column is missing, a time is no number, or stretches are reversed or overlap; lines are named.
    """
    rows = _read(path, group_column)
    _check_overlaps(path, rows)
    files: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        files[row.name, row.group].append(row)
    listed = []
    for (name, group), members in files.items():
        ordered = sorted(members, key=lambda row: row.start)
        windows = tuple(Stretch(row.start, row.end) for row in ordered)
        lines = tuple(row.line for row in ordered)
        listed.append(ListedFile(name, members[0].path, group, windows, lines))
    return sorted(listed, key=lambda file: (file.name, file.group))


def columns_of(path: Path) -> list[str]:
    """Return the column names of a CSV.

    Raises:
        MediaError: it is no CSV in UTF-8, or two columns have one name.
    """
    columns = [name.strip() for name in next((cells for _, cells in _lines(path)), [])]
    twice = [name for name, number in Counter(columns).items() if name and number > 1]
    if twice:
        raise MediaError(f"{path} has two columns {twice[0]}")
    return columns


def check_columns(path: Path) -> list[str]:
    """Return the column names of a list of clips.

    Raises:
        MediaError: see `columns_of`; or there are no paths.
    """
    columns = columns_of(path)
    if "path" not in columns:
        raise MediaError(f"{path} has no column `path`: a list of clips has the columns path,start,end[,group]")
    return columns


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each line with its number."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for cells in reader:
                yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MediaError(f"{path} cannot be read as a CSV in UTF-8 ({error})") from error


def _read(path: Path, group_column: str | None) -> list[Row]:
    columns = check_columns(path)
    column = group_column or ("group" if "group" in columns else None)
    rows = []
    for line, cells in itertools.islice(_lines(path), 1, None):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            raise MediaError(f"{path}, line {line}: {len(cells)} cells, but {len(columns)} columns")
        rows.append(_row(path, line, dict(zip(columns, cells, strict=True)), column))
    if not rows:
        raise MediaError(f"{path} lists no clip: it has no line below the column names")
    return rows


def _row(path: Path, line: int, cells: dict[str, str], group_column: str | None) -> Row:
    written = cells["path"].strip()
    if not written or "\0" in written:
        raise MediaError(f"{path}, line {line}: the path is missing")
    start = _seconds(path, line, "start", cells.get("start", ""), 0.0)
    end = _seconds(path, line, "end", cells.get("end", ""), math.inf)
    if end <= start:
        raise MediaError(f"{path}, line {line}: the stretch from {start:g} s to {end:g} s is reversed or empty")
    group = cells[group_column].strip() if group_column else ""
    if group_column and not group:
        raise MediaError(f"{path}, line {line}: the column {group_column} is empty")
    return Row(line, _name(path.parent, written), path.parent / written, start, end, group)


def _name(folder: Path, written: str) -> str:
    """Return one name for a file in the folder, however its path is written; of others the path as it is written."""
    file = Path(os.path.normpath(folder.absolute() / written))
    above = Path(os.path.normpath(folder.absolute()))
    return str(file.relative_to(above)) if file.is_relative_to(above) else os.path.normpath(written)


def _seconds(path: Path, line: int, column: str, text: str, default: float) -> float:
    if not text.strip():
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise MediaError(f"{path}, line {line}: {column} {text!r} is no number of seconds")
    return value


def _check_overlaps(path: Path, rows: list[Row]) -> None:
    """Refuse stretches that would be used twice: of one file, whatever its names."""
    by_file: dict[Place, list[Row]] = defaultdict(list)
    places: dict[Path, Place] = {}
    for row in rows:
        if row.path not in places:
            places[row.path] = place_of(look_at(row.path))
        by_file[places[row.path]].append(row)
    for members in by_file.values():
        ordered = sorted(members, key=lambda row: (row.start, row.end))
        for before, after in itertools.pairwise(ordered):
            if after.start < before.end:
                names = before.name if before.name == after.name else f"{before.name} and {after.name}, the same file,"
                raise MediaError(
                    f"{path}, lines {before.line} and {after.line}: stretches of {names} overlap"
                    f" ({before.start:g} to {before.end:g} s and {after.start:g} to {after.end:g} s)"
                )
