"""The table of people's responses: one row for each answer of each participant, read as spreadsheets save it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from storage.sheets import read_sheet
from storage.tables import parse_rows, write_rows
from storage.terminal import count

Task = Literal["2afc", "vigilance", "continuous"]
"""A choice between a studied image and a foil; detecting repeats while studying; old or new of every image shown."""

TWO_ALTERNATIVES = "2afc"
ANSWERS = {
    TWO_ALTERNATIVES: ("studied", "foil"),
    "vigilance": ("repeat", "new"),
    "continuous": ("repeat", "new"),
}
"""What can be answered in each task."""
SIDES = ("", "left", "right")
MOST = 10**9
"""Trials and pictures of one participant, at most: more are a slip of the hand."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """One answer of one participant: a row of a table of people's responses."""

    participant: str
    """Code of the participant, never a name."""
    list: str
    """Name of the stimulus list, as in trials.csv of `memory run`."""
    version: str
    """`as_given`, or `swapped`: with studied images and foils exchanged."""
    task: Task
    """`2afc`: choice between a studied image and a foil; `vigilance`: repeats detected in the study stream;
    `continuous`: repeats detected in a stream of their own."""
    trial: int
    """Order within the participant's task, from 0."""
    item: str
    """Of a 2afc the name of the trial, as in trials.csv; otherwise the path of the image in the list."""
    condition: str
    """Of a 2afc the condition of the list, such as novel, exemplar or state; otherwise what the image was: `repeat` or
    `new`."""
    response: str
    """Of a 2afc `studied` or `foil`; otherwise `repeat` or `new`; empty for no answer in time."""
    correct: float | None
    """1 or 0; empty for no answer."""
    reaction_time: float | None
    """Seconds from the onset of the images to the answer; empty where it is not known."""
    lag: int | None
    """Pictures between the two showings of a repeat, plus 1: 1 is immediately after; empty for first showings and for
    2afc."""
    side: str = ""
    """Of a 2afc where the studied image stood, `left` or `right`; empty where it is not known."""

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from all others."""
        return self.participant, self.list, self.task, self.trial


@dataclass(frozen=True)
class Responses:
    """A table of responses, and how it was read."""

    path: Path
    rows: tuple[Response, ...]
    notes: tuple[str, ...]
    """A sentence for everything about the file that is not as `write_responses` writes it."""
    doubled: tuple[Response, ...] = ()
    """Rows that the file holds a second time, word for word, and that are counted once."""


def read_responses(path: Path) -> Responses:
    """Read a table of people's responses.

    Separators may be commas, semicolons or tabs, decimals points or commas; a byte order mark is skipped; TRUE and
    FALSE stand for 1 and 0, NA and NaN for an empty cell. Columns that are not of the table are left out. All of this
    is said in `notes`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no table, a column is missing, a cell holds something else than its column should, a row
            contradicts itself, or a participant gave two answers in one trial; the file and the row are named.
    """
    sheet = read_sheet(path)
    table, notes = sheet.for_kind(Response)
    rows = parse_rows(path, table, Response)
    _check_rows(path, rows)
    kept, doubled = _without_doubled(path, rows)
    if doubled:
        notes = [*notes, f"{count(len(doubled), 'row')} there twice, word for word, counted once"]
    return Responses(path, tuple(kept), (*sheet.notes, *notes), tuple(doubled))


def write_responses(path: Path, rows: Iterable[Response]) -> None:
    """Write a table of people's responses, whole or not at all."""
    write_rows(path, rows, Response)


def _check_rows(path: Path, rows: Sequence[Response]) -> None:
    """Check what no single cell tells.

    Raises:
        ValueError: a row contradicts itself.
    """
    for number, row in enumerate(rows, start=1):
        fault = row_fault(row)
        if fault:
            raise ValueError(f"{path}, row {number}: {fault}")


def row_fault(row: Response) -> str:
    """Return how a row contradicts itself or what the columns hold; nothing where it does not."""
    return next((fault for check in CHECKS if (fault := check(row))), "")


def _names_wrong(row: Response) -> str:
    empty = [name for name in ("participant", "list", "version", "item", "condition") if not getattr(row, name).strip()]
    if empty:
        return f"{empty[0]} is empty"
    if row.version not in ("as_given", "swapped"):
        return f"version {row.version!r} must be as_given or swapped"
    if row.side not in SIDES:
        return f"side {row.side!r} must be left, right or empty"
    return ""


def _numbers_wrong(row: Response) -> str:
    if not (0 <= row.trial <= MOST):
        return f"trial {row.trial} must be at least 0 and at most {MOST}"
    if row.reaction_time is not None and not (0 <= row.reaction_time < math.inf):
        return f"reaction_time {row.reaction_time} must be seconds, at least 0"
    if row.lag is not None and not (1 <= row.lag <= MOST):
        return f"lag {row.lag} must be at least 1, of a picture shown immediately before, and at most {MOST}"
    return ""


def _answer_wrong(row: Response) -> str:
    """Return how what was answered, what was right and whether it was do not go together."""
    answers = ANSWERS[row.task]
    if row.task != TWO_ALTERNATIVES and row.condition not in answers:
        return f"condition {row.condition!r} must be repeat or new in the task {row.task}"
    if row.response not in ("", *answers):
        return f"response {row.response!r} must be {' or '.join(answers)}, or empty, in the task {row.task}"
    right = "studied" if row.task == TWO_ALTERNATIVES else row.condition
    expected = float(row.response == right) if row.response else None
    if row.correct != expected:
        given, wanted = ("empty" if value is None else f"{value:g}" for value in (row.correct, expected))
        answer = f"response {row.response!r}" if row.response else "an empty response"
        return f"correct is {given}, where {answer} to {right!r} makes it {wanted}"
    return ""


CHECKS: tuple[Callable[[Response], str], ...] = (_names_wrong, _numbers_wrong, _answer_wrong)


def _without_doubled(path: Path, rows: Sequence[Response]) -> tuple[list[Response], list[Response]]:
    """Return the rows, each once, and those that are there again.

    Raises:
        ValueError: two rows are the same trial of the same participant, and differ.
    """
    seen: dict[tuple[object, ...], tuple[int, Response]] = {}
    doubled = []
    for number, row in enumerate(rows, start=1):
        earlier, first = seen.setdefault(row.key, (number, row))
        if earlier == number:
            continue
        if first != row:
            raise ValueError(
                f"{path}, row {number}: {row.participant} has answered trial {row.trial} of the task {row.task} in row "
                f"{earlier} already, and otherwise: remove one, or give two participants two codes"
            )
        doubled.append(row)
    return [row for _, row in seen.values()], doubled
