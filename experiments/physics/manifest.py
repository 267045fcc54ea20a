"""The manifest of a set of films: which of them can happen and which cannot, and where the object is.

`manifest.csv` has a row for each film, and `boxes.csv` beside it, which may be left out, one for each object and frame
in which it is in view. Films are matched: the four of a quadruple are made of two beginnings and two endings, so that
every frame of an impossible film occurs in a possible one. AA and BB can happen, AB and BA cannot.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Literal, NoReturn, cast, get_args

from storage.checked_files import check_file
from storage.tables import read_table, write_rows

Version = Literal["", "A", "B"]
"""Which of the two beginnings, or endings, of a quadruple a film has; empty where a set does not say."""
Camera = Literal["", "fixed", "walking"]
"""How the camera moves; empty where a set does not say."""
CONCEPTS = ("permanence", "continuity", "shape", "colour", "solidity", "support", "inertia")
"""What is violated in the films that Secondsight makes; sets of others may name other concepts."""
CONTROL = "control"
"""The concept of films in which nothing is violated: the event is a cut, or what compression does."""
OBJECT = "object"
"""Name of the object of the event, among the boxes."""
MANIFEST = "manifest.csv"
BOXES = "boxes.csv"


class ManifestError(ValueError):
    """A manifest or its boxes cannot be read, or a set of films is not what is needed; it says what to do."""


@dataclass(frozen=True)
class Film:
    """A film: a row of manifest.csv."""

    film: str
    """Path of the video, relative to the folder of the manifest."""
    scene: str
    """Name of the scene. Films of one scene are one observation: intervals are over scenes."""
    quadruple: str
    """Name that matched films share: the four of a quadruple, or the two of a pair; empty where a film is alone."""
    concept: str
    """What is violated in the impossible films of the quadruple (`CONCEPTS`), or `control`."""
    hidden: bool
    """Whether the event happens behind an occluder."""
    possible: bool
    """Whether the film can happen."""
    beginning: Version = ""
    """Which of the quadruple's beginnings it has."""
    ending: Version = ""
    """Which of the quadruple's endings it has."""
    event_s: float | None = None
    """Seconds from the film's beginning to where its ending begins; empty where a set does not say."""
    occluded_from_s: float | None = None
    """Seconds from the film's beginning to where the object disappears behind the occluder; empty if it never does."""
    occluded_to_s: float | None = None
    """Seconds from the film's beginning to where the object is in view again, or would be; empty as above."""
    camera: Camera = ""
    """How the camera moves."""

    @property
    def versions(self) -> str:
        """Beginning and ending in one word, such as AB; empty where a set does not say both."""
        return self.beginning + self.ending if self.beginning and self.ending else ""


@dataclass(frozen=True)
class Box:
    """Where an object is in one frame of a film: a row of boxes.csv. The ends are in [0, 1] of width and height."""

    film: str
    """Path of the video, as in the manifest."""
    frame: int
    """Index of the frame among the film's own, counted from 0."""
    object: str
    """Name of the object; the one of the event is called `object`."""
    left: float
    """Left end, 0 at the left edge of the frame."""
    top: float
    """Upper end, 0 at the upper edge of the frame."""
    right: float
    """Right end, 1 at the right edge of the frame."""
    bottom: float
    """Lower end, 1 at the lower edge of the frame."""


def manifest_path(path: Path) -> Path:
    """Return the manifest of a set of films, which is given by its folder or the manifest itself."""
    return path / MANIFEST if path.is_dir() else path


def write_manifest(path: Path, films: Sequence[Film]) -> None:
    """Write a manifest; it appears complete or not at all."""
    write_rows(path, films, Film)


def read_manifest(path: Path) -> list[Film]:
    """Read the manifest of a set of films.

    Only the columns of the fields without a default are needed. Others are not read. `true` and `false` may be written
    in any case.

    Args:
        path: the manifest, or the folder with a `manifest.csv`.

    Raises:
        ManifestError: it is missing or lists no film, lacks a column, or a cell does not hold what it should.
    """
    path = manifest_path(path)
    films = [_film(path, number, row) for number, row in enumerate(_table(path, Film), start=1)]
    if not films:
        raise ManifestError(f"{path} lists no film: give it a row for each film")
    return films


def write_boxes(path: Path, boxes: Sequence[Box]) -> None:
    """Write where objects are; the file appears complete or not at all."""
    write_rows(path, boxes, Box)


