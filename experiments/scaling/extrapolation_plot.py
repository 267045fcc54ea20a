"""The fan: a panel for each group, a line with its band for each family, the target, and years of waking life."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.plots import finish_figure
from experiments.scaling.extrapolation_tables import FanRow
from experiments.scaling.families import FAMILIES
from experiments.scaling.tables import CurveRow
from training.curves import COLOURS, DASHES
from training.figures import literal

PANEL = (4.6, 3.6)
"""Inches."""
MOST_COLUMNS = 3
BEYOND = 0.35
"""Share of the range of points and target that is shown above and below it; curves that go farther leave the panel."""
LEAST_RANGE = 1e-6
"""Of the measure, that is shown."""


def draw_fan(
    path: Path,
    points: Sequence[CurveRow],
    fan: Sequence[FanRow],
    targets: tuple[float, float],
    marks: Mapping[str, float],
    note: str,
) -> None:
    """Draw the points of each group with all families through them.

    Args:
        path: the image to write.
        points: of all groups.
        fan: the curves.
        targets: both ends of the target.
        marks: amounts that are marked, by their names.
        note: a line under the panels.
    """
    groups = list(dict.fromkeys(row.group for row in points))
    columns = min(len(groups), MOST_COLUMNS)
    lines = -(-len(groups) // columns)
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * lines + 0.4), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False)
    for panel in axes.flat[len(groups) :]:
        panel.set_axis_off()
    for panel, group in zip(axes.flat, groups, strict=False):
        _draw_group(
            panel, [row for row in points if row.group == group], [row for row in fan if row.group == group], targets
        )
        for name, amount in marks.items():
            panel.axvline(amount, color="0.6", linewidth=0.8, linestyle=":")
            panel.annotate(
                literal(name), (amount, 0.02), xycoords=("data", "axes fraction"), rotation=90, fontsize=6, color="0.4"
            )
        panel.set_title(literal(group))
    finish_figure(figure, axes.flat, path, note, columns=3)


def _draw_group(panel: Axes, points: Sequence[CurveRow], fan: Sequence[FanRow], targets: tuple[float, float]) -> None:
    values = [row.value for row in points]
    ends = np.array([min(*values, *targets), max(*values, *targets)])
    low, high = ends + np.array([-BEYOND, BEYOND]) * max(np.ptp(ends), LEAST_RANGE)
    for family, colour in zip(FAMILIES, COLOURS, strict=False):
        _draw_line(panel, [row for row in fan if row.family == family.name], family.name, colour, (low, high))
    panel.plot([row.amount for row in points], values, "o", color="black", markersize=3, label="points", zorder=3)
    panel.axhspan(*targets, color="0.75", alpha=0.6, label="target")
    panel.axhline(targets[0], color="0.5", linewidth=0.8)
    panel.set(xscale="log", xlabel=literal(points[0].unit), ylabel=literal(points[0].measure), ylim=(low, high))
    panel.spines[["top", "right"]].set_visible(False)


def _draw_line(panel: Axes, line: Sequence[FanRow], label: str, colour: str, ends: tuple[float, float]) -> None:
    """Draw a family as far as it lies in the panel, which it must not widen."""
    if not line:
        return
    amounts = [row.amount for row in line]
    inside = [row.value if ends[0] <= row.value <= ends[1] else math.nan for row in line]
    panel.plot(amounts, inside, color=colour, linestyle=DASHES[colour], label=label, linewidth=1.2)
    bands = [(row.low, row.high) for row in line if row.low is not None and row.high is not None]
    if len(bands) == len(line):
        low, high = np.clip(np.array(bands), *ends).T
        panel.fill_between(amounts, low, high, color=colour, alpha=0.12, linewidth=0)
