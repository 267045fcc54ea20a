"""The plot of keys of pictures: accuracy, and foils called old, under each change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from experiments.memory.changes import CHANGES
from experiments.plots import finish_figure
from training.curves import COLOURS, MARKERS
from training.figures import literal

if TYPE_CHECKING:
    from experiments.memory.key_choice import KeyRow

PANEL = (3.2, 2.6)
"""Inches of a panel."""
MEASURES = {"accuracy": "correct choices", "false_alarms": "foils called old"}


def draw_keys(path: Path, rows: Sequence[KeyRow]) -> None:
    """Draw a column of panels for each condition, a line for each key over the changes.

    Args:
        path: the image to write.
        rows: of one half of the trials.
    """
    conditions = sorted({row.condition for row in rows})
    keys = list(dict.fromkeys(row.key for row in rows))
    changes = [change for change in ("none", *CHANGES) if change in {row.change for row in rows}]
    width, height = PANEL
    figure = Figure(figsize=(width * len(conditions), height * len(MEASURES) + 1), layout="constrained")
    axes = figure.subplots(len(MEASURES), len(conditions), sharex=True, sharey="row", squeeze=False)
    for panels, (name, label) in zip(axes, MEASURES.items(), strict=True):
        panels[0].set_ylabel(label)
        for panel, condition in zip(panels, conditions, strict=True):
            for index, key in enumerate(keys):
                of_line = {row.change: row for row in rows if (row.key, row.condition) == (key, condition)}
                values = [getattr(of_line[change], name) for change in changes]
                colour = COLOURS[index % len(COLOURS)]
                panel.plot(changes, values, f"{MARKERS[colour]}:", color=colour, ms=4, lw=0.7, label=literal(key))
            panel.set(title=literal(condition) if name == "accuracy" else "", ylim=(-0.03, 1.03))
            panel.tick_params(axis="x", rotation=90)
            panel.spines[["top", "right"]].set_visible(False)
    for panel in axes[0]:
        panel.axhline(0.5, color="0.6", linestyle=":", linewidth=1)
        panel.axhline(0.9, color="0.8", linewidth=1)
    note = "second half of the trials; chance at one half, the aim at 0.9; criterion of the first half over all changes"
    finish_figure(figure, axes.flat, path, note)
