"""The plots of the report.

Visible events are blue, with filled marks and solid lines, hidden ones vermilion, with open marks and dashed lines;
people are black diamonds. Where lines of several models share a panel, colours tell these apart instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.diversity.reporting.runs import in_order, select
from experiments.physics.manifest import CONTROL
from experiments.physics.readouts import Tokens
from experiments.physics.reporting.accuracy import PEOPLE, AccuracyRow, concepts_of
from experiments.physics.reporting.claims import ConceptClaim
from experiments.physics.reporting.curves import AccuracyCurveRow, Axis
from experiments.physics.reporting.timecourse import TimecourseRow
from experiments.physics.scores import ALL
from experiments.physics.tables import Visibility
from experiments.plots import finish_figure
from experiments.statistics.grouped import GROUPS_FOR_VERDICT
from experiments.statistics.outcomes import CHANCE
from training.curves import COLOURS, MARKERS
from training.figures import literal

VISIBILITIES: dict[Visibility, tuple[float, str]] = {"visible": (0.17, COLOURS[0]), "hidden": (-0.17, COLOURS[1])}
"""How far from the middle of its line each lies, and its colour."""
LINES = {"visible": "-", "hidden": "--"}
COLUMNS = 4
"""Panels in a row."""
HEIGHT = 2.2
"""Inches of a panel with curves."""
TALLEST = 60.0
"""Inches of a figure, at most: programs refuse images that are much taller."""
NAME_LENGTH = 26
"""Characters of a name beside a panel."""
AXES: dict[Axis, str] = {
    "seen_hours": "hours of film seen in training",
    "step": "steps of training",
    "film_hours": "different hours of film",
    "parameters": "parameters",
}


class Point(NamedTuple):
    """A point of a line with its interval; NaN where it has none."""

    x: float
    value: float
    low: float
    high: float


def draw_accuracy(path: Path, rows: Sequence[AccuracyRow], models: Sequence[str], measures: Sequence[str]) -> None:
    """Draw accuracies, a panel for each measure and concept, a line for each model, visible and hidden side by side.

    Args:
        path: the image to write.
        rows: accuracies; those of people are drawn with every measure, and named by what they were asked.
        models: whose accuracies are drawn, from above.
        measures: from above.
    """
    names = [*models, *_people(rows, measures)][::-1]  # the first one highest
    height = 0.24 * len(names) + 0.75
    concepts, note = fitting_concepts(concepts_of(rows), height, len(measures))
    panels = [(measure, concept) for measure in measures for concept in concepts]
    figure, axes = _grid(len(panels), (2.1, height), beside=1.3)
    for index, (panel, (measure, concept)) in enumerate(zip(axes, panels, strict=True)):
        for place, name in enumerate(names):
            asked, _, of_people = name.partition("\n")
            found = select(rows, model=asked, concept=concept, measure=of_people or measure)
            _draw_shares(panel, place, found, name)
        panel.axvline(CHANCE, color="0.6", linestyle=":", linewidth=1, zorder=0)
        title = literal(concept) + (f", {measure}" if len(measures) > 1 else "")
        panel.set_title(title, fontsize=9)
        panel.set(xlim=(-0.04, 1.04), ylim=(-0.5, len(names) - 0.5))
        panel.xaxis.set_major_formatter("{x:.0%}")
        panel.set_xticks([0, 0.5, 1])
        shown = [literal(_without(name, measure), NAME_LENGTH) for name in names]
        panel.set_yticks(range(len(names)), shown)
        panel.tick_params(labelleft=index % COLUMNS == 0)
    finish_figure(figure, axes, path, note, columns=3)


def draw_timecourse(
    path: Path, rows: Sequence[TimecourseRow], models: Sequence[str], unit: str, tokens: Tokens
) -> bool:
    """Draw the surprise of impossible minus possible films over time; return whether there is any.

    Args:
        path: the image to write.
        rows: time courses.
        models: whose are drawn, those of this unit.
        unit: of their surprise.
        tokens: which count.
    """
    rows = [row for row in select(rows, unit=unit, tokens=tokens) if row.model in models]
    if not rows:
        return False
    concepts, note = fitting_concepts(_concepts(row.concept for row in rows), HEIGHT)
    names = [name for name in models if select(rows, model=name)]
    figure, axes = _grid(len(concepts), (2.5, HEIGHT))
    for panel, concept in zip(axes, concepts, strict=True):
        for colour, name, visibility in _coloured(names):
            line = select(rows, concept=concept, model=name, visibility=visibility)
            points = [_over_time(row) for row in line]
            _draw_band(panel, points, colour, _label(name, visibility, names), LINES[visibility])
        panel.axhline(0, color="0.6", linestyle=":", linewidth=1)
        panel.axvline(0, color="0.8", linewidth=1, zorder=0)
        panel.set_title(literal(concept), fontsize=9)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    _name_edges(axes, "latent frames after the event", f"difference, {unit} per token")
    finish_figure(figure, axes, path, note)
    return True


def draw_curve(path: Path, rows: Sequence[AccuracyCurveRow], claims: Sequence[ConceptClaim]) -> None:
    """Draw accuracies against what a model was trained on or how large it is, a panel for each concept.

    Args:
        path: the image to write.
        rows: of one axis and measure.
        claims: of the models; their best controls are drawn grey.
    """
    concepts, note = fitting_concepts(_concepts(row.concept for row in rows), HEIGHT)
    names = in_order(row.curve for row in rows)
    figure, axes = _grid(len(concepts), (2.5, HEIGHT))
    for panel, concept in zip(axes, concepts, strict=True):
        for colour, name, visibility in _coloured(names):
            line = select(rows, concept=concept, curve=name, visibility=visibility)
            points = [_point(row.x, row.value, row.low, row.high) for row in line]
            label = _label(Path(name).name, visibility, names)
            style = LINES[visibility] if name else "none"
            _draw_band(panel, points, colour, label, style)
            _draw_band(panel, _best_controls(line, claims), "0.55", f"best control, {visibility}", style)
        panel.axhline(CHANCE, color="0.6", linestyle=":", linewidth=1)
        panel.set_title(literal(concept), fontsize=9)
        panel.set_ylim(-0.03, 1.03)
        panel.yaxis.set_major_formatter("{x:.0%}")
        _scale(panel, rows)
    _name_edges(axes, AXES[rows[0].axis], rows[0].measure)
    finish_figure(figure, axes, path, note, columns=3)


def fitting_concepts(concepts: Sequence[str], height: float, repeated: int = 1) -> tuple[Sequence[str], str]:
    """Return the first concepts, as many as a figure has room for, and a sentence on the others, if there are any.

    Args:
        concepts: in order.
        height: of a panel, in inches.
        repeated: panels of each concept.
    """
    most = max(1, int(TALLEST / height) * COLUMNS // repeated)
    if len(concepts) <= most:
        return concepts, ""
    return concepts[:most], f"The first {most} of {len(concepts)} concepts; the tables have all."


def _people(rows: Iterable[AccuracyRow], measures: Sequence[str]) -> list[str]:
    """Return a name for people for everything that they were asked; the first line is their name among models."""
    asked = in_order(row.measure for row in rows if row.role == "people")
    return [f"{PEOPLE}\n{measure}" for measure in asked if measure not in measures or measure in measures[:1]]


def _without(name: str, measure: str) -> str:
    """Return the name of a line; what people were asked is in it where it is not what the panel shows."""
    name, _, asked = name.partition("\n")
    return name if asked in ("", measure) else f"{name}: {asked}"


def _draw_shares(panel: Axes, place: int, rows: Sequence[AccuracyRow], name: str) -> None:
    people = name.startswith(f"{PEOPLE}\n")
    for row in rows:
        offset, colour = VISIBILITIES.get(row.visibility, (0.0, "black"))
        if row.visibility == "both" and not people:
            continue
        style: dict[str, Any] = {
            "color": "black" if people else colour,
            "marker": "D" if people else MARKERS.get(colour, "o"),
        }
        style["markerfacecolor"] = "white" if row.visibility == "hidden" else style["color"]
        label = PEOPLE if people else row.visibility
        panel.errorbar(
            row.value, place + offset, xerr=_reach(row.value, row.low, row.high), label=label, markersize=4, **style
        )


def _draw_band(panel: Axes, points: Sequence[Point], colour: str, label: str, line: str) -> None:
    """Draw points as a line with a band of their intervals, or as marks with bars where there is no line."""
    if not points:
        return
    x, mean, low, high = np.array(points).T
    filling = "white" if label.endswith("hidden") else colour
    style: dict[str, Any] = {
        "color": colour,
        "marker": MARKERS.get(colour, "o"),
        "markersize": 3,
        "markerfacecolor": filling,
    }
    if line == "none":
        reach = np.nan_to_num(np.array([mean - low, high - mean]))
        panel.errorbar(x, mean, reach, linestyle="none", label=literal(label), **style)
        return
    panel.plot(x, mean, linestyle=line, label=literal(label), **style)
    panel.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)


def _best_controls(line: Sequence[AccuracyCurveRow], claims: Sequence[ConceptClaim]) -> list[Point]:
    """Return the best control of each point of a curve."""
    best = []
    for row in line:
        wanted = {"concept": row.concept, "visibility": row.visibility, "measure": row.measure}
        for claim in select(claims, model=row.model, **wanted):
            if claim.control_value is not None:
                best.append(_point(row.x, claim.control_value, claim.control_low, claim.control_high))
    return best


def _over_time(row: TimecourseRow) -> Point:
    """Return a point without an interval where so few scenes have it that the interval would hide all others."""
    few = row.scenes < GROUPS_FOR_VERDICT
    return _point(row.after_event, row.mean, None if few else row.low, None if few else row.high)


def _point(x: float, value: float, low: float | None, high: float | None) -> Point:
    return Point(x, value, np.nan if low is None else low, np.nan if high is None else high)


def _coloured(names: Sequence[str]) -> list[tuple[str, str, Visibility]]:
    """Return a colour for each line: of what is seen where there is one name, else of the name."""
    if len(names) == 1:
        return [(colour, names[0], visibility) for visibility, (_, colour) in VISIBILITIES.items()]
    return [
        (COLOURS[index % len(COLOURS)], name, visibility)
        for index, name in enumerate(names)
        for visibility in VISIBILITIES
    ]


def _label(name: str, visibility: Visibility, names: Sequence[str]) -> str:
    return f"{name}, {visibility}" if len(names) > 1 else visibility


def _concepts(names: Iterable[str]) -> list[str]:
    """Return concepts in order: all together first, `control` last."""
    found = in_order(names)
    return sorted(found, key=lambda concept: (concept != ALL, concept == CONTROL, found.index(concept)))


def _grid(count: int, size: tuple[float, float], beside: float = 0.4) -> tuple[Figure, list[Axes]]:
    """Return a figure and `count` panels, each of `size` in inches, at most `COLUMNS` in a row."""
    columns = min(count, COLUMNS)
    rows = math.ceil(count / columns)
    width, height = size
    figure = Figure(figsize=(max(width * columns + beside, 4.2), height * rows + 0.7), layout="constrained")
    axes: Any = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat[count:]:
        panel.remove()
    panels = list(axes.flat[:count])
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
        for axis in (panel.xaxis, panel.yaxis):
            axis.label.set_size(9)
    return figure, panels


def _name_edges(panels: Sequence[Axes], below: str, beside: str) -> None:
    """Name the axes of the panels at the left and at the bottom."""
    for index, panel in enumerate(panels):
        if index % COLUMNS == 0:
            panel.set_ylabel(literal(beside))
        if index + COLUMNS >= len(panels):
            panel.set_xlabel(below)


def _scale(panel: Axes, rows: Sequence[AccuracyCurveRow]) -> None:
    """Make an axis logarithmic that reaches over more than a decade, and has nothing at 0."""
    values = [row.x for row in rows]
    if min(values) > 0 and max(values) > 10 * min(values):
        panel.set_xscale("log")


def _reach(value: float, low: float | None, high: float | None) -> Any:
    """Return how far an interval reaches to both sides, (2, 1); nothing where there is none."""
    return np.array([[0.0 if low is None else value - low], [0.0 if high is None else high - value]])
