"""What the plots of this room share: colours, marks, axes and lines.

Studied items are blue and new ones vermilion; prompts that were encoded alone have filled marks and solid lines,
prompts that were cut out of the whole open marks and dashed lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from experiments.diversity.reporting.estimates import Estimate
from experiments.diversity.reporting.figures import FigureRow
from experiments.diversity.reporting.selection import Choice, describe_encoding
from experiments.diversity.tables import Group, Kind
from experiments.plots import COLOURS

Chosen = Mapping[Kind, Choice]
Points = Sequence[tuple[float, Estimate]]

GROUPS = get_args(Group)
GROUP_COLOURS = dict(zip(GROUPS, COLOURS, strict=False))
UNITS = {
    "perceptual": "perceptual distance",
    "pixel": "RMS difference of pixels, of 1",
    "token": "share of tokens that differ",
    "feature": "distance of features",
}
"""Of distances, by space; those of networks have no unit."""


def panels(rows: int, columns: int, size: tuple[float, float], **sharing: Any) -> tuple[Figure, Any]:
    """Return a figure and its (rows, columns) axes, each of `size` in inches."""
    width, height = size
    figure, axes = plt.subplots(
        rows, columns, figsize=(width * columns, height * rows + 0.5), squeeze=False, layout="constrained", **sharing
    )
    for panel in axes.flat:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelleft=True, labelbottom=True, labelsize=8)
        for axis in (panel.xaxis, panel.yaxis):
            axis.label.set_size(9)
    return figure, axes


def draw_way(panel: Axes, points: Points, group: str, encoding: str) -> None:
    """Draw a line of points, in the colour of its group and the style of its encoding, with its intervals."""
    line, filling = ("-", None) if encoding == "alone" else ("--", "white")
    label = f"{group}, {describe_encoding(encoding)}"
    style = {"linestyle": line, "marker": "o", "markersize": 4, "markerfacecolor": filling}
    draw_line(panel, points, GROUP_COLOURS[group], label, **style)


def draw_line(panel: Axes, points: Points, colour: str, label: str, **style: Any) -> None:
    """Draw a line of points and a band of their intervals."""
    if points:
        x, (mean, low, high) = [place for place, _ in points], np.array([found for _, found in points]).T
        panel.plot(x, mean, color=colour, label=label, **style)
        panel.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)


def estimate(row: FigureRow) -> Estimate:
    """Return the mean and interval of a row of figures.csv."""
    low, high = (np.nan if end is None else end for end in (row.low, row.high))
    return Estimate(row.mean, low, high)


def error(found: Estimate) -> Any:
    """Return how far the interval reaches below and above, (2, 1); nothing where there is none."""
    return np.nan_to_num(np.array([[found.value - found.low], [found.high - found.value]]))


def logarithmic(panel: Axes, values: Sequence[float]) -> None:
    """Make the axis of positive values logarithmic, with a tick at each."""
    ticks = sorted(set(values))
    panel.set_xscale("log")
    panel.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
    panel.xaxis.set_minor_locator(NullLocator())


def shares(panel: Axes) -> None:
    """Make the vertical axis one of shares, from 0 to 100 %."""
    panel.set(ylim=(-0.03, 1.03))
    panel.yaxis.set_major_formatter("{x:.0%}")
