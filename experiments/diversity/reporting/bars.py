"""Plots of amounts side by side: distances, redundancy, copies, sampling settings."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from experiments.diversity.reporting.drawing import (
    GROUP_COLOURS,
    GROUPS,
    UNITS,
    Chosen,
    error,
    estimate,
    panels,
)
from experiments.diversity.reporting.figures import FigureRow, redundancies
from experiments.diversity.reporting.selection import (
    Choice,
    describe_encoding,
    describe_setting,
    in_order,
    select,
    setting,
    setting_columns,
)
from experiments.diversity.tables import BASELINES, MODEL, SPACES, AuditRow, RedundancyRow
from experiments.plots import COLOURS, finish_figure

BASELINE_COLOURS = dict(zip(BASELINES, (COLOURS[4], COLOURS[3], COLOURS[2], COLOURS[5]), strict=True))
DISTANCES = {"pairwise": "between continuations", "truth": "to the truth"}
BASELINE_MARKS = dict(zip(BASELINES, "v^Ds", strict=True))
SETTING_MARKS = "os^Dv<>P*X"


def draw_distances(path: Path, figures: Sequence[FigureRow], chosen: Chosen) -> None:
    """Draw distances between continuations (upper row) and to the truth (lower), a column for each space."""
    spaces = [space for space in SPACES if select(figures, figure=f"truth_{space}", continuation=MODEL)]
    places = list(product(chosen.values(), GROUPS))
    figure, axes = panels(2, len(spaces), (2.7, 2.7))
    for of_row, (beginning, title) in zip(axes, DISTANCES.items(), strict=True):
        for panel, space in zip(of_row, spaces, strict=True):
            rows = select(figures, figure=f"{beginning}_{space}")
            for place, (choice, group) in enumerate(places):
                _draw_distance(panel, select(rows, group=group), choice, place)
            for border in range(len(GROUPS), len(places), len(GROUPS)):
                panel.axvline(border - 0.5, color="0.8", linewidth=1)
            panel.set(title=title, ylabel=UNITS[space], ylim=(0, None), xlim=(-0.5, len(places) - 0.5))
            panel.set_xticks(range(len(places)), [f"{group}\n{choice.kind}s" for choice, group in places])
    finish_figure(figure, axes.flat, path, columns=3 * len(spaces) // 2)


def _draw_distance(panel: Axes, rows: Sequence[FigureRow], choice: Choice, place: int) -> None:
    """Draw the model with both prompt encodings, and the baselines beside it, around a place of the axis."""
    encodings = in_order(row.encoding for row in rows)
    marks: list[tuple[str, str, dict[str, Any]]] = [
        (MODEL, encoding, {"color": "black", "marker": "o", "label": f"model, {describe_encoding(encoding)}"}
         | ({} if encoding == "alone" else {"markerfacecolor": "white"}))
        for encoding in encodings
    ]  # fmt: skip
    for name in BASELINES:
        baseline = {"color": BASELINE_COLOURS[name], "marker": BASELINE_MARKS[name], "label": name}
        marks += [(name, encoding, baseline) for encoding in encodings[:1]]
    offsets = np.linspace(-0.34, 0.34, len(marks))
    for offset, (name, encoding, style) in zip(offsets, marks, strict=True):
        for row in select(rows, **choice.continuations(name), encoding=encoding):
            found = estimate(row)
            panel.errorbar(place + offset, found.value, error(found), linestyle="none", markersize=5, **style)


def draw_redundancy(path: Path, redundancy: Sequence[RedundancyRow], chosen: Chosen) -> None:
    """Draw the bits that the rest takes on top of the prompt, in those that it takes alone."""
    figure, axes = panels(1, 2, (4.8, 3.0), sharey=True)
    for panel, what in zip(axes[0], ("pixel", "token"), strict=True):
        for number, (choice, group) in enumerate(product(chosen.values(), GROUPS)):
            rows = select(redundancy, model=choice.model, given=choice.given, group=group)
            if rows:
                found = redundancies(rows)[what]
                panel.bar(number, found.value, color=GROUP_COLOURS[group], width=0.7, label=group)
                panel.errorbar(number, found.value, error(found), color="black", capsize=3)
        panel.axhline(1, color="0.6", linestyle=":", linewidth=1)
        panel.set_xticks(range(2 * len(chosen)), [f"{group}\n{kind}s" for kind, group in product(chosen, GROUPS)])
        panel.set(title=f"{what}s", ylabel="bits given the prompt / bits alone", ylim=(0, None))
    finish_figure(figure, axes.flat, path)


def draw_audit(path: Path, audit: Sequence[AuditRow], chosen: Chosen) -> None:
    """Draw how much continuations, and truths, have in common with the training item most like them."""
    figure, axes = panels(len(GROUPS), len(chosen), (4.8, 2.6), sharex=True, sharey=True)
    for of_group, group in zip(axes, GROUPS, strict=True):
        for panel, choice in zip(of_group, chosen.values(), strict=True):
            rows = select(audit, **choice.model_way(), group=group)
            for number, encoding in enumerate(in_order(row.encoding for row in rows)):
                matching = [row.matching for row in select(rows, encoding=encoding)]
                label = f"continuations, {describe_encoding(encoding)}"
                _draw_histogram(panel, matching, label, color=COLOURS[number], linestyle="--" if number else "-")
            truths = {row.item: row.truth_matching for row in rows}
            _draw_histogram(panel, list(truths.values()), "truths, with other training items", color="0.4", fill=True)
            panel.set(title=f"{group} {choice.kind}s", ylabel="share of them", xlabel="tokens in common")
            panel.xaxis.set_major_formatter("{x:.0%}")
            panel.yaxis.set_major_formatter("{x:.0%}")
    finish_figure(figure, axes.flat, path, columns=1 + len(chosen))


def _draw_histogram(panel: Axes, values: Sequence[float], label: str, fill: bool = False, **style: Any) -> None:
    """Draw the shares of values in twentieths of [0, 1]."""
    counts, edges = np.histogram(values, bins=20, range=(0, 1))
    alpha = 0.25 if fill else 1.0
    panel.stairs(counts / max(len(values), 1), edges, label=label, fill=fill, alpha=alpha, linewidth=1.5, **style)


def draw_settings(path: Path, figures: Sequence[FigureRow], chosen: Chosen) -> bool:
    """Draw distance between continuations against distance to the truth, a point for each setting, if several are."""
    space = next(space for space in SPACES if select(figures, figure=f"truth_{space}", continuation=MODEL))
    rows = select(figures, continuation=MODEL, encoding=in_order(row.encoding for row in figures)[0])
    settings = in_order(setting(row) for row in rows)
    if len(settings) < 2:
        return False
    figure, axes = panels(1, len(chosen), (4.8, 3.6))
    for panel, choice in zip(axes[0], chosen.values(), strict=True):
        for group, (number, way) in product(GROUPS, enumerate(settings)):
            point = select(rows, model=choice.model, given=choice.given, group=group, **setting_columns(way))
            pairs = [select(point, figure=f"{beginning}_{space}") for beginning in ("truth", "pairwise")]
            if all(pairs):
                x, y = (estimate(found) for (found,) in pairs)
                panel.errorbar(
                    x.value, y.value, error(y), error(x), color=GROUP_COLOURS[group],
                    marker=SETTING_MARKS[number % len(SETTING_MARKS)], label=f"{group}, {describe_setting(way)}",
                )  # fmt: skip
        panel.set(title=f"{choice.kind}s", xlabel=f"to the truth: {UNITS[space]}")
        panel.set_ylabel(f"between continuations: {UNITS[space]}")
    finish_figure(figure, axes.flat, path)
    return True
