"""The task grid: accuracy and likelihood of each task side by side, with the curves that were compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.plots import finish_figure
from experiments.scaling.task_rows import ClassRow, CurveFitRow, Measure
from experiments.scaling.task_table import TaskRow
from training.curves import COLOURS
from training.figures import literal

PANEL = (2.9, 2.2)
"""Inches."""
GROUPS_IN_A_ROW = 2
GROUPS_IN_A_FIGURE = 12
STYLES = {"smooth": "-", "logistic": "--", "piecewise": ":"}
"""Lines of the three kinds of curves."""


def draw_tasks(
    folder: Path, points: Sequence[TaskRow], classes: Sequence[ClassRow], fits: Sequence[CurveFitRow], likelihood: str
) -> list[Path]:
    """Draw all tasks into `tasks_<number>.png`, and return their paths.

    Args:
        folder: of the images.
        points: of all tasks.
        classes: what they were called.
        fits: curves through them.
        likelihood: name of the continuous measure.
    """
    groups = list(dict.fromkeys((row.task, row.items) for row in classes))
    paths = []
    for number, first in enumerate(range(0, len(groups), GROUPS_IN_A_FIGURE), start=1):
        path = folder / f"tasks_{number}.png"
        _draw_figure(path, groups[first : first + GROUPS_IN_A_FIGURE], points, classes, fits, likelihood)
        paths.append(path)
    return paths


def _draw_figure(
    path: Path,
    groups: Sequence[tuple[str, str]],
    points: Sequence[TaskRow],
    classes: Sequence[ClassRow],
    fits: Sequence[CurveFitRow],
    likelihood: str,
) -> None:
    measures = [measure for measure in get_args(Measure) if any(row.measure == measure for row in classes)]
    in_a_row = min(len(groups), GROUPS_IN_A_ROW)
    rows = -(-len(groups) // in_a_row)
    columns = in_a_row * len(measures)
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in axes[len(groups) * len(measures) :]:
        panel.set_axis_off()
    for index, group in enumerate(groups):
        for offset, measure in enumerate(measures):
            panel = axes[index * len(measures) + offset]
            _draw_panel(panel, group, measure, points, classes, fits)
            panel.set_ylabel(literal(likelihood if measure == "likelihood" else measure), fontsize=8)
    note = "Each measure is classified by itself; an ability that jumps in accuracy only jumps on that axis."
    finish_figure(figure, axes, path, note if len(measures) > 1 else "", columns=4 if columns > 1 else 2)


def _draw_panel(
    panel: Axes,
    group: tuple[str, str],
    measure: Measure,
    points: Sequence[TaskRow],
    classes: Sequence[ClassRow],
    fits: Sequence[CurveFitRow],
) -> None:
    own = [row for row in points if (row.task, row.items) == group]
    values = [(row.compute, row.likelihood if measure == "likelihood" else row.accuracy) for row in own]
    known = [(compute, value) for compute, value in values if value is not None]
    if not known:
        panel.set_axis_off()
        return
    panel.plot(*zip(*known, strict=True), "o", color="black", markersize=3, label="models")
    for (name, style), colour in zip(STYLES.items(), COLOURS, strict=False):
        line = [row for row in fits if (row.task, row.items, row.measure, row.fit) == (*group, measure, name)]
        if line:
            panel.plot(
                [row.compute for row in line], [row.value for row in line], style, color=colour, linewidth=1, label=name
            )
    (kind,) = (row.kind for row in classes if (row.task, row.items, row.measure) == (*group, measure))
    panel.set_title(f"{literal(', '.join(filter(None, group)))}: {kind}", fontsize=8)
    panel.set_xscale("log")
    panel.set_xlabel(literal(own[0].unit), fontsize=8)
    panel.tick_params(which="both", labelsize=7)
    panel.spines[["top", "right"]].set_visible(False)
