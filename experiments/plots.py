"""Figures of recognition: a panel for each condition, people and published models as landmarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no display is needed or looked for

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from experiments.human import HumanFigure, human_figures
from experiments.published import published_curves
from experiments.statistics.accuracy import POOLED, Accuracy, pooled
from experiments.statistics.signal_detection import roc, scores

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
PUBLISHED_LINES = ("--", ":", "-.")
PANEL = (3.4, 3.2)
"""Inches."""
LOGARITHMIC_FROM = 20
"""Largest number of exposures from which on the axis is logarithmic."""
TICKS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Line:
    """Accuracies along an axis of passes, with what surrounds them."""

    label: str
    passes: Sequence[int]
    accuracies: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    published: bool = False


def draw_memory_curve(path: Path, results: Sequence[Accuracy], published: bool = False, note: str = "") -> None:
    """Draw accuracy against exposures: the weights alone, images as they were studied, a line for each model.

    Args:
        path: the image to write.
        results: of any ways of testing; others are left out.
        published: draw Image GPT's published curves too, where conditions have the same name.
        note: a line under the panels.
    """
    panels: dict[str, list[Line]] = {}
    for model in _in_order(result.model for result in results):
        for condition, curve in pooled(results, model=model).items():
            panels.setdefault(condition, []).append(_line(model or "this model", curve))
    if published:
        for of_condition in published_curves():
            if of_condition.condition in panels:
                sides = list(zip(of_condition.accuracies, of_condition.sems, strict=True))
                low, high = [mean - sem for mean, sem in sides], [mean + sem for mean, sem in sides]
                line = Line(
                    f"Image GPT, {of_condition.pretraining} (published, ± s.e.m.)", of_condition.exposures,
                    of_condition.accuracies, low, high, published=True,
                )  # fmt: skip
                panels[of_condition.condition].append(line)
    draw_panels(path, panels, "exposures", note)


def draw_learners(path: Path, results: Sequence[Accuracy], note: str = "") -> bool:
    """Draw accuracy against exposures for each learner, where there are several; return whether there are."""
    learners = _in_order(result.learner for result in results)
    panels: dict[str, list[Line]] = {}
    for model in _in_order(result.model for result in results):
        for learner in learners:
            for condition, curve in pooled(results, learner=learner, model=model).items():
                panels.setdefault(condition, []).append(_line(_joined(model, learner), curve))
    if len(learners) > 1:
        draw_panels(path, panels, "exposures", note)
    return len(learners) > 1


def draw_changes(path: Path, results: Sequence[Accuracy], note: str = "") -> bool:
    """Draw accuracy against exposures for each change to the test images; return whether there are any.

    Each learner has a row of panels.
    """
    changes = sorted({result.change for result in results}, key=lambda change: (change != "none", change))
    rows: dict[str, dict[str, list[Line]]] = {}
    for learner in _in_order(result.learner for result in results):
        for model in _in_order(result.model for result in results):
            for change in changes:
                for condition, curve in pooled(results, learner, change, model).items():
                    panel = rows.setdefault(learner, {}).setdefault(condition, [])
                    panel.append(_line(_joined(model, change), curve))
    if len(changes) > 1:
        draw_rows(path, rows, "exposures", note)
    return len(changes) > 1


def draw_forgetting(path: Path, results: Sequence[Accuracy], note: str = "") -> bool:
    """Draw accuracy against passes over another list studied afterwards; return whether there are any.

    All learners are drawn, with images as they were studied; the lines begin after the last exposure.
    """
    tested = [result for result in results if result.version == POOLED and result.change == "none"]
    panels: dict[str, list[Line]] = {}
    for model, learner, condition in _in_order((r.model, r.learner, r.condition) for r in tested if r.interference):
        curve = [r for r in tested if (r.model, r.learner, r.condition) == (model, learner, condition)]
        last = max(result.exposure for result in curve if result.interference)
        curve = sorted((r for r in curve if r.exposure == last), key=lambda result: result.interference)
        line = _line(_joined(model, learner), curve, [result.interference for result in curve])
        panels.setdefault(condition, []).append(line)
    if panels:
        draw_panels(path, panels, "passes over another list afterwards", note)
    return bool(panels)


def draw_roc(path: Path, trials: Sequence[dict[str, str]], note: str = "") -> None:
    """Draw hits against false alarms after the last exposure, a panel for each condition, a line for each learner.

    Images are judged one by one. Runs differ in their scale, so the hits at each rate of false alarms are their mean.
    """
    by_way = scores([row for row in trials if (row["change"], row["interference"]) == ("none", "0")])
    last = {way: max(moment for other, moment in by_way if other == way) for way, _ in by_way}
    labels = _in_order(_joined(way.model, way.learner) for way in last)
    conditions, rates = _in_order(way.condition for way in last), np.linspace(0, 1, 201)
    figure, axes = plt.subplots(
        1, len(conditions), figsize=(3 * len(conditions), 3.6), squeeze=False, sharey=True, layout="constrained"
    )
    for panel, condition in zip(axes[0], conditions, strict=True):
        for way, moment in last.items():
            if way.condition == condition:
                label = _joined(way.model, way.learner)
                hits = np.mean([np.interp(rates, *roc(*of_run)) for of_run in by_way[way, moment]], axis=0)
                panel.plot(rates, hits, color=COLOURS[labels.index(label) % len(COLOURS)], label=label)
        panel.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1)
        panel.set(title=condition, xlabel="false alarms", box_aspect=1, xlim=(-0.01, 1), ylim=(0, 1.01))
        panel.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("hits")
    finish_figure(figure, axes[0], path, note)


def draw_panels(path: Path, panels: Mapping[str, Sequence[Line]], axis: str, note: str = "") -> None:
    """Draw a panel of lines for each condition, with chance and people's accuracy: see `draw_rows`."""
    draw_rows(path, {"": panels}, axis, note)


