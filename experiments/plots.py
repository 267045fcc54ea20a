"""Plots of recognition: a panel for each condition, people and published models as landmarks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from experiments.human import HumanResult, Landmarks, landmarks
from experiments.published import PublishedCurve, published_curves
from experiments.statistics.accuracy import POOLED, Accuracy, pooled
from experiments.statistics.signal_detection import equal_variance_hits, roc, scores
from experiments.statistics.trials import TrialRow
from training.curves import COLOURS, LINES, MARKERS
from training.figures import literal, save_figure

PUBLISHED_LINES = ("--", ":", "-.")
PANEL = (3.4, 3.2)
"""Inches."""
LOGARITHMIC_FROM = 20
"""Passes from which on their axis is logarithmic."""
MARGIN = 0.02
"""Of an axis, kept free beyond what it had to be widened for."""
TICKS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Line:
    """Accuracies along an axis of passes, with what surrounds them."""

    label: str
    passes: Sequence[int]
    accuracies: Sequence[float]
    low: Sequence[float]
    """Lower ends of the dark band: over images, or of published models a standard error below."""
    high: Sequence[float]
    low_runs: Sequence[float] = ()
    """Lower ends of the light band around it, over images and runs; none for a single run."""
    high_runs: Sequence[float] = ()
    published: bool = False


def draw_memory_curve(
    path: Path,
    results: Sequence[Accuracy],
    published: bool = False,
    note: str = "",
    people: Landmarks | None = None,
) -> None:
    """Draw accuracy against exposures: the weights alone, images as they were studied, a line for each model.

    Args:
        path: the image to write.
        results: under any test conditions; others are left out.
        published: draw Image GPT's published curves too, where conditions have the same name.
        note: a line under the panels.
        people: measured, by condition; the published ones if not given.
    """
    panels: dict[str, list[Line]] = {}
    for model in _in_order(result.model for result in results):
        for condition, curve in pooled(results, model=model).items():
            panels.setdefault(condition, []).append(_line(model or "this model", curve))
    if published:
        for of_condition in published_curves():
            if of_condition.condition in panels:
                panels[of_condition.condition].append(_published_line(of_condition))
    draw_rows(path, {"": panels}, "exposures", note, people)


def draw_readouts(path: Path, results: Sequence[Accuracy], note: str = "", people: Landmarks | None = None) -> bool:
    """Draw accuracy against exposures for each readout, where there are several; return whether there are."""
    readouts = _in_order(result.readout for result in results)
    panels: dict[str, list[Line]] = {}
    for model in _in_order(result.model for result in results):
        for readout in readouts:
            for condition, curve in pooled(results, readout=readout, model=model).items():
                panels.setdefault(condition, []).append(_line(_joined(model, readout), curve))
    if len(readouts) > 1:
        draw_panels(path, panels, "exposures", note, people)
    return len(readouts) > 1


def draw_changes(path: Path, results: Sequence[Accuracy], note: str = "", people: Landmarks | None = None) -> bool:
    """Draw accuracy against exposures for each change to the test images; return whether there are any.

    Each readout has a row of panels.
    """
    changes = sorted({result.change for result in results}, key=lambda change: (change != "none", change))
    rows: dict[str, dict[str, list[Line]]] = {}
    for readout in _in_order(result.readout for result in results):
        for model in _in_order(result.model for result in results):
            for change in changes:
                for condition, curve in pooled(results, readout, change, model).items():
                    panel = rows.setdefault(readout, {}).setdefault(condition, [])
                    panel.append(_line(_joined(model, change), curve))
    if len(changes) > 1:
        draw_rows(path, rows, "exposures", note, people)
    return len(changes) > 1


def draw_forgetting(path: Path, results: Sequence[Accuracy], note: str = "", people: Landmarks | None = None) -> bool:
    """Draw accuracy against passes over another list studied afterwards; return whether there are any.

    All readouts are drawn, with images as they were studied; the lines begin after the last exposure.
    """
    tested = [result for result in results if result.version == POOLED and result.change == "none"]
    panels: dict[str, list[Line]] = {}
    for model, readout, condition in _in_order((r.model, r.readout, r.condition) for r in tested if r.interference):
        curve = [r for r in tested if (r.model, r.readout, r.condition) == (model, readout, condition)]
        last = max(result.exposure for result in curve if result.interference)
        curve = sorted((r for r in curve if r.exposure == last), key=lambda result: result.interference)
        line = _line(_joined(model, readout), curve, [result.interference for result in curve])
        panels.setdefault(condition, []).append(line)
    if panels:
        draw_panels(path, panels, "passes over another list afterwards", note, people)
    return bool(panels)


def draw_roc(path: Path, trials: Sequence[TrialRow], note: str = "", people: Landmarks | None = None) -> None:
    """Draw hits against false alarms after the last exposure, a panel for each condition, a line for each readout.

    Images are judged one by one. Runs differ in their scale, so the hits at each rate of false alarms are their mean.
    Of people who chose between two images there are no such judgements: drawn is the ROC of equal variances that has
    their accuracy as the area under it.

    Args:
        path: the image to write.
        trials: of all test conditions; those with changed images or after interference are left out.
        note: a line under the panels.
        people: measured, by condition; none are drawn if not given.
    """
    by_condition = scores([trial for trial in trials if (trial.change, trial.interference) == ("none", 0)])
    last = {tested: max(moment for other, moment in by_condition if other == tested) for tested, _ in by_condition}
    labels = _in_order(_joined(tested.model, tested.readout) for tested in last)
    conditions = _in_order(tested.condition for tested in last)
    rates = np.linspace(0, 1, 201)
    legend = 0.16 * math.ceil(len(labels) / 2)
    figure = Figure(figsize=(3 * len(conditions), 3.5 + legend), layout="compressed")
    axes = figure.subplots(1, len(conditions), squeeze=False, sharey=True)
    for panel, condition in zip(axes[0], conditions, strict=True):
        for tested, moment in last.items():
            if tested.condition == condition:
                label = _joined(tested.model, tested.readout)
                hits = np.mean([np.interp(rates, *roc(*of_run)) for of_run in by_condition[tested, moment]], axis=0)
                panel.plot(rates, hits, label=literal(label), **line_style(labels.index(label)))
        if people and condition in people:
            hits = equal_variance_hits(rates, people[condition].accuracy)
            panel.plot(rates, hits, color="0.45", linestyle="--", label="people, from their accuracy")
        panel.plot([0, 1], [0, 1], color="0.6", linestyle=":", linewidth=1)
        panel.set(title=literal(condition), xlabel="false alarms", box_aspect=1, xlim=(-0.01, 1), ylim=(0, 1.01))
        panel.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("hits")
    finish_figure(figure, axes[0], path, note)


def draw_panels(
    path: Path, panels: Mapping[str, Sequence[Line]], axis: str, note: str = "", people: Landmarks | None = None
) -> None:
    """Draw a panel of lines for each condition, with chance and people's accuracy: see `draw_rows`."""
    draw_rows(path, {"": panels}, axis, note, people)


