"""One row of an export made into a response, or the reason why it cannot be."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from experiments.people.converters.finding import Finder
from experiments.people.data_options import MEANINGS, ConvertOptions, Source, pairs
from experiments.people.table import ANSWERS, TWO_ALTERNATIVES, Response, Task, row_fault

TASKS: Mapping[str, Task] = {
    "2afc": "2afc",
    "test": "2afc",
    "forced_choice": "2afc",
    "vigilance": "vigilance",
    "study": "vigilance",
    "continuous": "continuous",
}
"""What tasks are called in exports."""
REPEATS = {"repeat": "repeat", "repeated": "repeat", "old": "repeat", "new": "new", "first": "new"}
"""What pictures of the tasks on repeats are called in exports."""
TRUTHS = {"1": 1.0, "true": 1.0, "1.0": 1.0, "0": 0.0, "false": 0.0, "0.0": 0.0}
MILLISECONDS = ("jspsych", "labjs")
"""Programs that write times in milliseconds."""
MARKUP = re.compile(r"<[a-zA-Z!/]")


class RowError(ValueError):
    """A row is no response; the message says why."""


@dataclass(frozen=True)
class RowReader:
    """Makes responses of the rows of an export."""

    finder: Finder
    source: Source
    options: ConvertOptions

    def read(self, row: Mapping[str, str], number: Callable[[str, str, str], int]) -> Response:
        """Return the response that a row holds.

        Args:
            row: of the export.
            number: returns the number of a response, of a participant, list and task, that has none of its own.

        Raises:
            RowError: it holds none.
        """
        item = self._item(row)
        task = self._task(row)
        participant, name, version = (self._needed(row, column) for column in ("participant", "list", "version"))
        condition = self._condition(row, task)
        response, correct = self._answer(row, task, condition)
        trial = self._whole(row, "trial")
        made = Response(
            participant=participant,
            list=name,
            version=version,
            task=task,
            trial=number(participant, name, task) if trial is None else trial,
            item=item,
            condition=condition,
            response=response,
            correct=correct,
            reaction_time=self._seconds(row),
            lag=self._whole(row, "lag"),
            side=self.finder.cell(row, "side").lower() if task == TWO_ALTERNATIVES else "",
        )
        fault = row_fault(made)
        if fault:
            raise RowError(fault)
        return made

    def _item(self, row: Mapping[str, str]) -> str:
        item = self.finder.cell(row, "item")
        if not item or MARKUP.search(item):
            raise RowError("no trial: it names no item")
        return item

    def _needed(self, row: Mapping[str, str], column: str) -> str:
        value = self.finder.cell(row, column)
        if not value:
            raise RowError(f"it says no {column}: give --columns {column}=NAME or --constants {column}=VALUE")
        return value

    def _task(self, row: Mapping[str, str]) -> Task:
        """Return the task; a row that says none is a choice between two unless its condition is that of a repeat."""
        named = self.finder.cell(row, "task")
        if named:
            if named.lower() not in TASKS:
                raise RowError(f"no trial: its task is {named!r}")
            return TASKS[named.lower()]
        if self.finder.cell(row, "condition").lower() in REPEATS:
            raise RowError("it says no task, vigilance or continuous: give --constants task=VALUE")
        return "2afc"

    def _condition(self, row: Mapping[str, str], task: str) -> str:
        condition = self._needed(row, "condition")
        return condition if task == TWO_ALTERNATIVES else REPEATS.get(condition.lower(), condition)

    def _answer(self, row: Mapping[str, str], task: str, condition: str) -> tuple[str, float | None]:
        """Return what was answered, and whether it was right."""
        said = self.finder.cell(row, "response")
        truth = self._truth(row)
        right, wrong = ("studied", "foil") if task == TWO_ALTERNATIVES else _right_and_wrong(condition)
        if not said and (self.finder.columns["response"] or truth is None):
            if task == TWO_ALTERNATIVES or self.options.no_answer == "missing":
                return "", None
            return "new", float(right == "new")
        meaning = self._meaning(row, task, said)
        if not meaning and truth is None:
            raise RowError(f"nothing says what the answer {said!r} means: give --answers {said or 'KEY'}=ANSWER")
        answer = meaning or (right if truth else wrong)
        if truth is not None and truth != float(answer == right):
            raise RowError(f"the answer {said!r} means {answer}, but correct is {truth:g}")
        return answer, float(answer == right)

    def _meaning(self, row: Mapping[str, str], task: str, said: str) -> str:
        """Return what an answer means in a task; nothing where that is not known."""
        given = pairs(self.options.answers)
        meaning = given.get(said, said.lower() if said.lower() in MEANINGS else "")
        if meaning in ("left", "right") and task == TWO_ALTERNATIVES:
            side = self.finder.cell(row, "side").lower()
            return ("studied" if meaning == side else "foil") if side else ""
        return meaning if meaning in ANSWERS[task] else ""

    def _truth(self, row: Mapping[str, str]) -> float | None:
        said = self.finder.cell(row, "correct")
        if not said:
            return None
        if said.lower() not in TRUTHS:
            raise RowError(f"correct is {said!r}, not 1, 0, true or false")
        return TRUTHS[said.lower()]

    def _seconds(self, row: Mapping[str, str]) -> float | None:
        """Return the reaction time; a column of the name that the table has is in seconds, whatever the program."""
        column, said = self.finder.found(row, "reaction_time")
        if not said:
            return None
        time = _number(said, "reaction time")
        in_milliseconds = self.source in MILLISECONDS and column != "reaction_time"
        if self.options.unit == "ms" or (self.options.unit == "auto" and in_milliseconds):
            return time / 1000
        return time

    def _whole(self, row: Mapping[str, str], column: str) -> int | None:
        said = self.finder.cell(row, column)
        if not said:
            return None
        value = _number(said, column)
        if value != int(value):
            raise RowError(f"{column} is {said!r}, no whole number")
        return int(value)


def _right_and_wrong(condition: str) -> tuple[str, str]:
    """Return the right answer to a picture of a condition, and the other one."""
    return ("repeat", "new") if condition == "repeat" else ("new", "repeat")


def _number(said: str, what: str) -> float:
    try:
        value = float(said.replace(",", "."))
    except ValueError as error:
        raise RowError(f"{what} is {said!r}, no number") from error
    if not math.isfinite(value):
        raise RowError(f"{what} is {said!r}, no finite number")
    return value
