"""Where the cells of a sweep ended, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from experiments.memory.options import BEFORE, MemoryOptions
from experiments.statistics.accuracy import POOLED, Accuracy
from storage.files import to_json
from storage.run_folder import read_options
from storage.tables import read_rows, write_table
from storage.terminal import visible

RESULTS = ("readout", "change", "condition", "exposure", "interference", "accuracy", "low", "high", "trials")
"""Columns of sweep.csv after the options in which the cells differ, those of `Accuracy` by the same names."""


@dataclass(frozen=True)
class CellEnd:
    """Where a cell of a sweep ended, under one test condition."""

    cell: str
    """Name of its folder."""
    settings: dict[str, Any]
    """Its options, by name, in order."""
    accuracy: Accuracy
    """After the last test, both versions and all seeds together."""


def write_sweep(out: Path) -> list[CellEnd]:
    """Write `out`/sweep.csv, and return its rows: one per finished cell, readout, change and condition.

    The columns before the accuracy are the options in which the cells differ, so that cells of several calls stand in
    one table.
    """
    ends = [end for table in sorted((out / "cells").glob("*/trials.csv")) for end in cell_ends(table.parent)]
    names = dict.fromkeys(name for end in ends for name in end.settings)
    differing = [name for name in names if len({_text(end.settings.get(name)) for end in ends}) > 1]
    rows = [
        {
            "cell": end.cell,
            **{name: _text(end.settings.get(name, BEFORE.get(name))) for name in differing},
            **{name: getattr(end.accuracy, name) for name in RESULTS},
        }
        for end in ends
    ]
    write_table(out / "sweep.csv", rows, ["cell", *differing, *RESULTS])
    return ends


def cell_ends(cell: Path) -> list[CellEnd]:
    """Return where a finished cell ended, under every test condition."""
    settings = read_options(cell, MemoryOptions).settings("model", "run")
    pooled = [row for row in read_rows(cell / "accuracy.csv", Accuracy) if row.version == POOLED]
    last = max((row.exposure, row.interference) for row in pooled)
    return [CellEnd(cell.name, settings, row) for row in pooled if (row.exposure, row.interference) == last]


def print_table(ends: list[CellEnd]) -> None:
    """Print the accuracies of the weights alone on unchanged images: a line per cell, a column per condition."""
    plain = [end for end in ends if (end.accuracy.readout, end.accuracy.change) == ("weights", "none")]
    conditions = sorted({end.accuracy.condition for end in plain})
    heads = [Column(_cell(head)) for head in ("cell", "exposures", *conditions)]
    table = Table(*heads, title="Accuracy after the last test")
    for cell in dict.fromkeys(end.cell for end in plain):
        of_cell = {end.accuracy.condition: end.accuracy for end in plain if end.cell == cell}
        shares = [f"{100 * of_cell[name].accuracy:.1f} %" if name in of_cell else "" for name in conditions]
        table.add_row(_cell(cell), str(next(iter(of_cell.values())).exposure), *shares)
    Console().print(table)


def _cell(text: str) -> Text:
    """Return a cell of a table, in which brackets of a name are no markup."""
    return Text(visible(text))


def _text(value: object) -> str:
    """Return a setting as a cell of the table: lists in JSON, nothing where there is none."""
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value, indent=None).strip('"')
