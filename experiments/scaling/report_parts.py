"""The parts of a report: ladders, laws, extrapolations and tasks, read back from the folders that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from experiments.scaling.extrapolate import ExtrapolationTables, read_extrapolation
from experiments.scaling.fit_tables import LawTables, read_law
from experiments.scaling.measured_tables import UnmeasuredRow
from experiments.scaling.options import ScalingExtrapolateOptions, ScalingFitOptions, ScalingTasksOptions
from experiments.scaling.rate_table import TriedRow
from experiments.scaling.run_table import LadderRow
from experiments.scaling.tasks import TaskTables, read_task_tables
from storage.run_folder import read_options, recorded_command
from storage.tables import read_rows

Row = TypeVar("Row")


@dataclass(frozen=True)
class LadderPart:
    """Trainings that have ended."""

    folder: Path
    rows: list[LadderRow]
    unfinished: list[str]
    """Cells that have begun and not ended."""
    trials: list[TriedRow]
    """Learning rates that were tried, if any were."""
    unmeasured: list[UnmeasuredRow]
    """Tasks that were asked for and are not measured."""

    @property
    def table(self) -> Path:
        """What a law is fitted to."""
        return self.folder / "runs.csv"

    @property
    def tasks(self) -> Path:
        """What was measured of each cell, if anything was."""
        return self.folder / "tasks.csv"


@dataclass(frozen=True)
class LawPart:
    """A law."""

    folder: Path
    options: ScalingFitOptions
    tables: LawTables


@dataclass(frozen=True)
class ExtrapolationPart:
    """Curves that were carried on."""

    folder: Path
    options: ScalingExtrapolateOptions
    tables: ExtrapolationTables


@dataclass(frozen=True)
class TaskPart:
    """Tasks that were classified."""

    folder: Path
    options: ScalingTasksOptions
    tables: TaskTables


@dataclass(frozen=True)
class Parts:
    """All parts, of each kind in the order in which they were named."""

    ladders: list[LadderPart]
    laws: list[LawPart]
    extrapolations: list[ExtrapolationPart]
    tasks: list[TaskPart]

    def folders(self) -> dict[str, list[Path]]:
        """Return the folders of each kind, by its name."""
        return {
            "ladders": [part.folder for part in self.ladders],
            "laws": [part.folder for part in self.laws],
            "extrapolations": [part.folder for part in self.extrapolations],
            "tasks": [part.folder for part in self.tasks],
        }


def read_parts(folders: Sequence[Path]) -> Parts:
    """Return what folders hold.

    Raises:
        OSError: a table is not there.
        RunFolderError: a `config.json` is damaged, or of an older version.
        ValueError: a table is damaged, or a ladder has no training that has ended.
    """
    parts = Parts([], [], [], [])
    for folder in folders:
        command = recorded_command(folder)
        if command == ScalingFitOptions.command:
            parts.laws.append(read_law_part(folder))
        elif command == ScalingExtrapolateOptions.command:
            options = read_options(folder, ScalingExtrapolateOptions)
            parts.extrapolations.append(ExtrapolationPart(folder, options, read_extrapolation(folder)))
        elif command == ScalingTasksOptions.command:
            parts.tasks.append(read_task_part(folder))
        else:
            parts.ladders.append(_read_ladder(folder))
    return parts


def read_law_part(folder: Path) -> LawPart:
    """Return the law in a folder; for errors see `read_parts`."""
    return LawPart(folder, read_options(folder, ScalingFitOptions), read_law(folder))


def read_task_part(folder: Path) -> TaskPart:
    """Return the tasks in a folder; for errors see `read_parts`."""
    return TaskPart(folder, read_options(folder, ScalingTasksOptions), read_task_tables(folder))


def check_units(laws: Sequence[LawPart]) -> None:
    """Refuse laws that do not compare.

    Raises:
        ValueError: losses, or data, of two are in different units.
    """
    for law in laws[1:]:
        first = laws[0]
        units, others = ((one.tables.unit, one.tables.item) for one in (first, law))
        if units != others:
            raise ValueError(
                f"{first.folder} is a law of {' and '.join(units)}, {law.folder} one of {' and '.join(others)}: they "
                "do not compare; report them one by one"
            )


def not_in_law(ladder: LadderPart, law: LawPart) -> list[str]:
    """Return the trainings of a ladder that a law does not know with their losses, as those that ended after it.

    Cells of other ladders have the same names, and other losses.
    """
    known = {row.run: row.loss for row in law.tables.residuals}
    return [row.run for row in ladder.rows if row.run not in known or not _is_loss_of(row, known[row.run])]


def _is_loss_of(row: LadderRow, loss: float | None) -> bool:
    """Whether a law was told this loss of a training, in either unit that a ladder has."""
    return row.diverged if loss is None else loss in (row.loss, row.bits_per_pixel)


def _read_ladder(folder: Path) -> LadderPart:
    rows = read_rows(folder / "runs.csv", LadderRow)
    if not rows:
        raise ValueError(f"no training of {folder} has ended yet: its index.html tells how far it is")
    ended = {row.run for row in rows}
    begun = sorted(run.parent.name for run in (folder / "cells").glob("*/config.json"))
    unfinished = [name for name in begun if name not in ended]
    return LadderPart(
        folder,
        rows,
        unfinished,
        _rows_if_any(folder, "rates.csv", TriedRow),
        _rows_if_any(folder, "unmeasured.csv", UnmeasuredRow),
    )


def _rows_if_any(folder: Path, name: str, kind: type[Row]) -> list[Row]:
    return read_rows(folder / name, kind) if (folder / name).is_file() else []
