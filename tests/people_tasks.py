"""Small tasks for people, made without npm where jsPsych is not needed."""

from pathlib import Path
from typing import Any

from memory_lists import make_list

from experiments.people.options import TaskOptions
from experiments.people.table import Response
from experiments.people.task.content import Design
from experiments.people.task.libraries import PACKAGES, Library
from experiments.people.task.make import read_design, write_task

NO_LIBRARIES = [Library(name, version, "MIT", "nowhere", b"") for name, version in PACKAGES.items()]


def options_of(folder: Path, **others: Any) -> TaskOptions:
    """Options for a task in `folder`/task of the list in `folder`/list, which is made unless it is there."""
    stimuli = folder / "list"
    if not stimuli.exists():
        make_list(stimuli, 3, 12)
    return TaskOptions.of(**{"stimuli": stimuli, "out": folder / "task", "orders": 2, **others})


def make_small_task(folder: Path, libraries: list[Library] = NO_LIBRARIES, **others: Any) -> tuple[Path, Design]:
    """Write the task of a small list, and return its folder."""
    options = options_of(folder, **others)
    design = read_design(options)
    options.out.mkdir()
    write_task(options.out, design, libraries)
    return options.out, design


def perfect_answers(design: Design, participant: str, version: str = "as_given", order: int = 0) -> list[Response]:
    """The answers of a participant who remembers everything."""
    plan = design.plan(order)
    listed = design.versions[version]
    common: dict[str, Any] = {"participant": participant, "list": design.name, "version": version, "correct": 1.0}
    rows = []
    for trial, (picture, lag) in enumerate(zip(plan.stream, plan.lags, strict=True)):
        kind = "repeat" if lag else "new"
        time = 0.7 if lag else None
        of_task = {"task": "vigilance" if design.tested else "continuous", "lag": lag or None, "reaction_time": time}
        item = listed.study[picture].path
        rows.append(Response(**common, **of_task, trial=trial, item=item, condition=kind, response=kind))
    for trial, (index, left) in enumerate(zip(plan.trials, plan.studied_left, strict=True)):
        asked = listed.trials[index]
        choice = {"task": "2afc", "response": "studied", "reaction_time": 1.2, "side": "left" if left else "right"}
        rows.append(Response(**common, **choice, trial=trial, item=asked.item, condition=asked.condition, lag=None))
    return rows
