"""Figures of memory picture by picture: correlations beside their ceiling, in the course of study, and the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from scipy.stats import rankdata

from data.errors import MediaError
from experiments.memory.items.comparison import called
from experiments.memory.items.complexity import read_square
from experiments.memory.items.models import GAIN, MEASURES, MISLEADING, RATIO, RAW, RAW_BEFORE, SOONER
from experiments.memory.items.pictures import Pictures
from experiments.memory.items.tables import NOTHING, Correlation, CourseRow
from experiments.plots import finish_figure
from experiments.statistics.outcomes import Floats
from training.curves import COLOURS, MARKERS
from training.figures import literal, save_figure

LABELS = {
    SOONER: "known sooner",
    GAIN: "margin gained",
    RATIO: "likelihood ratio",
    RAW: "raw margin (misleads)",
    RAW_BEFORE: "raw margin before (misleads)",
}
"""What measures of models are called in figures."""
ROW = 0.27
"""Inches of a line of the figure of correlations."""
THUMBNAIL = 40
"""Pixels a side."""
CORNERS = {
    "both": (1.0, 1.0),
    "people, not the model": (0.0, 1.0),
    "the model, not people": (1.0, 0.0),
    "neither": (0.0, 0.0),
}
"""Where in a plot of ranks those pictures lie that are remembered by some: model to the right, people upwards."""
SHOWN = 4
"""Pictures of each corner."""
APART = 0.11
"""Distance of two thumbnails, at least, of 1 for the width of the plot."""


def draw_correlations(path: Path, rows: Sequence[Correlation]) -> None:
    """Draw every rank correlation with its intervals beside the noise ceiling, a panel for each condition.

    Args:
        path: the image to write.
        rows: of which those by ranks, with nothing partialled out, are drawn.
    """
    drawn = [row for row in rows if (row.coefficient, row.partialled) == ("spearman", NOTHING)]
    conditions = list(dict.fromkeys(row.condition for row in drawn))
    lines = list(dict.fromkeys(_line(row) for row in drawn))
    labels, in_all = without_shared(lines)
    figure = Figure(figsize=(2.6 * len(conditions) + 3.2, ROW * len(lines) + 1.5), layout="constrained")
    axes = figure.subplots(1, len(conditions), sharey=True, squeeze=False)[0]
    for panel, condition in zip(axes, conditions, strict=True):
        for row in drawn:
            if row.condition == condition and row.correlation is not None:
                _draw_interval(panel, row, -lines.index(_line(row)))
        panel.axvline(0, color="0.6", linewidth=1, linestyle=":")
        panel.set(title=literal(condition), xlim=(-1.02, 1.02), xlabel="rank correlation")
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks([-index for index in range(len(lines))], [literal(label, 90) for label in labels])
    axes[0].set_ylim(0.6 - len(lines), 0.6)
    note = "Thick: 95 % interval over pictures; thin: over pictures, runs and participants. Bar: noise ceiling."
    finish_figure(figure, axes, path, f"{in_all}. {note}" if in_all else note, columns=4)


def draw_course(path: Path, rows: Sequence[CourseRow]) -> bool:
    """Draw rank correlations in the course of study, a panel for each comparison; return whether there are any."""
    panels = list(dict.fromkeys((called(row.model, row.readout), row.source, row.source_measure) for row in rows))
    if not panels:
        return False
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(max(5.6, 3.6 * columns), 2.9 * lines + 0.5), layout="constrained")
    axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for panel, key in zip(axes.flat, panels, strict=False):
        of_panel = [row for row in rows if (called(row.model, row.readout), row.source, row.source_measure) == key]
        for measure in (RAW, GAIN, RATIO):
            _draw_course(panel, [row for row in of_panel if row.measure == measure], measure)
        panel.axhline(0, color="0.6", linewidth=1, linestyle=":")
        panel.set_title(literal(f"{key[0]} and {key[1]}, {key[2]}", 60), fontsize=7)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in axes.flat[len(panels) :]:
        panel.axis("off")
    for panel in axes[-1]:
        panel.set_xlabel("exposures")
    for panel in axes[:, 0]:
        panel.set(ylabel="rank correlation", ylim=(-1, 1))
    finish_figure(figure, axes.flat, path, "Bands: 95 % intervals over pictures.", columns=3)
    return True


def draw_scatter(
    path: Path, measures: Mapping[str, Floats], memorability: Mapping[str, Floats], pictures: Pictures
) -> None:
    """Draw pictures as points: a column for each measure of a model, a row for each source.

    Args:
        path: the image to write.
        measures: (N,) of the model, by name.
        memorability: (N,) of the sources, by what they are called.
        pictures: N of them.
    """
    shown = [name for name in MEASURES if name in measures]
    figure = Figure(figsize=(3 * len(shown), 2.7 * len(memorability) + 0.6), layout="constrained")
    axes = figure.subplots(len(memorability), len(shown), sharex="col", sharey="row", squeeze=False)
    for line, (called_so, values) in zip(axes, memorability.items(), strict=True):
        for panel, name in zip(line, shown, strict=True):
            for number, condition in enumerate(pictures.conditions):
                places = pictures.places_in(condition)
                colour = COLOURS[number % len(COLOURS)]
                style: dict[str, Any] = {
                    "color": colour,
                    "marker": MARKERS[colour],
                    "s": 10,
                    "alpha": 0.6,
                    "linewidths": 0,
                }
                panel.scatter(measures[name][places], values[places], label=literal(condition), **style)
            panel.spines[["top", "right"]].set_visible(False)
        line[0].set_ylabel(literal(called_so))
    for panel, name in zip(axes[-1], shown, strict=True):
        panel.set_xlabel("- first exposure known" if name == SOONER else LABELS[name])
    finish_figure(figure, axes.flat, path, columns=max(1, len(pictures.conditions)))


def draw_extremes(
    path: Path,
    of_model: Floats,
    of_people: Floats,
    pictures: Pictures,
    folders: Mapping[str, Path],
    labels: tuple[str, str],
) -> str:
    """Draw ranks of pictures within conditions, a panel for each, with thumbnails of the extremes.

    Args:
        path: the image to write; it shows stimuli.
        of_model: (N,) measure of the model.
        of_people: (N,) measure of what it is compared with.
        pictures: N of them.
        folders: of the lists, by name, as far as they are there.
        labels: of the two axes.

    Returns:
        Which pictures are shown, for those who cannot see them; empty where there were no images to show.
    """
    conditions = pictures.conditions
    figure = Figure(figsize=(4.4 * len(conditions), 4.8), layout="constrained")
    axes = figure.subplots(1, len(conditions), squeeze=False)[0]
    shown = 0
    said = []
    for panel, condition in zip(axes, conditions, strict=True):
        places = pictures.places_in(condition)
        places = places[np.isfinite(of_model[places] + of_people[places])]
        points = np.stack([_shares(of_model[places]), _shares(of_people[places])], axis=1)
        panel.scatter(*points.T, s=8, color="0.6", linewidths=0)
        chosen = extremes(points)
        for index in chosen:
            shown += _show(panel, pictures.all[places[index]], points[index], folders)
        if chosen:
            named = [pictures.all[places[index]].path for index in chosen]
            said.append(f"{condition}: {_corners_in_words(points[chosen], named)}.")
        panel.set(title=literal(condition), xlim=(-0.08, 1.08), ylim=(-0.08, 1.08), box_aspect=1)
        panel.set_xlabel(literal(f"{labels[0]}, rank", 60))
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(literal(f"{labels[1]}, rank", 60))
    if not shown:
        return ""
    save_figure(figure, path)
    return " ".join(said)


def extremes(points: Floats) -> list[int]:
    """Return which points (N, 2) of the unit square are nearest to its corners, up to `SHOWN` of each and apart."""
    chosen: list[int] = []
    for corner in CORNERS.values():
        distances = np.abs(points - corner).sum(axis=1)
        of_corner = 0
        for index in np.argsort(distances, kind="stable"):
            apart = all(np.abs(points[index] - points[other]).max() >= APART for other in chosen)
            if of_corner < SHOWN and distances[index] < 1 and apart:
                chosen.append(int(index))
                of_corner += 1
    return chosen


def without_shared(lines: Sequence[tuple[str, ...]]) -> tuple[list[str], str]:
    """Return labels of lines without the names that are the same in all of them, and these, which are said once."""
    shared = [len({line[place] for line in lines}) == 1 for place in range(len(lines[0]))] if len(lines) > 1 else []
    labels = [", ".join(name for name, same in zip_longest(line, shared) if name and not same) for line in lines]
    return labels, " and ".join(name for name, same in zip(lines[0], shared, strict=False) if name and same)


def _line(row: Correlation) -> tuple[str, ...]:
    return called(row.model, row.readout), LABELS[row.measure], f"{row.source} {row.source_measure}".strip()


def _draw_interval(panel: Axes, row: Correlation, height: int) -> None:
    colour = "0.65" if row.measure in MISLEADING else COLOURS[MEASURES.index(row.measure)]
    low, high = row.low or 0.0, row.high or 0.0
    over_images = (row.low_images or 0.0, row.high_images or 0.0)
    panel.plot([low, high], [height, height], color=colour, linewidth=1)
    panel.plot(over_images, [height, height], color=colour, linewidth=3, solid_capstyle="butt")
    panel.plot([row.correlation or 0.0], [height], MARKERS.get(colour, "o"), color=colour, markersize=4)
    if row.ceiling is not None:
        panel.plot([row.ceiling], [height], "|", color="black", markersize=9, markeredgewidth=1.5)


def _draw_course(panel: Axes, rows: Sequence[CourseRow], measure: str) -> None:
    colour = "0.5" if measure in MISLEADING else COLOURS[MEASURES.index(measure)]
    exposures = [row.exposure for row in rows]
    style: dict[str, Any] = {
        "marker": MARKERS.get(colour, "o"),
        "markersize": 3,
        "linestyle": "--" if measure in MISLEADING else "-",
    }
    panel.plot(exposures, [row.correlation for row in rows], color=colour, label=LABELS[measure], **style)
    low = [row.low_images for row in rows]
    panel.fill_between(exposures, low, [row.high_images for row in rows], color=colour, alpha=0.12, linewidth=0)


def _shares(values: Floats) -> Floats:
    """Return ranks from 0 to 1."""
    return np.asarray((rankdata(values) - 1) / max(1, len(values) - 1))


def _corners_in_words(points: Floats, names: Sequence[str]) -> str:
    """Return which of the pictures at points (N, 2) are nearest to each corner."""
    distances = np.stack([np.abs(points - corner).sum(axis=1) for corner in CORNERS.values()])
    nearest = distances.argmin(axis=0)
    of_corner = {
        corner: [name for name, at in zip(names, nearest, strict=True) if at == index]
        for index, corner in enumerate(CORNERS)
    }
    return "; ".join(f"remembered by {corner}: {', '.join(named)}" for corner, named in of_corner.items() if named)


def _show(panel: Axes, picture: Any, point: Floats, folders: Mapping[str, Path]) -> int:
    """Draw the thumbnail of a picture at its point; return 1 if it could be read, else 0."""
    folder = folders.get(picture.list)
    if folder is None:
        return 0
    try:
        square = read_square(folder / picture.path, 2 * THUMBNAIL)
    except MediaError:
        return 0
    box = OffsetImage(np.asarray(square), zoom=0.36)
    panel.add_artist(AnnotationBbox(box, (point[0], point[1]), frameon=True, pad=0.1, bboxprops={"linewidth": 0.4}))
    return 1
