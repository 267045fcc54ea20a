"""Published tables of how well people remember single pictures, read from files that the reader has.

None of them comes with this package. What is known of their layouts:

    THINGS memorability   a CSV with `file_path` and `cr`, corrected recognition (Kramer et al. 2023)
    MemCat                a CSV with `image_file`, `category`, `subcategory` and `memorability_w_fa_correction`
                          (Goetschalckx and Wagemans 2019)
    LaMem                 lines of a path and a score, without a header (Khosla et al. 2015)
    Memento10k            a JSON list of videos with `filename` and `mem_score` (Newman et al. 2020)
    any other             a CSV with `path` and `score`
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from storage.sheets import Sheet, read_any_text, read_sheet
from storage.tables import parse_rows


@dataclass(frozen=True)
class ScoreTable:
    """The scores of a data set, from one file or from several of one layout."""

    name: str
    """Of the data set."""
    paths: tuple[Path, ...]
    scores: Mapping[str, float]
    """By path or name of the picture."""
    without: tuple[str, ...] = ()
    """Pictures that have no finite score."""
    notes: tuple[str, ...] = ()
    """How the files were read, where that was not as their layout says."""


class Row(NamedTuple):
    """A picture in a table."""

    name: str
    score: float | None


@dataclass(frozen=True)
class _Things:
    file_path: str
    cr: float | None

    def row(self) -> Row:
        return Row(self.file_path, self.cr)


@dataclass(frozen=True)
class _MemCat:
    image_file: str
    memorability_w_fa_correction: float | None
    category: str = ""
    subcategory: str = ""

    def row(self) -> Row:
        folders = [folder for folder in (self.category, self.subcategory) if folder]
        return Row("/".join([*folders, self.image_file]), self.memorability_w_fa_correction)


@dataclass(frozen=True)
class _Plain:
    path: str
    score: float | None

    def row(self) -> Row:
        return Row(self.path, self.score)


class Layout(NamedTuple):
    """A table with a header that is known by its columns."""

    name: str
    columns: tuple[str, ...]
    kind: Any


LAYOUTS = (
    Layout("THINGS memorability", ("file_path", "cr"), _Things),
    Layout("MemCat", ("image_file", "memorability_w_fa_correction"), _MemCat),
    Layout("scores", ("path", "score"), _Plain),
)
LAMEM = "LaMem"
MEMENTO = "Memento10k"


def read_score_tables(paths: Sequence[Path]) -> list[ScoreTable]:
    """Read tables of scores; those of one data set, such as the splits of LaMem, become one.

    Raises:
        OSError: a file cannot be read.
        ValueError: it is no table of a known layout, or a picture has two scores in a data set.
    """
    found: dict[str, ScoreTable] = {}
    for path in paths:
        table = _read(path)
        found[table.name] = _joined(found[table.name], table) if table.name in found else table
    return list(found.values())


def _read(path: Path) -> ScoreTable:
    text, notes = read_any_text(path)
    stripped = text.lstrip()
    if stripped.startswith(("[", "{")):
        return _table(MEMENTO, path, _memento(path, text), notes)
    first = stripped.split("\n", 1)[0]
    if _lamem_row(first) is not None:
        return _table(LAMEM, path, _lamem(path, text), notes)
    sheet = read_sheet(path)
    for layout in LAYOUTS:
        if set(layout.columns) <= set(sheet.columns):
            return _with_header(layout, sheet)
    known = "; ".join(f"{layout.name}: {', '.join(layout.columns)}" for layout in LAYOUTS)
    raise ValueError(
        f"{path} is no table of scores that is known, its columns are {', '.join(sheet.columns)}. Known are {known}; "
        f"{LAMEM}: lines of a path and a score; {MEMENTO}: JSON with filename and mem_score"
    )


def _with_header(layout: Layout, sheet: Sheet) -> ScoreTable:
    table, notes = sheet.for_kind(layout.kind)
    rows = [row.row() for row in parse_rows(sheet.path, table, layout.kind)]
    told = [note for note in notes if not note.startswith("columns left out")]  # they have many that say other things
    return _table(layout.name, sheet.path, rows, [*sheet.notes, *told])


def _table(name: str, path: Path, rows: Sequence[Row], notes: Sequence[str]) -> ScoreTable:
    """Return the rows of one file.

    Raises:
        ValueError: a picture is in it twice, with two scores.
    """
    scores: dict[str, float] = {}
    without = []
    for row in rows:
        if row.score is None or not math.isfinite(row.score):
            without.append(row.name)
        elif scores.setdefault(row.name, row.score) != row.score:
            raise ValueError(f"{path} has two scores of {row.name}, {scores[row.name]:g} and {row.score:g}: remove one")
    if not scores:
        raise ValueError(f"{path} has no scores")
    told = tuple(f"{path.name}: {note}" for note in notes)
    return ScoreTable(name, (path,), scores, tuple(without), told)


def _joined(first: ScoreTable, second: ScoreTable) -> ScoreTable:
    for name, score in second.scores.items():
        if first.scores.get(name, score) != score:
            raise ValueError(
                f"{first.paths[-1]} and {second.paths[0]} have different scores of {name}, {first.scores[name]:g} and "
                f"{score:g}: give one of them"
            )
    return replace(
        first,
        paths=first.paths + second.paths,
        scores={**first.scores, **second.scores},
        without=first.without + second.without,
        notes=first.notes + second.notes,
    )


def _lamem_row(line: str) -> Row | None:
    """Return what a line of LaMem says; None if it is none."""
    cells = line.replace(",", " ").split()
    if len(cells) != 2:
        return None
    try:
        return Row(cells[0], float(cells[1]))
    except ValueError:
        return None


def _lamem(path: Path, text: str) -> list[Row]:
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        row = _lamem_row(line)
        if row is None:
            raise ValueError(f"{path}, line {number}: {line[:60]!r} is no path and score, as the first line is")
        rows.append(row)
    return rows


def _memento(path: Path, text: str) -> list[Row]:
    try:
        videos = json.loads(text)
        return [Row(str(video["filename"]), _number(video["mem_score"])) for video in videos]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"{path} is no JSON list of videos with filename and mem_score ({type(error).__name__}: {error})"
        ) from error


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
