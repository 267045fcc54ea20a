"""Plots of people alone: accuracy by condition, and repeats detected by lag."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from experiments.human import all_human_results, human_results
from experiments.people.accuracy import POOLED, PeopleAccuracy
from experiments.people.lags import FALSE_ALARM_RATE, HIT_RATE, LagRate
from experiments.people.table import TWO_ALTERNATIVES, Response
from experiments.plots import finish_figure
from training.curves import COLOURS, MARKERS
from training.figures import literal

PUBLISHED_LAGS = {"repeat detection: 1 back": 1, "repeat detection: 1,024 back": 1024}
"""Conditions of the table of published results that are hit rates at a lag."""
WIDTH = 0.6
"""Of a condition's share of the axis, over which its participants are spread."""


def draw_people(path: Path, results: Sequence[PeopleAccuracy], rows: Sequence[Response]) -> None:
    """Draw accuracy by condition, all lists together: participants, their mean with its interval, published results.

    Args:
        path: the image to write.
        results: of all conditions.
        rows: the responses that they were computed from.
    """
    pooled = [result for result in results if result.list == POOLED]
    published = human_results(result.condition for result in pooled)
    figure = Figure(figsize=(2.2 + 1.1 * len(pooled), 3.6), layout="constrained")
    panel = figure.subplots()
    for place, result in enumerate(pooled):
        shares = participant_shares(rows, result.condition)
        spread = np.linspace(-WIDTH / 2, WIDTH / 2, len(shares)) if len(shares) > 1 else [0.0]
        panel.plot(place + np.asarray(spread), shares, "o", color="0.75", markersize=3, label="participants, in order")
        _draw_interval(panel, place, result.accuracy, result.interval, COLOURS[0], "mean, 95 %")
        if result.condition in published:
            panel.plot(
                place, published[result.condition].accuracy, "D", color="0.2", fillstyle="none", label="published"
            )
    panel.axhline(0.5, color="0.6", linestyle=":", linewidth=1)
    panel.set_xticks(range(len(pooled)), [literal(result.condition) for result in pooled])
    panel.set(ylabel="recognition accuracy", ylim=(0.3, 1.03), xlim=(-0.6, len(pooled) - 0.4))
    panel.spines[["top", "right"]].set_visible(False)
    finish_figure(figure, [panel], path)


def draw_lags(path: Path, rates: Sequence[LagRate]) -> bool:
    """Draw hit rate against lag and the rate of false alarms, a panel for each task; return whether there is any lag.

    Args:
        path: the image to write.
        rates: of people, or of models that learn on line.
    """
    tasks = sorted({rate.task for rate in rates if rate.lag is not None})
    if not tasks:
        return False
    figure = Figure(figsize=(4.4 * len(tasks), 3.6), layout="constrained")
    axes = figure.subplots(1, len(tasks), squeeze=False, sharey=True)[0]
    for panel, task in zip(axes, tasks, strict=True):
        for index, who in enumerate(sorted({rate.who for rate in rates})):
            mine = [rate for rate in rates if (rate.who, rate.task) == (who, task)]
            _draw_rates(panel, who, mine, COLOURS[index % len(COLOURS)])
        _draw_published(panel)
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        panel.set(title=task, xlabel="lag (pictures)", ylim=(-0.03, 1.03))
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("called a repeat")
    finish_figure(figure, axes, path)
    return True


def participant_shares(rows: Sequence[Response], condition: str) -> list[float]:
    """Return the share of correct choices of each participant in a condition, from the lowest to the highest."""
    by_participant: dict[str, list[float]] = {}
    for row in rows:
        if (row.task, row.condition) == (TWO_ALTERNATIVES, condition) and row.correct is not None:
            by_participant.setdefault(row.participant, []).append(row.correct)
    return sorted(float(np.mean(correct)) for correct in by_participant.values())


def _draw_rates(panel: Axes, who: str, rates: Sequence[LagRate], colour: str) -> None:
    hits = [rate for rate in rates if rate.measure == HIT_RATE and rate.lag is not None]
    panel.plot([rate.lag or 0.0 for rate in hits], [rate.rate for rate in hits], color=colour, linewidth=1)
    for rate in hits:
        _draw_interval(panel, rate.lag or 0.0, rate.rate, rate.interval, colour, literal(f"hits, {who}"))
    for rate in rates:
        if rate.measure == FALSE_ALARM_RATE:
            panel.axhline(rate.rate, color=colour, linestyle="--", label=literal(f"false alarms, {who}"))
            panel.axhspan(*rate.interval, color=colour, alpha=0.15, linewidth=0)


def _draw_published(panel: Axes) -> None:
    for result in all_human_results():
        lag = PUBLISHED_LAGS.get(result.condition)
        if lag is not None and result.measure == HIT_RATE:
            panel.plot(lag, result.accuracy, "D", color="0.2", fillstyle="none", label=f"hits, {result.study}")


def _draw_interval(panel: Axes, place: float, value: float, ends: tuple[float, float], colour: str, label: str) -> None:
    low, high = ends
    distances = [[max(0.0, value - low)], [max(0.0, high - value)]]
    panel.errorbar([place], [value], distances, fmt=MARKERS[colour], color=colour, markersize=4, capsize=3, label=label)
