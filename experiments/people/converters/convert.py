"""Make one table of people's responses of what experiment programs exported.

responses.csv   the responses, as `secondsight memory report --people` reads them
left_out.csv    every row of an export that could not be used, and why
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from experiments.people.converters.exports import Export, read_export
from experiments.people.converters.finding import Finder
from experiments.people.converters.rows import RowError, RowReader
from experiments.people.data_options import RESPONSES, ConvertOptions
from experiments.people.reading import NAMELIKE
from experiments.people.table import Response, write_responses
from storage.tables import write_rows
from storage.terminal import visible
from training.progress import count, say_done, say_found

PLAUSIBLE = (0.02, 60.0)
"""Seconds between which the median of reaction times should lie: beyond them the unit is another."""


@dataclass(frozen=True)
class LeftOutAnswer:
    """A row of an export that could not be used: a row of `left_out.csv`."""

    file: str
    """Name of the export; with `--codes number` which of them it was in the command, as names of files may tell names
    of people."""
    row: int
    """Which of its rows, counted from 1 below the line of names."""
    reason: str
    """Why it is no response."""


def convert_responses(options: ConvertOptions) -> Path:
    """Write `responses.csv` and `left_out.csv` into the folder of `--out`.

    Raises:
        OSError: an export cannot be read.
        ValueError: an export is no table, is there twice, or none of the rows is a response.
    """
    exports = [read_export(path, options.source) for path in options.files]
    _refuse_copies(options.files)
    converter = _Converter(options)
    for place, export in enumerate(exports, start=1):
        converter.add(export, f"export {place}" if options.codes == "number" else export.path.name)
    if not converter.rows:
        raise ValueError(_nothing(converter.left_out))
    rows = _numbered(converter.rows) if options.codes == "number" else converter.rows
    say_found(
        files=", ".join(sorted({f"{export.source}: {_how_many(exports, export.source)}" for export in exports})),
        responses=f"{len(rows):,} of {count(len({row.participant for row in rows}), 'participant')}",
        left_out=count(len(converter.left_out), "row"),
    )
    notes = [f"{export.path}: {note}" for export in exports for note in export.notes]
    for remark in (*notes, *_reasons(converter.left_out), *_remarks(rows, converter.nameless)):
        print(visible(remark), file=sys.stderr)
    write_responses(options.out / RESPONSES, rows)
    write_rows(options.out / "left_out.csv", converter.left_out, LeftOutAnswer)
    say_done(options.out / RESPONSES, "secondsight memory report RUNS --people", options.out)
    return options.out


class _Converter:
    """Collects the responses of exports, and what is left out."""

    def __init__(self, options: ConvertOptions) -> None:
        self.options = options
        self.rows: list[Response] = []
        self.left_out: list[LeftOutAnswer] = []
        self.nameless = 0
        self._numbers: Counter[tuple[str, str, str]] = Counter()
        self._keys: set[tuple[object, ...]] = set()

    def add(self, export: Export, called: str) -> None:
        """Read all rows of an export, which has this name in `left_out.csv`."""
        finder = Finder.of(export, self.options)
        self.nameless += finder.nameless
        reader = RowReader(finder, export.source, self.options)
        for number, row in enumerate(export.rows, start=1):
            try:
                response = reader.read(row, self._next)
                self._check_new(response)
            except RowError as error:
                self.left_out.append(LeftOutAnswer(called, number, str(error)))
                continue
            self._keys.add(response.key)
            self._numbers[response.participant, response.list, response.task] += 1
            self.rows.append(response)

    def _next(self, participant: str, name: str, task: str) -> int:
        return self._numbers[participant, name, task]

    def _check_new(self, response: Response) -> None:
        if response.key in self._keys:
            raise RowError(f"trial {response.trial} of its participant is there already")


def _refuse_copies(paths: Iterable[Path]) -> None:
    """Refuse files with the same content, whose trials would count twice.

    Raises:
        ValueError: there are two.
    """
    seen: dict[bytes, Path] = {}
    for path in paths:
        first = seen.setdefault(hashlib.sha256(path.read_bytes()).digest(), path)
        if first is not path:
            raise ValueError(f"{first} and {path} are the same: give one of them")


def _how_many(exports: Sequence[Export], source: str) -> str:
    return count(sum(export.source == source for export in exports), "file")


def _numbered(rows: Sequence[Response]) -> list[Response]:
    """Return the responses with codes in order of appearance in the place of what participants were called."""
    codes: dict[str, str] = {}
    for row in rows:
        codes.setdefault(row.participant, f"p{len(codes) + 1:03}")
    return [replace(row, participant=codes[row.participant]) for row in rows]


def _reasons(left_out: Sequence[LeftOutAnswer]) -> list[str]:
    """Return a sentence for each reason, the most frequent first."""
    reasons = Counter(each.reason for each in left_out)
    return [f"left out: {count(number, 'row')}, {reason}" for reason, number in reasons.most_common(10)]


def _nothing(left_out: Sequence[LeftOutAnswer]) -> str:
    reason, number = Counter(each.reason for each in left_out).most_common(1)[0]
    return f"none of {count(len(left_out), 'row')} is a response; of most, {number:,}, because: {reason}"


def _remarks(rows: Sequence[Response], nameless: int) -> list[str]:
    """Return what looks wrong about the responses, of which so many files say not whose they are."""
    remarks = []
    if nameless:
        named = "1 file names" if nameless == 1 else f"{nameless:,} files name"
        remarks.append(f"{named} no participants: the code is the name of the file.")
    times = [row.reaction_time for row in rows if row.reaction_time is not None]
    low, high = PLAUSIBLE
    if times and not low <= median(times) <= high:
        remarks.append(
            f"The median reaction time is {median(times):g} s: if that is another unit, say which with --unit."
        )
    names = sorted({row.participant for row in rows if NAMELIKE.fullmatch(row.participant)})
    if names:
        remarks.append(
            f"{count(len(names), 'code')} of participants look like names or addresses: give --codes number."
        )
    return remarks
