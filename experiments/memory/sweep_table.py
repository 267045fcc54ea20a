"""Where the cells of a sweep ended, side by side."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments.statistics.accuracy import POOLED
from storage.tables import read_table, write_table

Row = dict[str, str]

PLACE = frozenset({"out", "resume", "overwrite", "save_every"})
"""Options that do not tell cells apart."""
FIGURES = ("learner", "change", "condition", "exposure", "interference", "accuracy", "low", "high", "trials")


def write_sweep(out: Path) -> list[Row]:
    """Write `out`/sweep.csv, and return it: a row per finished cell, way of scoring, change and condition.

    The columns before the accuracy are the options in which the cells differ, as their config.json have them, so that
    cells of several calls stand in one table.
    """
    cells = sorted(path.parent for path in (out / "cells").glob("*/trials.csv"))
    configs = [json.loads((cell / "config.json").read_text(encoding="utf-8")) for cell in cells]
    names = [name for name in dict.fromkeys(name for config in configs for name in config) if name not in PLACE]
    differing = [name for name in names if len({json.dumps(config.get(name)) for config in configs}) > 1]
    rows = [
        {
            "cell": cell.name,
            **{name: _text(config.get(name)) for name in differing},
            **{name: last[name] for name in FIGURES},
        }
        for cell, config in zip(cells, configs, strict=True)
        for last in last_accuracies(cell)
    ]
    write_table(out / "sweep.csv", rows, ["cell", *differing, *FIGURES])
    return rows


def last_accuracies(cell: Path) -> list[Row]:
    """Return the rows of a cell's accuracy.csv that tell where it ended, both versions and all seeds together."""
    rows = [row for row in read_table(cell / "accuracy.csv") if row["version"] == POOLED]
    end = max(_passes(row) for row in rows)
    return [row for row in rows if _passes(row) == end]


def print_table(rows: list[Row]) -> None:
    """Print the accuracies of the weights alone on unchanged images: a line per cell, a column per condition."""
    plain = [row for row in rows if (row["learner"], row["change"]) == ("weights", "none")]
    conditions = sorted({row["condition"] for row in plain})
    table = Table("cell", "exposures", *conditions, title="Accuracy after the last test")
    for cell in dict.fromkeys(row["cell"] for row in plain):
        of_cell = {row["condition"]: row for row in plain if row["cell"] == cell}
        figures = [f"{100 * float(of_cell[name]['accuracy']):.1f} %" if name in of_cell else "" for name in conditions]
        table.add_row(cell, next(iter(of_cell.values()))["exposure"], *figures)
    Console().print(table)


def _passes(row: Row) -> tuple[int, int]:
    return int(row["exposure"]), int(row["interference"])


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
