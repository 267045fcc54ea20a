"""Anybody's table: which column is what, by its name or as an option says, and numbers that are what they should be."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from storage.checked_files import FaultError, check_size
from storage.tables import read_table

LARGEST_TABLE = 1 << 28
"""Bytes of a table, at most."""
MOST_ROWS = 10_000
LARGEST = 1e100
"""Of any number, and of one over any amount: farther out there is nothing to fit."""
UNITS = frozenset(
    (
        *("second", "seconds", "minute", "minutes", "hour", "hours", "day", "days", "week", "weeks", "year", "years"),
        *("token", "tokens", "flop", "flops", "image", "images", "clip", "clips", "frame", "frames", "step", "steps"),
        *("epoch", "epochs", "example", "examples", "exposure", "exposures", "sample", "samples", "parameters"),
    )
)
"""Words in the name of a column that tell what its amounts are in."""
PERCENT = frozenset(("percent", "pct"))
ACCURACY = frozenset(("accuracy", "acc", "share", "correct", *PERCENT))
LOSS = frozenset(("loss", "nll", "perplexity", "bits"))
HIGHER = frozenset(("likelihood", "probability", "prob", "logprob", "margin"))
"""Words in the name of a continuous measure that is better the higher it is."""
LOWER = frozenset(("loss", "nll", "perplexity", "brier"))
"""Words in the name of one that is better the lower it is."""


class AnyTable:
    """A table that anybody may have written.

    Args:
        path: of the CSV.

    Raises:
        ValueError: it is no table, or has no rows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            check_size(path, LARGEST_TABLE)
            _check_head(path)
            self.rows = read_table(path)
        except (FaultError, UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{path} is no table that can be read ({error}): give a CSV file in UTF-8") from error
        while self.rows and not any(cell.strip() for cell in self.rows[-1].values()):
            self.rows.pop()  # spreadsheets write rows without a word after the last
        if not self.rows:
            raise ValueError(f"{path} has no rows")
        if len(self.rows) > MOST_ROWS:
            raise ValueError(f"{path} has {len(self.rows):,} rows, more than {MOST_ROWS:,}: give a row for each model")
        self.names = list(self.rows[0])

    def column(
        self, what: str, option: str, asked: str, exact: Sequence[str] = (), worded: Collection[str] = ()
    ) -> str | None:
        """Return the name of a column.

        Args:
            what: it holds, for messages.
            option: that names it.
            asked: what the option says; empty if it says nothing.
            exact: names that it may have, the first that is there is taken, in large or small letters, with spaces or
                underscores.
            worded: words, one of which its name has.

        Returns:
            Its name, None if there is no such column and none was asked for.

        Raises:
            ValueError: the column that was asked for is not there, or several may be meant.
        """
        if asked:
            if asked not in self.names:
                raise ValueError(f"{self.path} has no column {asked} ({option}); there are {', '.join(self.names)}")
            return asked
        plain = {_plain(name): name for name in reversed(self.names)}
        found = next((plain[name] for name in exact if name in plain), None)
        if found is not None:
            return found
        candidates = [name for name in self.names if words_of(name) & set(worded)]
        if len(candidates) > 1:
            raise ValueError(f"{self.path} has several columns of {what} ({', '.join(candidates)}): choose by {option}")
        return candidates[0] if candidates else None

    def needed(
        self, what: str, option: str, asked: str, exact: Sequence[str] = (), worded: Collection[str] = ()
    ) -> str:
        """Return the name of a column that must be there: see `column`.

        Raises:
            ValueError: it is not there, too.
        """
        found = self.column(what, option, asked, exact, worded)
        if found is None:
            raise ValueError(f"{self.path} has no column of {what}: name it by {option} ({', '.join(self.names)})")
        return found

    def number(self, index: int, name: str, positive: bool = False) -> float:
        """Return the number in a row, counted from 0, and a column.

        Raises:
            ValueError: there is none, it is not finite, or must be positive and is not.
        """
        text = self.rows[index][name].strip()
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(f"{self.path}, row {index + 1}: {name} {text!r} is no finite number")
        if positive and value <= 0:
            raise ValueError(f"{self.path}, row {index + 1}: {name} {value:g} must be positive: leave the row out")
        if abs(value) > LARGEST or (positive and value < 1 / LARGEST):
            raise ValueError(f"{self.path}, row {index + 1}: {name} {value:g} is too far from 1 to be fitted")
        return value

    def unit(self, column: str, asked: str) -> str:
        """Return what a column of amounts is in, as an option, the column `unit` or the column's own name says it.

        Raises:
            ValueError: nothing says it, or the table has several units.
        """
        if asked:
            return asked
        if "unit" in self.names:
            units = sorted({row["unit"] for row in self.rows})
            if len(units) > 1:
                raise ValueError(f"{self.path} has amounts in {', '.join(units)}: give one table for each unit")
            if units[0]:
                return units[0]
        if words_of(column) & UNITS:
            return column.replace("_", " ")
        raise ValueError(f"{self.path} does not say what {column} is in: add --unit, such as --unit 'hours of film'")


def copies_in_words(table: AnyTable) -> str:
    """Return a sentence on rows that are copies of others, cell by cell; empty where there are none."""
    copies = len(table.rows) - len({tuple(row.values()) for row in table.rows})
    if not copies:
        return ""
    are = "row is a copy" if copies == 1 else "rows are copies"
    return f"{copies} {are} of another, cell by cell: if it is no training of its own, intervals are too narrow."


def words_of(name: str) -> set[str]:
    """Return the words of a column's name, in small letters, without digits."""
    return set(re.findall("[a-z]+", name.lower()))


def as_share(table: AnyTable, index: int, column: str, percent: bool) -> float:
    """Return an accuracy as a share.

    Raises:
        ValueError: it lies outside of 0 to 1, or of 0 to 100 where it is in per cent.
    """
    value = table.number(index, column) / (100 if percent else 1)
    if not 0 <= value <= 1:
        hint = "" if percent else f"; values in per cent need a column named so, as {column}_percent"
        end = 100 if percent else 1
        raise ValueError(f"{table.path}, row {index + 1}: {column} must lie in [0, {end}]{hint}")
    return value


def check_percent(table: AnyTable, column: str) -> None:
    """Refuse shares in a column that is named as one of per cent.

    Raises:
        ValueError: no value is above 1, and some are above 0.
    """
    values = [table.number(index, column) for index, row in enumerate(table.rows) if row[column].strip()]
    if values and 0 < max(values) <= 1:
        raise ValueError(f"{table.path}: all {column} lie in [0, 1], as shares do: rename the column to accuracy")


def text_of(row: Mapping[str, str], column: str | None) -> str:
    """Return the cell of a column that need not be there."""
    return "" if column is None else row[column].strip()


def _plain(name: str) -> str:
    """Return the name of a column in small letters, with underscores for spaces."""
    return "_".join(name.lower().split())


def _check_head(path: Path) -> None:
    """Refuse a first line that makes no columns.

    Raises:
        ValueError: a column is there twice, or there are semicolons where commas should be.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        names = next(csv.reader(file), [])
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise ValueError(f"{path} has several columns {', '.join(twice)}: rename or drop all but one")
    for letter, called in ((";", "semicolons"), ("\t", "tabs")):
        if len(names) == 1 and letter in names[0]:
            raise ValueError(f"{path} has {called} between its cells: save it with commas, and points in numbers")