def draw_rows(
    path: Path,
    rows: Mapping[str, Mapping[str, Sequence[Line]]],
    axis: str,
    note: str = "",
    people: Landmarks | None = None,
) -> None:
    """Draw rows of panels of lines, one for each condition, with chance and people's accuracy.

    Args:
        path: the image to write.
        rows: lines by row and by condition; all rows have the same conditions.
        axis: what the passes are.
        note: a line under the panels.
        people: measured, by condition; the published ones if not given.
    """
    width, height = PANEL
    columns = max(len(panels) for panels in rows.values())
    figure = Figure(figsize=(width * columns, height * len(rows) + 0.4), layout="constrained")
    axes = figure.subplots(len(rows), columns, sharex=True, sharey=True, squeeze=False)
    every = [line for panels in rows.values() for lines in panels.values() for line in lines]
    labels = _in_order(line.label for line in every if not line.published)
    labels += _in_order(line.label for line in every if line.published)
    people = landmarks((condition for panels in rows.values() for condition in panels), people)
    for row, (name, panels) in zip(axes, rows.items(), strict=True):
        for panel, (condition, lines) in zip(row, panels.items(), strict=True):
            for line in lines:
                _draw_line(panel, line, labels.index(line.label))
            _draw_landmarks(panel, people.get(condition))
            _scale_passes(panel, max(max(line.passes) for line in lines))
            panel.set(title=literal(_joined(name, condition)), ylim=(0.3, 1.03))
            panel.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel("recognition accuracy")
    for panel in axes[-1]:
        panel.set_xlabel(axis)
    finish_figure(figure, axes.flat, path, note)