def read_boxes(path: Path) -> list[Box]:
    """Read where objects are.

    Args:
        path: the table, or the folder with a `boxes.csv`.

    Raises:
        ManifestError: it is missing, lacks a column, a cell does not hold what it should, or a box has no inside.
    """
    path = path / BOXES if path.is_dir() else path
    return [_box(path, number, row) for number, row in enumerate(_table(path, Box), start=1)]


def _table(path: Path, kind: type[Film] | type[Box]) -> list[dict[str, str]]:
    needed = [field.name for field in fields(kind) if field.default is MISSING]
    if not path.exists():
        raise ManifestError(f"{path} does not exist: give the folder of a set of films, or its manifest")
    check_file(path, "table of a set of films")
    try:
        return read_table(path, needed)
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path} is no CSV in UTF-8: save it as one") from error
    except csv.Error as error:
        raise ManifestError(f"{path} is no CSV ({error}): save it as one") from error
    except ValueError as error:
        raise ManifestError(f"{error}; the columns of such a table are {', '.join(needed)}") from error


def _film(path: Path, number: int, row: dict[str, str]) -> Film:
    cells = _Cells(path, number, row)
    return Film(
        film=cells.name("film"),
        scene=cells.name("scene"),
        quadruple=cells.text("quadruple"),
        concept=cells.name("concept"),
        hidden=cells.truth("hidden"),
        possible=cells.truth("possible"),
        beginning=cast(Version, cells.choice("beginning", get_args(Version))),
        ending=cast(Version, cells.choice("ending", get_args(Version))),
        event_s=cells.seconds("event_s"),
        occluded_from_s=cells.seconds("occluded_from_s"),
        occluded_to_s=cells.seconds("occluded_to_s"),
        camera=cast(Camera, cells.choice("camera", get_args(Camera))),
    )


def _box(path: Path, number: int, row: dict[str, str]) -> Box:
    cells = _Cells(path, number, row)
    box = Box(
        film=cells.name("film"),
        frame=cells.index("frame"),
        object=cells.name("object"),
        left=cells.share("left"),
        top=cells.share("top"),
        right=cells.share("right"),
        bottom=cells.share("bottom"),
    )
    if box.left >= box.right or box.top >= box.bottom:
        ends = ", ".join(f"{end} {getattr(box, end):g}" for end in ("left", "top", "right", "bottom"))
        raise ManifestError(f"{path}, row {number}: a box needs left < right and top < bottom, but has {ends}")
    return box


@dataclass(frozen=True)
class _Cells:
    """The cells of a row, and where it stands."""

    path: Path
    row: int
    cells: dict[str, str]

    def text(self, column: str) -> str:
        """Return a cell without blanks around it; an empty text where there is no such column."""
        return self.cells.get(column, "").strip()

    def name(self, column: str) -> str:
        """Return a cell that must not be empty."""
        return self.text(column) or self._refuse(column, "is empty: give it a name")

    def truth(self, column: str) -> bool:
        """Return a cell that holds true or false."""
        word = self.text(column).lower()
        return word == "true" if word in ("true", "false") else self._refuse(column, "is neither true nor false")

    def choice(self, column: str, choices: Sequence[str]) -> str:
        """Return a cell that holds one of several words, of which one may be empty."""
        word = self.text(column)
        named = ", ".join(choice or "empty" for choice in choices)
        return word if word in choices else self._refuse(column, f"is none of {named}")

    def seconds(self, column: str) -> float | None:
        """Return a time that is not negative; None of an empty cell."""
        return self._number(column, float("inf"), "no time in seconds from 0 on") if self.text(column) else None

    def share(self, column: str) -> float:
        """Return a number in [0, 1]."""
        return self._number(column, 1.0, "no number from 0 to 1, in shares of the frame's width or height")

    def index(self, column: str) -> int:
        """Return a whole number that is not negative."""
        text = self.text(column)
        return int(text) if text.isdecimal() else self._refuse(column, "is no index of a frame, 0, 1, 2, ...")

    def _number(self, column: str, at_most: float, otherwise: str) -> float:
        try:
            value = float(self.text(column))
        except ValueError:
            return self._refuse(column, f"is {otherwise}")
        return value if 0 <= value <= at_most and value != float("inf") else self._refuse(column, f"is {otherwise}")

    def _refuse(self, column: str, wrong: str) -> NoReturn:
        raise ManifestError(f"{self.path}, row {self.row}: {column} {self.cells.get(column, '')!r} {wrong}")
