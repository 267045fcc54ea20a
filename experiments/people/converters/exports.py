"""What experiment programs export: rows of text by column, and which program they are from.

jsPsych writes a row for each trial, as CSV or as JSON, with `trial_type`, `trial_index`, `time_elapsed`, `response` and
`rt` in milliseconds; JATOS puts the JSON of one participant on each line. PsychoPy writes CSV with a row for each trial
(https://docs.psychopy.org/general/dataOutputs.html) and columns for each loop (`trials.thisN`) and each component
(`key_resp.keys`, `.corr`, `.rt` in seconds). lab.js writes CSV with `sender`, `response`, `correct`, `ended_on` and
`duration` in milliseconds (its documentation, "Data format": docs/reference in
https://github.com/FelixHenninger/lab.js), and what is known of the participant in some rows only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.people.data_options import COLUMNS, Source
from storage.checked_files import FaultError, parse_json
from storage.sheets import read_any_text, read_sheet

JSON_ENDINGS = (".json", ".jsonl", ".txt")
OPTIONAL = {"side"}
"""Columns that a table of responses may lack."""


@dataclass(frozen=True)
class Export:
    """The rows of one file."""

    path: Path
    source: Source
    rows: tuple[dict[str, str], ...]
    notes: tuple[str, ...]
    """How it was read."""

    def only(self, column: str) -> str:
        """Return the value of a column where all rows that have one have the same; nothing otherwise."""
        found = {row[column].strip() for row in self.rows if row.get(column, "").strip()}
        return found.pop() if len(found) == 1 else ""


def read_export(path: Path, source: Source) -> Export:
    """Read an export.

    Args:
        path: of the file.
        source: the program, or `auto`: by its columns.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no table and no JSON of trials, or `auto` cannot tell the program.
    """
    if path.suffix.lower() in JSON_ENDINGS:
        text, notes = read_any_text(path)
        return Export(path, "jspsych" if source == "auto" else source, tuple(_json_rows(path, text)), tuple(notes))
    sheet = read_sheet(path)
    rows = tuple({name: cell or "" for name, cell in row.items()} for row in sheet.rows)
    return Export(path, program_of(path, sheet.columns) if source == "auto" else source, rows, sheet.notes)


def program_of(path: Path, columns: Sequence[str]) -> Source:
    """Return the program that writes such columns.

    Raises:
        ValueError: none of those that are known.
    """
    there = set(columns)
    if set(COLUMNS) - OPTIONAL <= there:
        return "table"
    if {"trial_type", "trial_index"} <= there:
        return "jspsych"
    if {"sender", "sender_type"} & there:
        return "labjs"
    if "psychopyVersion" in there or any(name.endswith((".thisN", ".keys")) for name in columns):
        return "psychopy"
    raise ValueError(
        f"{path} is from none of jsPsych, PsychoPy and lab.js by its columns ({', '.join(columns[:20])}): say which "
        "with --source, or give --source table and say with --columns where things are"
    )


def _json_rows(path: Path, text: str) -> list[dict[str, str]]:
    """Return the trials of a JSON file, or of one with a JSON on each line.

    Raises:
        ValueError: it holds none.
    """
    try:
        content = parse_json(text, finite=False)
    except FaultError as error:
        content = _lines(text)
        if content is None:
            raise ValueError(f"{path} holds no trials: {error}") from error
    trials = list(_trials(content))
    if not trials:
        raise ValueError(f"{path} holds no trials: give the JSON of all trials of a participant")
    return [{name: _cell(value) for name, value in trial.items()} for trial in trials]


def _lines(text: str) -> list[Any] | None:
    """Return the JSON of every line; None where one is none."""
    try:
        return [parse_json(line, finite=False) for line in text.splitlines() if line.strip()]
    except FaultError:
        return None


def _trials(content: Any) -> list[dict[str, Any]]:
    """Return the objects in lists of lists, in order; of an object with a list of trials these."""
    if isinstance(content, list):
        return [trial for each in content for trial in _trials(each)]
    if isinstance(content, dict):
        inside = content.get("trials", content.get("data"))
        return _trials(inside) if isinstance(inside, list) else [content]
    return []


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
