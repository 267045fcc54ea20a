"""How much is a picture? Memory against the arithmetic of study, for pictures of more or fewer tokens.

A picture of 32 x 32 tokens tells more than one of 8 x 8, and a pass over it takes twenty to thirty times the
arithmetic. So cells of a sweep are compared at equal training FLOPs (`--equal-compute`): one model, one rate, and the
more often a list is presented, the less a pass over it takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from data.stimuli.lists import Stimulus
from experiments.human import human_results
from experiments.memory.options import MemoryOptions
from experiments.plots import finish_figure, number_axis
from experiments.statistics.accuracy import Accuracy, pooled
from gpt.config import GPTConfig
from gpt.flops import flops_per_token
from storage.run_folder import read_options
from storage.tables import read_rows, write_rows
from training.curves import COLOURS, MARKERS
from training.figures import literal

PANEL = (3.4, 3.0)
"""Inches of a panel."""


@dataclass(frozen=True)
class ComputeRow:
    """A row of compute.csv: the weights alone on unchanged images, after an exposure of a cell."""

    cell: str
    """Name of its folder."""
    preset: str
    """Architecture of the GPT."""
    size: int
    """Pixels a side of an image."""
    colours: int
    """Colours of the palette."""
    tokens: int
    """Of an image."""
    condition: str
    """Test condition of the list: how the foil differs from what was studied."""
    exposure: int
    """Passes over the study list."""
    flops: float
    """Floating-point operations of study so far, forward and backward, without tests and what is rehearsed."""
    accuracy: float
    """Share of correct trials."""
    low_images: float
    """Lower end of its 95 % interval for other images."""
    high_images: float
    """Upper end of it."""
    trials: int
    """Number of trials."""


def equal_exposures(cells: Sequence[MemoryOptions]) -> list[MemoryOptions]:
    """Return cells that study for about as many FLOPs: `--exposures` times those of the costliest pass over an image.

    Every cell has a whole number of exposures, so that half a pass may be missing or too many.
    """
    costs = [flops_per_image(cell) for cell in cells]
    most = max(costs)
    return [
        cell.changed(exposures=round(cell.learning.exposures * most / cost))
        for cell, cost in zip(cells, costs, strict=True)
    ]


def flops_per_image(cell: MemoryOptions) -> int:
    """Return the FLOPs of one pass over one image, as a palette of the list makes it."""
    config = _config(cell)
    return flops_per_token(config) * config.window * cell.learning.steps_per_exposure


def write_compute(out: Path) -> list[ComputeRow]:
    """Write `out`/compute.csv and compute.png of the finished cells of a sweep, and return the rows."""
    rows = [row for table in sorted((out / "cells").glob("*/trials.csv")) for row in _rows(table.parent)]
    write_rows(out / "compute.csv", rows, ComputeRow)
    draw_compute(out / "compute.png", rows)
    return rows


def draw_compute(path: Path, rows: Sequence[ComputeRow]) -> None:
    """Draw accuracy against FLOPs, a panel for each condition, a line for each kind of picture.

    Args:
        path: the image to write.
        rows: of any cells; tests before study, at no FLOPs, are left out.
    """
    conditions = sorted({row.condition for row in rows})
    cells = sorted({(row.tokens, row.colours, row.cell): row for row in rows}.items())
    figure = Figure(figsize=(PANEL[0] * len(conditions), PANEL[1] + 0.6), layout="constrained")
    axes = figure.subplots(1, len(conditions), sharey=True, squeeze=False)[0]
    people = human_results(conditions)
    for panel, condition in zip(axes, conditions, strict=True):
        for index, ((_, _, cell), of_cell) in enumerate(cells):
            line = [row for row in rows if (row.cell, row.condition) == (cell, condition) and row.flops]
            _draw_line(panel, line, _label(of_cell), COLOURS[index % len(COLOURS)])
        panel.axhline(0.5, color="0.6", linestyle=":", linewidth=1)
        if condition in people:
            panel.axhline(people[condition].accuracy, color="0.6", linewidth=1)
        panel.set(title=literal(condition), xlabel="FLOPs of study", xscale="log", ylim=(0.3, 1.03))
        number_axis(panel.xaxis)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("recognition accuracy")
    finish_figure(figure, axes, path, "bands: 95 % over images; dotted: chance; grey: people, where they are known")


def _draw_line(panel: Axes, line: Sequence[ComputeRow], label: str, colour: str) -> None:
    flops = [row.flops for row in line]
    panel.plot(flops, [row.accuracy for row in line], f"{MARKERS[colour]}-", ms=3, color=colour, label=label)
    panel.fill_between(
        flops,
        [row.low_images for row in line],
        [row.high_images for row in line],
        color=colour,
        alpha=0.15,
        linewidth=0,
    )


def _label(row: ComputeRow) -> str:
    return literal(f"{row.preset}, {row.size} x {row.size} tokens of {row.colours} colours")


def _rows(cell: Path) -> list[ComputeRow]:
    options = read_options(cell, MemoryOptions)
    images = len(read_rows(cell / "study.csv", Stimulus))
    each = flops_per_image(options) * images
    found = read_rows(cell / "accuracy.csv", Accuracy)
    return [_row(cell.name, options, row, each) for curve in pooled(found).values() for row in curve]


def _row(cell: str, options: MemoryOptions, accuracy: Accuracy, flops: int) -> ComputeRow:
    return ComputeRow(
        cell=cell,
        preset=str(options.settings("model")["preset"]),
        size=options.material.size,
        colours=options.material.colours,
        tokens=options.material.size**2,
        condition=accuracy.condition,
        exposure=accuracy.exposure,
        flops=float(flops * accuracy.exposure),
        accuracy=accuracy.accuracy,
        low_images=accuracy.low_images,
        high_images=accuracy.high_images,
        trials=accuracy.trials,
    )


def _config(cell: MemoryOptions) -> GPTConfig:
    side = cell.material.size
    return cell.model.for_tokens((1, side, side), cell.material.colours)
