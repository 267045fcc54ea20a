"""Where an export has what: columns by their usual names, by names that were given, and what is the same throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.people.converters.exports import Export
from experiments.people.data_options import ConvertOptions, pairs

USUAL: Mapping[str, tuple[str, ...]] = {
    "participant": (
        *("participant", "participant_id", "participantid", "subject", "subject_id", "subjectid", "subject_nr"),
        *("prolific_pid", "worker_id", "workerid", "code"),
    ),
    "list": ("list", "list_name", "stimulus_list"),
    "version": ("version", "counterbalance"),
    "task": ("task",),
    "trial": ("trial",),
    "item": ("item", "item_id", "pair", "image", "picture", "stimulus"),
    "condition": ("condition", "trial_condition"),
    "response": ("response", "*.keys", "*.clicked_name"),
    "correct": ("correct", "*.corr", "accuracy", "acc"),
    "reaction_time": ("reaction_time", "rt", "*.rt", "response_time", "duration"),
    "lag": ("lag",),
    "side": ("side", "studied_side", "target_side"),
}
"""Names of columns in small letters, by what they hold; a star stands for the name of a component of PsychoPy."""
OF_FILE = ("participant", "list", "version")
"""What is the same in a whole file, and may stand in some of its rows only."""
NOTHING = frozenset({"", "null", "none", "na", "nan", "undefined"})
"""What programs write where there is no value, in small letters."""


@dataclass(frozen=True)
class Finder:
    """Finds the cells of the table in the rows of an export."""

    columns: Mapping[str, Sequence[str]]
    """Of each column of the table the columns of the export that may hold it; the first that is not empty counts."""
    constants: Mapping[str, str]
    """What all rows have."""
    of_file: Mapping[str, str]
    """What rows have that say nothing of their own."""
    nameless: bool
    """Whether nothing in the export says whose it is, so that the name of the file does."""

    @classmethod
    def of(cls, export: Export, options: ConvertOptions) -> Finder:
        """Look for the columns of an export.

        Raises:
            ValueError: a column that was named is not there.
        """
        there = list(dict.fromkeys(name for row in export.rows[:1] for name in row))
        there += list(dict.fromkeys(name for row in export.rows for name in row if name not in there))
        named = pairs(options.columns)
        missing = [name for name in named.values() if name not in there]
        if missing:
            raise ValueError(f"{export.path} has no column {', '.join(missing)} (its columns: {', '.join(there)})")
        columns = {column: [named[column]] if column in named else _usual(column, there) for column in USUAL}
        of_file = {column: found for column in OF_FILE if (found := _only(export, columns[column]))}
        constants = pairs(options.constants)
        nameless = not columns["participant"] and "participant" not in constants
        if nameless:
            of_file["participant"] = export.path.stem
        return cls(columns, constants, of_file, nameless)

    def cell(self, row: Mapping[str, str], column: str) -> str:
        """Return what a row says of a column of the table; nothing where it says nothing."""
        if column in self.constants:
            return self.constants[column]
        return self.found(row, column)[1] or self.of_file.get(column, "")

    def found(self, row: Mapping[str, str], column: str) -> tuple[str, str]:
        """Return the column of the export that a row has a value in, and the value; two empty texts for none."""
        for name in self.columns[column]:
            value = row.get(name, "").strip()
            if value.lower() not in NOTHING:
                return name, value
        return "", ""


def _usual(column: str, there: Sequence[str]) -> list[str]:
    """Return the columns of an export that are called as usual, in the order of what is usual."""
    return [name for usual in USUAL[column] for name in there if _fits(name.lower(), usual)]


def _fits(name: str, usual: str) -> bool:
    return name.endswith(usual[1:]) if usual.startswith("*") else name == usual


def _only(export: Export, columns: Sequence[str]) -> str:
    """Return the one value that a file has in the first of these columns with any."""
    return next(filter(None, map(export.only, columns)), "")
