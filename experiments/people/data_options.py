"""What can be asked about people's responses. Imports no torch, so that `--help` is instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from storage.checked_files import check_file
from storage.options import Options, about, option

RESPONSES = "responses.csv"
"""What tables of responses are called that this project writes."""
Source = Literal["auto", "jspsych", "psychopy", "labjs", "table"]
"""Programs whose exports are read; `table` is any CSV with a row for each answer."""
COLUMNS = (
    *("participant", "list", "version", "task", "trial", "item", "condition", "response", "correct"),
    *("reaction_time", "lag", "side"),
)
"""Columns of a table of responses, as `experiments.people.table.Response` has them."""


def response_tables(path: Path) -> list[Path]:
    """Return the tables of responses that a path means: itself, or of a folder its responses.csv, or all CSV files.

    Raises:
        ValueError: there is none.
    """
    if not path.is_dir():
        check_file(path, "table of people's responses")
        return [path]
    if (path / RESPONSES).exists():
        return [path / RESPONSES]
    if (path / "task.json").exists():
        raise ValueError(f"{path} is a test for people: give {path / 'responses'}, where their answers are collected")
    found = sorted(path.glob("*.csv"))
    if not found:
        raise ValueError(f"{path} holds no CSV files: give tables of people's responses, or a folder of them")
    return found


@dataclass(frozen=True)
class PeopleOptions(Options):
    """Responses of people, and whose are left out. State the rules before you look at the results."""

    people: tuple[Path, ...] = option((), must_hold=response_tables)
    """CSV files of people's responses, or folders of them, from `secondsight memory serve` or `secondsight memory
    people`; their accuracy stands beside the models in place of published results."""
    least_hits: float = option(0.5, at_least=0, at_most=1)
    """Leave out participants who detected a smaller share of the repeats in the vigilance task; 0 leaves out none."""
    most_false_alarms: float = option(0.5, at_least=0, at_most=1)
    """Leave out participants who called a larger share of the new pictures repeats in the vigilance task; 1 leaves out
    none."""
    least_d_prime: float | None = option(None, at_least=-10, at_most=10)
    """Leave out participants whose d' in the vigilance task is smaller; not asked for if not given."""
    fast_seconds: float = option(0.2, at_least=0, at_most=60)
    """Choices between two images that took less are too fast."""
    most_fast: float = option(0.1, at_least=0, at_most=1)
    """Leave out participants with a larger share of choices that are too fast; 1 leaves out none."""
    least_answered: float = option(0.8, at_least=0, at_most=1)
    """Leave out participants who answered a smaller share of the trials of the list, or of those of the participant
    with the most where the list is not known; 0 leaves out none."""


@dataclass(frozen=True)
class ConvertOptions(Options):
    """Make the table of responses that `memory report --people` reads from what an experiment program exported."""

    command = "memory people"
    example = (
        "secondsight memory people data/*.csv --source psychopy --constants list=brady version=as_given --out people"
    )

    files: tuple[Path, ...] = field(metadata=about(positional=True, must_hold=partial(check_file, what="export")))
    """Exports: CSV, or of jsPsych JSON, of one participant or of many."""
    out: Path
    """Folder for responses.csv, and left_out.csv with every row that could not be used and why."""
    source: Source = "auto"
    """Which program made them; `auto` tells by their columns."""
    columns: tuple[str, ...] = ()
    """Where columns of the table are found, as COLUMN=NAME, such as participant=PROLIFIC_PID item=picture."""
    constants: tuple[str, ...] = ()
    """Columns that are the same in all rows, as COLUMN=VALUE, such as list=brady task=2afc version=as_given."""
    answers: tuple[str, ...] = ()
    """What keys and buttons mean, as KEY=ANSWER, such as f=left j=right, or space=repeat; answers are studied, foil,
    left, right, repeat and new."""
    unit: Literal["auto", "s", "ms"] = "auto"
    """Of reaction times: seconds of PsychoPy and of the table, milliseconds of jsPsych and lab.js."""
    no_answer: Literal["missing", "new"] = "missing"
    """What no answer means in the tasks on repeats: none in time; or `new`, where a key is pressed for repeats only."""
    codes: Literal["keep", "number"] = "keep"
    """Keep the participants' codes, or number them p001, p002 ... in order of appearance, where they would tell who
    somebody is."""

    def check(self) -> None:
        """Check the pairs.

        Raises:
            ValueError: one is none, or names no column or answer.
        """
        for name in ("columns", "constants", "answers"):
            for text in getattr(self, name):
                key, equals, value = text.partition("=")
                if not (key and equals and value):
                    raise ValueError(f"--{name} {text!r} must be two names with = between them")
                if name != "answers" and key not in COLUMNS:
                    raise ValueError(f"--{name} {text!r}: {key} is no column; there are {', '.join(COLUMNS)}")
                if name == "answers" and value not in MEANINGS:
                    raise ValueError(f"--answers {text!r}: {value} is no answer; there are {', '.join(MEANINGS)}")


MEANINGS = ("studied", "foil", "left", "right", "repeat", "new")
"""What a key can stand for."""


def pairs(texts: tuple[str, ...]) -> dict[str, str]:
    """Return texts such as `item=picture` as a dict."""
    return dict(text.split("=", 1) for text in texts)
