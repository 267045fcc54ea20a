"""Continuous recognition on a page: hit rate, d' and area under the ROC against lag, with people as landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from experiments.memory.lags import LagRow, people_by_lag
from experiments.pages import Section, embed, percent
from experiments.plots import finish_figure
from storage.terminal import visible
from training.curves import COLOURS, MARKERS
from training.figures import literal


def draw_lags(path: Path, rows: Sequence[LagRow]) -> None:
    """Draw hit rate, d' and area under the ROC against lag, a line for each observer and list.

    Args:
        path: the image to write.
        rows: of one or several observers; those of all lags together are left out.
    """
    figure = Figure(figsize=(10.2, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    for index, (label, of_model) in enumerate(lines_of(rows).items()):
        colour = COLOURS[index % len(COLOURS)]
        _draw_hits(axes[0], of_model, colour, label)
        _draw_d_prime(axes[1], of_model, colour, label)
        _draw_area(axes[2], of_model, colour, label)
    _draw_people(axes[0])
    axes[0].set(ylabel="share called repeats", ylim=(-0.02, 1.02))
    axes[1].set(ylabel="d'")
    axes[1].axhline(0, color="0.6", linestyle=":", linewidth=1)
    axes[2].set(ylabel="area under the ROC", ylim=(0.3, 1.02))
    axes[2].axhline(0.5, color="0.6", linestyle=":", linewidth=1)
    for panel in axes:
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        panel.set_xlabel("lag in pictures, 1 for at once")
        panel.spines[["top", "right"]].set_visible(False)
    finish_figure(figure, axes, path, columns=3)


def lines_of(rows: Sequence[LagRow]) -> dict[str, list[LagRow]]:
    """Return the rows of each lag by what a line is called: the observer, and the list where there are several."""
    several = len({row.list for row in rows}) > 1
    lines: dict[str, list[LagRow]] = {}
    for row in rows:
        if row.lag is not None:
            lines.setdefault(f"{row.model}, {row.list}" if several else row.model, []).append(row)
    return lines


def lag_section(folder: Path, rows: Sequence[LagRow]) -> Section:
    """Return the section on continuous recognition in `folder/lags.png`."""
    head = ("observer", "list", "lag", "runs", "repeats", "hits", "images", "people", "false alarms")
    table: list[tuple[str, ...]] = [(*head, "d'", "images", "AUC", "images")]
    for row in rows:
        lag = "all" if row.lag is None else f"{row.lag:,}"
        hits = (percent(row.hits), _shares(row.hits_low_images, row.hits_high_images))
        people = "" if row.people is None else percent(row.people)
        d_prime = (f"{row.d_prime:.2f}", _ends(row.d_prime_low_images, row.d_prime_high_images))
        area = (f"{row.auc:.3f}", f"{row.auc_low_images:.3f} to {row.auc_high_images:.3f}")
        what = (row.model, row.list, lag, f"{row.runs:,}", f"{row.repeats:,}")
        table.append((*what, *hits, people, percent(row.false_alarms), *d_prime, *area))
    return Section(
        "Continuous recognition",
        "Pictures are shown one after another, a third of them once more, so many places later as the lag says. Before "
        "each picture the observer says how familiar it is, then it studies it. It calls a picture a repeat where its "
        "score lies below a criterion: that below which a stated share of new pictures lies (`--false-alarms`, by "
        "default that of people), found on one half of the showings and used on the other, so that false alarms are "
        "measured and not set (dashed). The area under the ROC needs no criterion. `Images`: 95 % intervals for other "
        "pictures and these very runs; those of d' have no end where a rate may be 0 or 1. Diamonds: people who "
        "detect repeats (Brady et al. 2008).",
        (embed(folder / "lags.png", "Hit rate, d' and area under the ROC against lag"),),
        tuple(table),
    )


def print_lags(rows: Sequence[LagRow]) -> None:
    """Print hit rate and false alarms of all lags together."""
    for row in rows:
        if row.lag is None:
            print(
                f"{visible(row.model)}: hits {percent(row.hits)} "
                f"[{_shares(row.hits_low_images, row.hits_high_images)} over images], false alarms "
                f"{percent(row.false_alarms)}, d' {row.d_prime:.2f} "
                f"[{_ends(row.d_prime_low_images, row.d_prime_high_images)}], AUC {row.auc:.3f}"
            )


def _draw_hits(panel: Axes, rows: Sequence[LagRow], colour: str, label: str) -> None:
    lags = [row.lag or 0 for row in rows]
    panel.plot(
        lags, [row.hits for row in rows], f"{MARKERS[colour]}-", color=colour, markersize=3, label=literal(label)
    )
    low, high = ([getattr(row, f"hits_{end}_images") for row in rows] for end in ("low", "high"))
    panel.fill_between(lags, low, high, color=colour, alpha=0.15, linewidth=0)
    panel.axhline(rows[0].false_alarms, color=colour, linestyle="--", linewidth=0.8)


def _draw_d_prime(panel: Axes, rows: Sequence[LagRow], colour: str, label: str) -> None:
    """Draw d' with its interval; an end that is not finite is not drawn."""
    for row in rows:
        low, high = (
            end if end is not None else row.d_prime for end in (row.d_prime_low_images, row.d_prime_high_images)
        )
        panel.plot([row.lag or 0] * 2, [low, high], color=colour, alpha=0.5, linewidth=1)
    lags = [row.lag or 0 for row in rows]
    style: Any = {"color": colour, "markersize": 3, "label": literal(label)}
    panel.plot(lags, [row.d_prime for row in rows], f"{MARKERS[colour]}-", **style)


def _draw_area(panel: Axes, rows: Sequence[LagRow], colour: str, label: str) -> None:
    lags = [row.lag or 0 for row in rows]
    style: Any = {"color": colour, "markersize": 3, "label": literal(label)}
    panel.plot(lags, [row.auc for row in rows], f"{MARKERS[colour]}-", **style)
    low, high = ([getattr(row, f"auc_{end}_images") for row in rows] for end in ("low", "high"))
    panel.fill_between(lags, low, high, color=colour, alpha=0.15, linewidth=0)


def _draw_people(panel: Axes) -> None:
    points = {lag: result.accuracy for lag, result in people_by_lag().items() if lag is not None}
    label = "people, Brady et al. 2008"
    panel.plot(list(points), list(points.values()), "D", color="0.2", fillstyle="none", markersize=5, label=label)


def _shares(low: float, high: float) -> str:
    return f"{percent(low)} to {percent(high)}"


def _ends(low: float | None, high: float | None) -> str:
    return " to ".join("no end" if end is None else f"{end:.2f}" for end in (low, high))
