"""The figures of `scaling fit`, drawn from its tables alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.plots import finish_figure, number_axis
from experiments.scaling.fit_lines import BEST
from experiments.scaling.fit_tables import BudgetRow, GridBiasRow, LineRow, OptimumRow, ResidualRow
from training.curves import COLOURS, DASHES, MARKERS
from training.figures import literal

METHODS = {"law": COLOURS[0], "parabola": COLOURS[1], "akima": COLOURS[2], "envelope": COLOURS[3]}
"""Colours of methods, in all figures."""
TITLES = {"parabola": "parabola", "akima": "Akima"}
MARKS = {"runs": ("0.55", "."), "runs on the envelope": ("black", "."), "left out": ("0.7", "x")}
"""Colours and marks of runs."""
PANEL = (4.6, 3.8)
"""Inches."""


def draw_loss(path: Path, rows: Sequence[ResidualRow], lines: Sequence[LineRow], unit: str, note: str) -> None:
    """Draw loss against compute: the runs, the law for some sizes, and its envelope."""
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    panel = figure.subplots()
    own = [line for line in lines if line.figure == "loss"]
    names = list(dict.fromkeys(line.line for line in own if line.line != BEST))
    for name, colour in zip(names, COLOURS[1:], strict=False):
        _line(panel, own, name, colour, linewidth=0.9)
    _line(panel, own, BEST, COLOURS[0])
    for label, (colour, marker) in MARKS.items():
        places = [(row.compute, row.loss) for row in rows if row.loss is not None and _kind(row) == label]
        if places:
            x, y = np.array(places).T
            panel.scatter(x, y, s=14, linewidth=0.8, label=label, color=colour, marker=marker)
    panel.set(xscale="log", yscale="log", xlabel="compute (FLOP)", ylabel=literal(f"loss ({unit})"))
    _finish(figure, [panel], path, note, columns=3)


def draw_isoflop(
    path: Path, rows: Sequence[ResidualRow], budgets: Sequence[BudgetRow], lines: Sequence[LineRow], note: str
) -> None:
    """Draw loss against size for each budget, a panel for each reading, with the minima read and those of the law."""
    own = [line for line in lines if line.figure == "isoflop"]
    readings = list(dict.fromkeys(line.line.partition(" at ")[0] for line in own))
    figure = Figure(figsize=(PANEL[0] * len(readings), PANEL[1] + 0.5), layout="constrained")
    panels = figure.subplots(1, len(readings), squeeze=False, sharey=True)[0]
    for panel, reading in zip(panels, readings, strict=True):
        names = [name for name in dict.fromkeys(line.line for line in own) if name.startswith(f"{reading} at ")]
        for number, name in enumerate(names):
            _line(panel, own, name, COLOURS[number % len(COLOURS)], linewidth=0.9, label=name.partition(" at ")[2])
        drawn = {name.partition(" at ")[2] for name in names}
        read = [one for one in budgets if one.method == reading and f"{one.compute:.3g} FLOP" in drawn]
        kept = [row for row in rows if row.loss is not None and not row.left_out]
        panel.scatter([row.parameters for row in kept], [row.loss for row in kept], s=6, color="0.75", zorder=0)
        low = [one for one in read if one.parameters is not None]
        panel.scatter([one.parameters for one in low], [one.loss for one in low], s=30, color="black", marker="*")
        panel.set(xscale="log", yscale="log", xlabel="parameters", title=TITLES[reading])
    panels[0].set_ylabel("loss")
    _finish(figure, list(panels), path, note, columns=3)


def draw_bias(path: Path, rows: Sequence[GridBiasRow], note: str) -> None:
    """Draw by how much each reading of exact losses is off, against how far sizes reach, a line for each middle."""
    figure = Figure(figsize=(PANEL[0] * 2, PANEL[1] + 0.3), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, reading in zip(panels, ("parabola", "akima"), strict=True):
        for number, centre in enumerate(dict.fromkeys(row.centre for row in rows)):
            places = [
                (row.width, row.bias)
                for row in rows
                if row.method == reading and row.centre == centre and row.bias is not None
            ]
            if places:
                label = f"middle at {centre:g} times the best size"
                style: Any = {"marker": MARKERS[COLOURS[number]], "markersize": 3, "color": COLOURS[number]}
                panel.plot(*zip(*places, strict=True), label=label, **style)
        panel.axhline(1, color="0.6", linewidth=0.8)
        panel.set(xscale="log", xlabel="largest by smallest size", title=TITLES[reading])
    panels[0].set_ylabel("size that is read by the best size")
    _finish(figure, list(panels), path, note, columns=3)


def draw_optimum(
    path: Path,
    budgets: Sequence[BudgetRow],
    rows: Sequence[ResidualRow],
    optima: Sequence[OptimumRow],
    lines: Sequence[LineRow],
    factor: float,
    item: str,
    note: str,
) -> None:
    """Draw the best size and the best data against compute, by every method."""
    figure = Figure(figsize=(PANEL[0] * 2, PANEL[1] + 0.4), layout="constrained")
    sizes, amounts = figure.subplots(1, 2)
    own = [line for line in lines if line.figure == "optimum"]
    for name in dict.fromkeys(line.line for line in own):
        _line(sizes, own, name, METHODS.get(name, "0.5"), linewidth=1)
        _line(amounts, [_as_data(line, factor) for line in own], name, METHODS.get(name, "0.5"), linewidth=1)
    for row in budgets:
        if row.parameters is not None and row.data is not None:
            sizes.plot(row.compute, row.parameters, **_mark(row.method, 4))
            amounts.plot(row.compute, row.data, **_mark(row.method, 4))
    for run in rows:
        if run.envelope and run.parameters is not None:
            sizes.plot(run.compute, run.parameters, **_mark("envelope", 2))
            amounts.plot(run.compute, run.data, **_mark("envelope", 2))
    for panel, label in ((sizes, "parameters"), (amounts, literal(item))):
        for compute in dict.fromkeys(row.compute for row in optima):
            panel.axvline(compute, color="0.6", linestyle=":", linewidth=0.8)
        panel.set(xscale="log", yscale="log", xlabel="compute (FLOP)", ylabel=label)
    _finish(figure, [sizes, amounts], path, note, columns=4)


def draw_residuals(path: Path, rows: Sequence[ResidualRow], item: str, note: str) -> None:
    """Draw log residuals against size, data and compute: a law that fits leaves no pattern."""
    figure = Figure(figsize=(PANEL[0] * 2.4, PANEL[1]), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    kept = [row for row in rows if row.residual is not None and not row.left_out]
    residuals = [row.residual for row in kept]
    axes = {
        "parameters": [row.parameters for row in kept],
        item: [row.data for row in kept],
        "compute (FLOP)": [row.compute for row in kept],
    }
    for panel, (name, places) in zip(panels, axes.items(), strict=True):
        panel.scatter(places, residuals, s=8, color=COLOURS[0], label="runs")
        panel.axhline(0, color="0.6", linewidth=0.8)
        panel.set(xscale="log", xlabel=literal(name))
    panels[0].set_ylabel("log of loss by predicted loss")
    _finish(figure, list(panels), path, note)


def draw_newcomer(path: Path, lines: Sequence[LineRow], largest: float, note: str) -> None:
    """Draw the best size against compute by the fit, and by fits as they might have been made."""
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    panel = figure.subplots()
    own = [line for line in lines if line.figure == "newcomer"]
    for number, name in enumerate(dict.fromkeys(line.line for line in own)):
        _line(panel, own, name, COLOURS[number % len(COLOURS)], linewidth=2.2 if number == 0 else 1.1)
    panel.axvline(largest, color="0.6", linestyle=":", linewidth=0.8, label="largest compute of the table")
    panel.set(xscale="log", yscale="log", xlabel="compute (FLOP)", ylabel="best size (parameters)")
    _finish(figure, [panel], path, note)


def _line(
    panel: Axes, lines: Sequence[LineRow], name: str, colour: str, linewidth: float = 1.6, label: str = ""
) -> None:
    own = [line for line in lines if line.line == name]
    places = [line.x for line in own]
    style: Any = {"color": colour, "linestyle": DASHES.get(colour, "-"), "linewidth": linewidth}
    panel.plot(places, [line.y for line in own], label=literal(label or name), **style)
    bands = [(line.x, line.y_low, line.y_high) for line in own if line.y_low is not None and line.y_high is not None]
    if bands:
        along, low, high = np.array(bands).T
        panel.fill_between(along, low, high, color=colour, alpha=0.15, linewidth=0)


def _mark(method: str, size: float) -> dict[str, Any]:
    """Return how a point of a method is drawn, by a shape of its own too."""
    return {"marker": MARKERS[METHODS[method]], "color": METHODS[method], "markersize": size, "linestyle": ""}


def _as_data(line: LineRow, factor: float) -> LineRow:
    """Return a line of best sizes as one of best amounts of data."""
    low, high = (None if end is None else line.x / factor / end for end in (line.y_high, line.y_low))
    return LineRow(line.figure, line.line, line.x, line.x / factor / line.y, low, high)


def _kind(row: ResidualRow) -> str:
    if row.left_out:
        return "left out"
    return "runs on the envelope" if row.envelope else "runs"


def _finish(figure: Figure, panels: Sequence[Axes], path: Path, note: str, columns: int = 2) -> None:
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        for axis in (panel.xaxis, panel.yaxis):
            if axis.get_scale() == "log":
                number_axis(axis)
    finish_figure(figure, panels, path, note, columns)
