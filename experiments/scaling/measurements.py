"""What is measured of the cells of a ladder, as options of the commands that measure, and what is done of it.

tasks/<task>/<cell>/      of each task but `reconstruction`: the folder of the command that measures it
tasks/reconstruction/     the folder of `vqgan eval`, as the tokenizer is the same for all cells
tasks/encoded/            films as tokens, of which those of `physics` share one copy

Whether something is done is read from its folder. `gpt eval` and `vqgan eval` keep no run folder of their own: here the
first writes its numbers into metrics.json, and both their options, last of all, into config.json.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from experiments.diversity.experiment import run_diversity
from experiments.memory.experiment import run_memory
from experiments.physics.experiment import run_physics
from experiments.scaling.ladder import Cell, Ladder
from experiments.scaling.measuring_options import KINDS, Task
from experiments.scaling.options import ScalingRunOptions
from experiments.scaling.trainings import store_of
from gpt.evaluate import evaluate as evaluate_gpt
from storage.files import to_json, write_text
from storage.lock import FolderLock
from storage.options import Options
from storage.run_folder import check_run, open_run
from vqgan.evaluate import evaluate as evaluate_tokenizer

FOLDER = "tasks"
"""Of all that is measured, in the folder of a ladder."""
LAST_WRITTEN: dict[Task, str] = {
    "nll": "config.json",
    "memory": "trials.csv",
    "diversity": "run.csv",
    "physics": "scores.csv",
    "reconstruction": "config.json",
}
"""The file whose presence says that a measurement is finished."""
PRECISIONS = ("precision", "sampling_precision")


class MeasurementError(ValueError):
    """A measurement failed otherwise than by its options; the message says how."""


@dataclass(frozen=True)
class Measurement:
    """A task of a cell, or of the tokenizer."""

    task: Task
    cell: Cell | None
    """None of the tokenizer."""
    folder: Path
    """Where the results are."""
    options: Options
    """Of the command that measures it."""

    @property
    def name(self) -> str:
        """By which parts of a ladder know it: the path of its folder in that of the tasks."""
        return self.task if self.cell is None else f"{self.task}/{self.cell.name}"


def measurements(options: ScalingRunOptions, ladder: Ladder) -> list[Measurement]:
    """Return all that is asked for: of the tokenizer, then cell by cell, each task.

    Raises:
        OptionError: a file of `--task-options` cannot be used.
        ValueError: options that it gives do not go together with those of the ladder.
    """
    tasks = options.measuring.tasks
    whole = [_measurement(options, task, None) for task in tasks if task == "reconstruction"]
    cells = [_measurement(options, task, cell) for cell in ladder.trained for task in tasks if task != "reconstruction"]
    return [*whole, *cells]


def is_measured(one: Measurement) -> bool:
    """Whether a measurement is finished.

    Raises:
        RunFolderError: it was made with other options.
    """
    if not (one.folder / LAST_WRITTEN[one.task]).exists():
        return False
    flat = one.options.flat()
    # The record has what was settled on.
    left_open = [name for name in PRECISIONS if str(flat.get(name, "")).endswith(("auto", "!"))]
    return check_run(one.folder, one.options, "auto", begun=True, by_content=left_open).continues


def measure(one: Measurement) -> None:
    """Carry out a measurement, or what is missing of it.

    Raises:
        FolderLockError: another process is writing into its folder.
        MeasurementError: a learner diverged.
        RunFolderError: its folder holds results of other options.
        ValueError, OSError: see the functions in `COMMANDS`.
        SystemExit: a signal asked it to end, and its state was saved.
    """
    try:
        COMMANDS[one.task](one)
    except FloatingPointError as error:
        raise MeasurementError(f"{one.folder}: {error}") from error


def films_folder(options: ScalingRunOptions) -> Path:
    """Return where films are kept as tokens."""
    return options.out / FOLDER / "encoded"


def _measurement(options: ScalingRunOptions, task: Task, cell: Cell | None) -> Measurement:
    folder = options.out / FOLDER / task
    folder = folder if cell is None else folder / cell.name
    asked: dict[str, Any] = {**options.measuring.further(task), **_asked(options, task, cell, folder)}
    return Measurement(task, cell, folder, KINDS[task].of(**asked))


def _asked(options: ScalingRunOptions, task: Task, cell: Cell | None, folder: Path) -> dict[str, Any]:
    """Return the options that the ladder sets, by name."""
    asked = options.measuring
    if cell is None:
        return {"tokenizer": asked.tokenizer, "data": asked.data, "split": "validation", "out": folder}
    gpt = options.out / "cells" / cell.name
    if task == "nll":
        return {"gpt": gpt, "tokens": options.tokens}
    common = {"tokenizer": asked.tokenizer, "out": folder, "resume": "auto"}
    if task == "memory":
        rate = {} if asked.memory_learning_rate is None else {"learning_rate": asked.memory_learning_rate}
        return {**common, **rate, "gpt": gpt, "stimuli": asked.stimuli, "exposures": max(asked.exposures)}
    if task == "diversity":
        once = {} if "encodings" in asked.further(task) else {"encodings": ("alone",)}
        return {**common, **once, "gpt": gpt, "tokens": store_of(options, cell.trunk.data), "data": asked.data}
    return {**common, "gpt": (gpt,), "films": asked.films, "encoded": films_folder(options)}


def _evaluate_gpt(one: Measurement) -> None:
    options: Any = one.options
    with FolderLock(one.folder, wait=True):
        write_text(one.folder / "metrics.json", to_json(evaluate_gpt(options)))
        open_run(one.folder, options, "auto", begun=False)


def _evaluate_tokenizer(one: Measurement) -> None:
    options: Any = one.options
    with FolderLock(one.folder, wait=True):
        evaluate_tokenizer(options)
        open_run(one.folder, options, "auto", begun=False)


def _run(command: Callable[[Any], object], one: Measurement) -> None:
    command(one.options)


COMMANDS: dict[Task, Callable[[Measurement], None]] = {
    "nll": _evaluate_gpt,
    "memory": partial(_run, run_memory),
    "diversity": partial(_run, run_diversity),
    "physics": partial(_run, run_physics),
    "reconstruction": _evaluate_tokenizer,
}
"""What carries out each task."""
