"""What a look page holds: columns of numbers and words, one value for each item, and what was found among the items.

The page has it inline as JSON (`Contents.to_json`). Tokens and surprise are larger; they lie in files of `CHUNK` items
each beside the page, and are loaded when they are looked at (`write_chunk`).
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from storage.files import to_json, write_text

VERSION = 1
"""Of the format."""

CHUNK = 256
"""Items of a sheet of thumbnails and of a file of tokens or surprise."""

SHEET_COLUMNS = 16
"""Thumbnails in a row of a sheet."""

MOST_PLACES = 24
"""Occurrences of a code that are listed, at most."""


@dataclass(frozen=True)
class Number:
    """A number of each item, to sort and filter by."""

    key: str
    """Name without spaces, the column of items.csv."""
    label: str
    """Name for people."""
    unit: str
    """Unit; empty for none."""
    help: str
    """What it is, in a sentence."""
    digits: int
    """Digits after the point."""
    values: tuple[float | None, ...]
    """Of each item; None where it has none."""


@dataclass(frozen=True)
class Word:
    """One of a few words of each item, to filter by."""

    key: str
    """Name without spaces, the column of items.csv."""
    label: str
    """Name for people."""
    values: tuple[int | None, ...]
    """Of each item the index into `choices`; None where it has none."""
    choices: tuple[str, ...]
    """All words there are."""


@dataclass(frozen=True)
class Flag:
    """A defect, and the items that have it."""

    key: str
    """Name without spaces."""
    label: str
    """Name for people."""
    help: str
    """What makes an item one of them, in a sentence."""
    items: tuple[int, ...]
    """Indices, worst first."""


@dataclass(frozen=True)
class Duplicates:
    """Items that show almost the same."""

    items: tuple[int, ...]
    """Indices, two or more."""
    leak: bool
    """Whether some are trained on and others are for validation."""
    distance: float
    """Between the two nearest of them: bits of 64 in which their hashes differ, on average over frames."""


@dataclass(frozen=True)
class Tokens:
    """Where the tokens of all items lie."""

    grid: tuple[int, int, int]
    """Tokens of an item by latent frames, rows and columns (t, h, w)."""
    vocabulary: int
    """Number of codes."""
    bytes: int
    """Of a token: 2 or 4, little-endian."""
    files: tuple[str, ...]
    """Relative to the page, of `chunk` items each."""
    latent: int
    """Frames that a latent frame stands for; the first may stand for fewer."""
    chunk: int = CHUNK
    """Items of a file."""


@dataclass(frozen=True)
class Surprise:
    """Where the surprise at each token of all items lies: a byte each, 255 for `most_bits`."""

    files: tuple[str, ...]
    """Relative to the page, of `chunk` items each."""
    most_bits: float
    """Bits that the byte 255 stands for; 0 stands for 0 bits."""
    model: str
    """Whose surprise it is."""
    chunk: int = CHUNK
    """Items of a file."""


@dataclass(frozen=True)
class Codes:
    """How often each code occurs, and where."""

    counts: tuple[int, ...]
    """Occurrences on the page by code."""
    places: tuple[tuple[tuple[int, int], ...], ...]
    """By code some of them: the index of the item and the position of the token in raster order."""


@dataclass(frozen=True)
class Checkpoints:
    """Surprise at each item over checkpoints of a training."""

    labels: tuple[str, ...]
    """Of the checkpoints, for people."""
    steps: tuple[int, ...]
    """Steps of training they had."""
    bits: tuple[tuple[float | None, ...], ...]
    """By checkpoint, then item: mean bits per token."""


@dataclass(frozen=True)
class Batch:
    """What a step was trained on."""

    step: int
    """The step."""
    items: tuple[int, ...]
    """Indices of those that are on the page."""
    elsewhere: int
    """Items of the step that are not on the page."""


@dataclass(frozen=True)
class Training:
    """The curve of a training, and what it was trained on."""

    curve: tuple[tuple[int, float], ...]
    """Steps and the loss of training."""
    validation: tuple[tuple[int, float], ...]
    """Steps and the loss of validation."""
    unit: str
    """Of the loss, such as `nats per token`."""
    batches: tuple[Batch, ...]
    """Of steps of the curve."""
    jumps: tuple[int, ...]
    """Steps at which the loss jumped."""


@dataclass(frozen=True)
class Tags:
    """Tags that people gave to items."""

    known: tuple[str, ...]
    """Names that the page offers."""
    given: tuple[tuple[int, str], ...] = ()
    """The index of an item and the tag it has."""


@dataclass(frozen=True)
class Contents:
    """All that a page shows. Columns have one value for each item, in one order."""

    title: str
    """Of the page."""
    header: tuple[tuple[str, str], ...]
    """What the page was made of and how: names and values."""
    side: int
    """Pixels a side of a thumbnail and of a film's frame."""
    fps: float
    """Frames a second at which films play."""
    names: tuple[str, ...]
    """Sources of the items."""
    starts: tuple[float | None, ...]
    """Seconds from the beginning of the source; None for a still."""
    frames: tuple[int, ...]
    """Frames of each item; 1 for a still, which has no film."""
    sheets: tuple[str, ...]
    """Sheets of thumbnails relative to the page: item i is in sheet i // CHUNK."""
    numbers: tuple[Number, ...]
    words: tuple[Word, ...]
    flags: tuple[Flag, ...]
    duplicates: tuple[Duplicates, ...]
    tags: Tags
    skipped: tuple[tuple[str, str], ...] = ()
    """Names of what could not be used, and why."""
    notes: tuple[str, ...] = ()
    """Sentences that a reader must know."""
    tokens: Tokens | None = None
    surprise: Surprise | None = None
    codes: Codes | None = None
    checkpoints: Checkpoints | None = None
    training: Training | None = None

    def plain(self) -> dict[str, Any]:
        """Return it as the page reads it, in types of JSON."""
        shown = asdict(self)
        if self.training is not None:
            shown["training"]["batches"] = [[one.step, one.items, one.elsewhere] for one in self.training.batches]
        return {"version": VERSION, "count": len(self.names), **shown}

    def to_json(self) -> str:
        """Return it as JSON without line breaks; it may stand inside a script element of HTML, whatever names hold."""
        text = to_json(self.plain(), indent=None)
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def film_name(item: int) -> str:
    """Return where the strip of an item's frames lies, relative to the page."""
    return f"films/{item:06d}.jpg"


def sheet_name(number: int) -> str:
    """Return where a sheet of thumbnails lies, relative to the page."""
    return f"sprites/{number:05d}.jpg"


def chunk_name(kind: str, number: int) -> str:
    """Return where a file of `tokens` or `surprise` lies, relative to the page."""
    return f"{kind}/{number:05d}.js"


def write_chunk(folder: Path, kind: str, number: int, values: np.ndarray[Any, Any]) -> str:
    """Write the tokens or the surprise of up to CHUNK items as a script that hands them to the page; return its name.

    A script, because a page that is opened from a folder may load scripts that lie beside it, but no data.

    Args:
        folder: of the page.
        kind: `tokens` or `surprise`.
        number: of the file.
        values: (items, tokens) uint8, uint16 or uint32.
    """
    encoded = base64.b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode("ascii")
    name = chunk_name(kind, number)
    write_text(folder / name, f"look.receive({json.dumps(kind)}, {number}, {json.dumps(encoded)});\n")
    return name
