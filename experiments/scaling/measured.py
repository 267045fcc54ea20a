"""The tables of what was measured of a ladder, made from the folders of the measurements."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from experiments.codebook import write_codebook
from experiments.scaling import run_table
from experiments.scaling.measured_tables import MeasuredRow, Outcome, TaskCurveRow, UnmeasuredRow
from experiments.scaling.measurements import Measurement
from experiments.scaling.run_table import LadderRow
from storage.tables import write_rows

CURVES = "curves"
"""Folder of the curves."""
UNIT = "flop"
TABLES: dict[str, type] = {"tasks.csv": MeasuredRow, "unmeasured.csv": UnmeasuredRow}
"""The rows of the tables, for the codebook; those of the curves beside them are `TaskCurveRow`."""


def measured_rows(row: LadderRow, outcomes: Sequence[Outcome]) -> list[MeasuredRow]:
    """Return the rows of a cell, of what one measurement says of it."""
    return [
        MeasuredRow(
            **asdict(outcome),
            run=row.run,
            seed=row.seed,
            width=row.width,
            layers=row.layers,
            parameters=row.parameters,
            data=row.data,
            hours_of_film=row.hours_of_film,
            compute=row.compute,
            unit=UNIT,
        )
        for outcome in outcomes
    ]


def unmeasured_rows(missing: Sequence[Measurement], reasons: Mapping[str, str]) -> list[UnmeasuredRow]:
    """Return a row for each measurement that is missing, with the reason that stands under its name."""
    return [
        UnmeasuredRow("" if one.cell is None else one.cell.name, one.task, reasons.get(one.name, "not yet"))
        for one in missing
    ]


def write_measured(out: Path, rows: Sequence[MeasuredRow], unmeasured: Sequence[UnmeasuredRow]) -> None:
    """Write the tables; curves of tasks that were asked for earlier, and are not now, would be out of date and go."""
    write_rows(out / "tasks.csv", rows, MeasuredRow)
    write_rows(out / "unmeasured.csv", unmeasured, UnmeasuredRow)
    curves = {curve_path(out, task): task for task in dict.fromkeys(row.task for row in rows)}
    for path in set((out / CURVES).glob("*.csv")) - curves.keys():
        path.unlink()
    for path, task in curves.items():
        write_rows(path, curve_of(task, rows), TaskCurveRow)
    if curves:
        write_codebook(out / CURVES, {path.name: TaskCurveRow for path in curves})


def curve_of(task: str, rows: Sequence[MeasuredRow]) -> list[TaskCurveRow]:
    """Return the values of a task; those that are censored, of which only a bound is known, are left out."""
    return [
        TaskCurveRow(
            amount=row.compute,
            unit=row.unit,
            measure=row.measure,
            value=row.value,
            low=None if row.accuracy is None else 0.0,
            high=None if row.accuracy is None else 1.0,
            group=row.items,
            seed=str(row.seed),
            run=row.run,
            data=row.data,
            hours_of_film=row.hours_of_film,
        )
        for row in rows
        if row.task == task and not row.censored
    ]


def curve_path(out: Path, task: str) -> Path:
    """Return where the curve of a task is."""
    return out / CURVES / (re.sub("[^a-z0-9]+", "-", task.lower()) + ".csv")


def write_whole_codebook(out: Path) -> None:
    """Write the codebook of the tables that the folder of a ladder holds."""
    known = {**run_table.TABLES, **TABLES}
    write_codebook(out, {name: kind for name, kind in known.items() if (out / name).exists()})
