"""Tags that people give to clips and images: the table that a page of `data look` writes, and people edit by hand.

source    the file, as the page and all tables name it
start     seconds into it at which the clip begins; empty for an image, and for all of a video
seconds   how long the clip is; empty where it has the length of the clips that are read
tag       its name; capitals and small letters are the same

An item with several tags has a row for each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from storage.sheets import read_sheet
from storage.tables import parse_rows
from storage.terminal import count


class TagError(ValueError):
    """A table of tags cannot be used; the message names it and says why."""


@dataclass(frozen=True)
class Tag:
    """A row of the table."""

    source: str
    """File the clip is of, or the image."""
    tag: str
    """Name of the tag, in small letters."""
    start: float | None = None
    """Seconds into a video; None for all of it, and for an image."""
    seconds: float | None = None
    """How long the clip is; None where the table does not tell."""


@dataclass(frozen=True)
class TagTable:
    """A table of tags, and how it was read."""

    path: Path
    tags: tuple[Tag, ...]
    notes: tuple[str, ...]
    """A sentence for everything about the file that is not as a page writes it."""

    @property
    def names(self) -> list[str]:
        """The names of its tags, each once."""
        return sorted({tag.tag for tag in self.tags})


def read_tags(path: Path) -> TagTable:
    """Read a table of tags.

    It may come from a spreadsheet: cells may be separated by commas, semicolons or tabs, decimals have points or
    commas, the text be UTF-8 or UTF-16. Columns that are not of the table and rows without anything in them are left
    out. All of this is said in `notes`.

    Raises:
        OSError: the file cannot be read.
        TagError: it is no table, a column is missing, or a cell holds something else than its column should; the file
            and the row are named.
    """
    try:
        sheet = read_sheet(path)
        table, notes = sheet.for_kind(Tag)
        rows = list(enumerate(parse_rows(path, table, Tag), start=1))
    except ValueError as error:
        raise TagError(f"{error}; a table of tags has the columns source, start, seconds and tag") from error
    filled = [(number, row) for number, row in rows if row != Tag("", "")]
    if len(filled) < len(rows):
        notes = [*notes, f"{count(len(rows) - len(filled), 'empty row')} left out"]
    tags = tuple(_plain(path, number, row) for number, row in filled)
    return TagTable(path, tags, (*sheet.notes, *notes))


def _plain(path: Path, number: int, row: Tag) -> Tag:
    """Return a row as it is meant.

    Raises:
        TagError: it names no file or no tag, or times that no clip can have.
    """
    tag = replace(row, source=row.source.strip(), tag=row.tag.strip().casefold())
    fault = _fault(tag)
    if fault:
        raise TagError(f"{path}, row {number}: {fault}")
    return tag


def _fault(tag: Tag) -> str:
    """Return what is wrong with a row; nothing where nothing is."""
    if not tag.source:
        return "source is empty"
    if not tag.tag:
        return "tag is empty"
    if tag.start is not None and not 0 <= tag.start < math.inf:
        return f"start {tag.start:g} is no number of seconds into a video"
    if tag.seconds is not None and not 0 < tag.seconds < math.inf:
        return f"seconds {tag.seconds:g} is no length of a clip"
    if tag.start is None and tag.seconds is not None:
        return f"seconds {tag.seconds:g} without a start: give both, or neither for all of the file"
    return ""