def finish_figure(
    figure: Figure,
    axes: Iterable[Axes],
    path: Path,
    note: str = "",
    columns: int = 2,
    formats: Sequence[str] | None = None,
) -> None:
    """Add the legend and a note under the panels, have the axes contain what is drawn on them, and write the plot.

    Args:
        figure: with everything else drawn.
        axes: its panels.
        path: of the PNG; PDF and SVG are written beside it.
        note: a line under the panels.
        columns: of the legend.
        formats: endings of what is written; by default see `save_figure`.
    """
    panels = list(axes)
    contain(panels)
    handles = {
        label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    style = {"ncols": columns, "frameon": False, "fontsize": 7, "handlelength": 3.4}  # so long that dashes show
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", **style)
    if note:
        figure.supxlabel(literal(note, None), fontsize=7, color="0.3")
    save_figure(figure, path, formats=formats)


def number_axis(axis: Axis) -> None:
    """Put numbers beside a logarithmic axis: at powers of ten alone where there are some, or they would overlap."""
    low, high = axis.get_view_interval()
    if high <= 10 * low:
        axis.set_major_locator(MaxNLocator(5))
        axis.set_major_formatter("{x:.4g}")
    axis.set_minor_formatter(NullFormatter())


def contain(panels: Iterable[Axes]) -> None:
    """Widen vertical axes, never narrow them, until every line, band and error bar lies between their ends."""
    for panel in panels:
        bottom, top = panel.get_ylim()
        low, high = panel.dataLim.intervaly
        if np.isfinite([low, high]).all():
            margin = MARGIN * (max(high, top) - min(low, bottom))
            panel.set_ylim(low - margin if low < bottom else bottom, high + margin if high > top else top)


def line_style(index: int) -> dict[str, Any]:
    """Return colour and dashes of one of many lines, apart from those of all others of the first 28.

    Lines that follow one another have other dashes too, as their colours are alike in grey.
    """
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": LINES[index % len(LINES)]}


def _draw_line(panel: Axes, line: Line, index: int) -> None:
    """Draw a line in the colour, or of a published model the dashes, that belong to an index."""
    if line.published:
        style: dict[str, Any] = {"color": "0.35", "linestyle": PUBLISHED_LINES[index % len(PUBLISHED_LINES)]}
        panel.plot(line.passes, line.accuracies, linewidth=1.2, label=literal(line.label), **style)
    else:
        style = line_style(index)
        marker = MARKERS[style["color"]] if len(line.passes) <= 2 * LOGARITHMIC_FROM else ""
        panel.plot(line.passes, line.accuracies, label=literal(line.label), marker=marker, markersize=3, **style)
    panel.fill_between(line.passes, line.low, line.high, color=style["color"], alpha=0.15, linewidth=0)
    if line.low_runs:
        panel.fill_between(line.passes, line.low_runs, line.high_runs, color=style["color"], alpha=0.07, linewidth=0)


def _draw_landmarks(panel: Axes, people: HumanResult | None) -> None:
    panel.axhline(0.5, color="0.6", linestyle=":", linewidth=1)
    if people is None:
        return
    panel.axhline(people.accuracy, color="0.55", linewidth=1, zorder=0.5)  # above the band
    if people.low is not None and people.high is not None:
        low, high, label = people.low, people.high, "your participants, one exposure (95 %)"
    else:
        sem = people.sem or 0.0
        low, high, label = people.accuracy - sem, people.accuracy + sem, "people, one exposure"
    panel.axhspan(low, high, color="0.85", zorder=0, label=label)


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
    over_runs = [(point.low, point.high) for point in curve if point.low is not None and point.high is not None]
    has_runs = len(over_runs) == len(curve)
    return Line(
        label=label,
        passes=passes or [point.exposure for point in curve],
        accuracies=[point.accuracy for point in curve],
        low=[point.low_images for point in curve],
        high=[point.high_images for point in curve],
        low_runs=[low for low, _ in over_runs] if has_runs else (),
        high_runs=[high for _, high in over_runs] if has_runs else (),
    )


def _published_line(curve: PublishedCurve) -> Line:
    means = list(zip(curve.accuracies, curve.sems, strict=True))
    return Line(
        label=f"Image GPT, {curve.pretraining} (published, ± s.e.m.)",
        passes=curve.exposures,
        accuracies=curve.accuracies,
        low=[mean - sem for mean, sem in means],
        high=[mean + sem for mean, sem in means],
        published=True,
    )


def _joined(*names: str) -> str:
    return ", ".join(name for name in names if name)


def _in_order(values: Iterable[Any]) -> list[Any]:
    return sorted(set(values))
