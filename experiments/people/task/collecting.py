"""Answers that a page sends: checked against the task, and kept in one file for each participant.

responses/<participant>.csv    the answers (`experiments.people.table`)
responses/<participant>.json   times of pictures, and what the browser tells of the screen
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from experiments.people.table import TWO_ALTERNATIVES, Response, read_responses, write_responses
from storage.files import to_json, write_text
from storage.tables import read_table

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What a participant may be called: it becomes the name of a file."""
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|responses)", re.IGNORECASE)
"""Names that files of Windows cannot have, and that of a table of all participants, in whose place none may come."""
RESPONSES = "responses"


class RefusedError(ValueError):
    """Answers that are not kept; the message says why, to whoever sent them."""


class ConflictError(RefusedError):
    """There are other answers of the same participant."""


@dataclass(frozen=True)
class Task:
    """What answers can be about."""

    name: str
    """Of the list."""
    kinds: frozenset[str]
    """Tasks of the table of responses."""
    versions: frozenset[str]
    conditions: Mapping[str, str]
    """Of the choices, by name."""
    pictures: frozenset[str]
    """Paths of what can be shown in a stream."""


def read_task(folder: Path) -> Task:
    """Read what answers to a task can be about.

    Raises:
        ValueError: a file of the folder is damaged.
    """
    try:
        said = json.loads((folder / "task.json").read_text(encoding="utf-8"))
        trials = read_table(folder / "manifest.csv", ("item", "condition", "foil"))
        study = read_table(folder / "study.csv", ("path",))
        kinds = frozenset({TWO_ALTERNATIVES, "vigilance"} if said["task"] == TWO_ALTERNATIVES else {"continuous"})
        name, versions = str(said["list"]), frozenset(map(str, said["versions"]))
    except (KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(f"{folder} is damaged ({error}): make the task again") from error
    pictures = {image["path"] for image in study} | {trial["foil"] for trial in trials}
    return Task(name, kinds, versions, {trial["item"]: trial["condition"] for trial in trials}, frozenset(pictures))


class Collector:
    """Keeps what participants answer in a folder.

    Args:
        folder: of the task.
    """

    def __init__(self, folder: Path) -> None:
        self.task = read_task(folder)
        self.folder = folder / RESPONSES
        self._lock = Lock()

    def keep(self, body: bytes) -> int:
        """Keep what a page sent, in place of what it sent before, and return the number of answers.

        Args:
            body: JSON with `participant`, `responses` (CSV) and `record` (an object).

        Raises:
            ConflictError: other answers of this participant are there; they stay.
            RefusedError: it is no such JSON, or not about this task.
            OSError: it cannot be written.
        """
        participant, text, record = _parse(body)
        rows = _read_rows(text)
        for number, row in enumerate(rows, start=1):
            wrong = self._wrong(row, participant)
            if wrong:
                raise RefusedError(f"row {number}: {wrong}")
        path = self.folder / f"{participant}.csv"
        with self._lock:
            _check_goes_on(path, rows)
            write_text(path.with_suffix(".json"), record)
            write_responses(path, rows)
        return len(rows)

    def _wrong(self, row: Response, participant: str) -> str:
        """Return what keeps an answer from being one to this task; nothing if it is one."""
        task = self.task
        if row.participant != participant:
            return f"participant {row.participant!r} is not {participant}"
        if row.list != task.name:
            return f"list {row.list!r} is not {task.name!r}"
        if row.version not in task.versions:
            return f"version {row.version!r} is not of this task"
        if row.task not in task.kinds:
            return f"task {row.task!r} is not {' or '.join(sorted(task.kinds))}"
        if row.task != TWO_ALTERNATIVES:
            return "" if row.item in task.pictures else f"item {row.item!r} is not of the list"
        if task.conditions.get(row.item) != row.condition:
            return f"item {row.item!r} is not of the list's condition {row.condition!r}"
        return ""


def _parse(body: bytes) -> tuple[str, str, str]:
    """Return the participant, the answers as CSV, and the record as JSON."""
    try:
        said = json.loads(body)
        record_text = to_json(said.get("record")) + "\n" if isinstance(said, dict) else ""
    except (ValueError, RecursionError) as error:
        raise RefusedError("this is no JSON") from error
    if not isinstance(said, dict):
        raise RefusedError("this is no JSON object")
    participant, text, record = (said.get(name) for name in ("participant", "responses", "record"))
    if not isinstance(participant, str) or not CODE.fullmatch(participant) or RESERVED.fullmatch(participant):
        raise RefusedError("participant must be a code of letters, digits, - and _, and no name that files cannot have")
    if not isinstance(text, str) or not isinstance(record, dict):
        raise RefusedError("responses must be CSV in a text, and record an object")
    return participant, text, record_text


def _read_rows(text: str) -> Sequence[Response]:
    """Read answers as anybody's table of responses is read.

    Raises:
        RefusedError: they are none, or there are none.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "responses.csv"
        path.write_bytes(text.encode("utf-8", "backslashreplace"))
        try:
            rows = read_responses(path).rows
        except ValueError as error:
            raise RefusedError(str(error).replace(str(path), "responses")) from error
    if not rows:
        raise RefusedError("there are no answers")
    return rows


def _check_goes_on(path: Path, rows: Sequence[Response]) -> None:
    """Refuse answers that do not begin with those that are there: they are another sitting's.

    Raises:
        ConflictError: they do not.
    """
    if not path.exists():
        return
    there = read_responses(path).rows
    if tuple(rows[: len(there)]) != tuple(there):
        raise ConflictError("there are other answers of this participant already: take another code")