def draw_rows(path: Path, rows: Mapping[str, Mapping[str, Sequence[Line]]], axis: str, note: str = "") -> None:
    """Draw rows of panels of lines, one for each condition, with chance and people's accuracy.

    Args:
        path: the image to write.
        rows: lines by row and by condition; all rows have the same conditions.
        axis: what the passes are.
        note: a line under the panels.
    """
    width, height = PANEL
    columns = max(len(panels) for panels in rows.values())
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(width * columns, height * len(rows) + 0.4),
        sharex=True, sharey=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    every = [line for panels in rows.values() for lines in panels.values() for line in lines]
    labels = _in_order(line.label for line in every if not line.published)
    labels += _in_order(line.label for line in every if line.published)
    people = human_figures()
    for row, (name, panels) in zip(axes, rows.items(), strict=True):
        for panel, (condition, lines) in zip(row, panels.items(), strict=True):
            for line in lines:
                _draw_line(panel, line, labels.index(line.label))
            _draw_landmarks(panel, people.get(condition))
            _scale_passes(panel, max(max(line.passes) for line in lines))
            panel.set(title=_joined(name, condition), ylim=(0.3, 1.03))
            panel.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel("recognition accuracy")
    for panel in axes[-1]:
        panel.set_xlabel(axis)
    finish_figure(figure, axes.flat, path, note)


def finish_figure(figure: Figure, axes: Iterable[Axes], path: Path, note: str = "", columns: int = 2) -> None:
    """Add the legend, in so many columns, and the note under the panels, write the figure and close it."""
    handles = {
        label: handle for panel in axes for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(), handles.keys(), loc="outside upper center", ncols=columns, frameon=False, fontsize=7
    )
    if note:
        figure.supxlabel(note, fontsize=7, color="0.3")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw_line(panel: Axes, line: Line, number: int) -> None:
    if line.published:
        style: dict[str, Any] = {"color": "0.35", "linestyle": PUBLISHED_LINES[number % len(PUBLISHED_LINES)]}
        panel.plot(line.passes, line.accuracies, linewidth=1.2, label=line.label, **style)
    else:
        style = {"color": COLOURS[number % len(COLOURS)]}
        marker = "o" if len(line.passes) <= 2 * LOGARITHMIC_FROM else ""
        panel.plot(line.passes, line.accuracies, label=line.label, marker=marker, markersize=3, **style)
    panel.fill_between(line.passes, line.low, line.high, color=style["color"], alpha=0.15, linewidth=0)


def _draw_landmarks(panel: Axes, people: HumanFigure | None) -> None:
    panel.axhline(0.5, color="0.6", linestyle=":", linewidth=1)
    if people is None:
        return
    panel.axhline(people.accuracy, color="0.55", linewidth=1, zorder=0)
    sem = people.sem or 0.0
    panel.axhspan(people.accuracy - sem, people.accuracy + sem, color="0.85", zorder=0, label="people, one exposure")


def _scale_passes(panel: Axes, largest: int) -> None:
    if largest >= LOGARITHMIC_FROM:
        panel.set_xscale("symlog", linthresh=1, linscale=0.4)
        ticks = [tick for tick in TICKS if tick <= largest]
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.minorticks_off()
        panel.set_xlim(left=-0.2)
    else:
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))


def _line(label: str, curve: Sequence[Accuracy], passes: Sequence[int] | None = None) -> Line:
    return Line(
        label,
        passes or [point.exposure for point in curve],
        [point.accuracy for point in curve],
        [point.low for point in curve],
        [point.high for point in curve],
    )


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _in_order(values: Iterable[Any]) -> list[Any]:
    return sorted(set(values))
