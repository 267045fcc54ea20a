"""A figure in words, for those who cannot see it: its axes, and where each of its lines and marks begins and ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator
from numpy.typing import NDArray

MOST_PANELS = 8
"""That are described; of more there is a table beside, and nobody listens to so many."""
MOST_LINES = 6
"""Of a panel, that are described, and points of a line that are named one by one."""
MOST_IN_ALL = 18
"""Lines of all panels together, as far as each panel has one: nobody listens for longer."""
NEAR = 0.45
"""Of the way from one named place of an axis to the next, within which what is drawn belongs to the name."""
INVISIBLE = "\N{ZERO WIDTH SPACE}"


def describe_figure(figure: Figure) -> str:
    """Return what a figure shows: of each panel its title and axes, and the values of what its legend names.

    Lines are told by their first and last value, and by the least and the most where these lie between; bars and
    single marks by their values. Lines that no legend names are counted.
    """
    panels = [panel for panel in figure.axes if panel.get_label() != "<colorbar>"]
    most = min(MOST_LINES, max(1, MOST_IN_ALL // max(1, len(panels))))
    described = [text for text in (_describe_panel(panel, most) for panel in panels) if text]
    pictures = sum(bool(panel.images) for panel in panels)
    begin = [f"{pictures} pictures."] if pictures > 1 else []
    more = len(described) - MOST_PANELS
    end = [f"And {more} more panel{'s' if more > 1 else ''}."] if more > 0 else []
    return " ".join([*begin, *described[:MOST_PANELS], *end])


def _describe_panel(panel: Axes, most: int) -> str:
    """Return a sentence on a panel and `most` of its lines; nothing of a panel that is empty."""
    title = _plain(panel.get_title())
    if panel.images:
        return f"{title}." if title else ""
    lines = _named(panel) if panel.axison else []
    unnamed = _unnamed(panel) if panel.axison and not lines else 0
    if not lines and not unnamed:
        return ""
    axes = " against ".join(filter(None, [_named_axis(panel.yaxis), _named_axis(panel.xaxis)]))
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    said = "; ".join([*lines[:most], *more]) if lines else f"{unnamed} line{'s' if unnamed > 1 else ''}"
    return f"{': '.join(filter(None, [title, axes, said]))}."


def _named(panel: Axes) -> list[str]:
    """Return what the legend names, each with its values, once."""
    points: dict[str, list[NDArray[np.float64]]] = {}
    for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
        points.setdefault(_plain(label), []).append(_points(handle, panel))
    return [": ".join(filter(None, [label, _values(panel, np.concatenate(of))])) for label, of in points.items()]


def _points(handle: Artist | Any, panel: Axes) -> NDArray[np.float64]:
    """Return (N, 2): where something lies, in the order in which it was drawn; nothing of bands and regions."""
    if isinstance(handle, ErrorbarContainer):
        handle = handle.lines[0]
    if isinstance(handle, BarContainer):
        places = [(bar.get_x() + bar.get_width() / 2, bar.get_height()) for bar in handle.patches]
    elif isinstance(handle, Rectangle) and handle.get_width() == 1:  # a region between two heights, as of people
        places = [(end, handle.get_y() + handle.get_height() / 2) for end in panel.get_xlim()]
    elif isinstance(handle, PathCollection):
        places = np.asarray(handle.get_offsets(), dtype=float).tolist()
    elif isinstance(handle, Line2D) and handle.get_transform().contains_branch(panel.transData):
        places = np.asarray(handle.get_xydata(), dtype=float).tolist()
    else:
        places = []
    known = np.array(places, dtype=float).reshape(-1, 2)
    return known[np.isfinite(known).all(axis=1)]


def _values(panel: Axes, points: NDArray[np.float64]) -> str:
    """Return where points begin and end; of those that are a cloud how many there are and how far they reach."""
    if not len(points):
        return ""
    if len(points) == 1 or (len(points) <= MOST_LINES and (_is_named(panel.xaxis) or _is_named(panel.yaxis))):
        return ", ".join(_point(panel, *point) for point in points)
    x, y = points.T
    if len(set(y.tolist())) == 1:
        return f"{_at(panel.yaxis, y[0])} throughout"
    if (np.diff(x) < 0).any():
        return f"{len(points)} points, from {_at(panel.yaxis, y.min())} to {_at(panel.yaxis, y.max())}"
    ends = f"{_point(panel, *points[0])} to {_point(panel, *points[-1])}"
    between = [
        f"{word} {_point(panel, *points[index])}"
        for word, index in (("least", int(y.argmin())), ("most", int(y.argmax())))
        if y[index] not in (y[0], y[-1])
    ]
    return ", ".join([f"from {ends}", *between])


def _unnamed(panel: Axes) -> int:
    """Return the number of lines, rows of marks and bars that no legend names, of at least two points each."""
    drawn = [*panel.lines, *(one for one in panel.collections if isinstance(one, PathCollection)), *panel.containers]
    return sum(len(_points(one, panel)) > 1 for one in drawn)


def _point(panel: Axes, x: float, y: float) -> str:
    if _is_named(panel.yaxis) and not _is_named(panel.xaxis):  # things below one another, and amounts across
        return f"{_at(panel.xaxis, x)} at {_at(panel.yaxis, y)}"
    return f"{_at(panel.yaxis, y)} at {_at(panel.xaxis, x)}"


def _at(axis: Axis, value: float) -> str:
    """Return a value as the axis has it: the name of its place, if places have names, or else a number."""
    names = _names(axis)
    for place, name in names.items():
        if np.isclose(place, value):
            return name
    if _is_named(axis):
        place = min(names, key=lambda place: abs(place - value))
        if abs(place - value) <= NEAR:
            return names[place]
    return f"{value:.3g}" if abs(value) < 1000 or abs(value) >= 1e6 else f"{value:,.0f}"


def _names(axis: Axis) -> dict[float, str]:
    """Return the names of places that were given to an axis."""
    if not isinstance(axis.get_major_locator(), FixedLocator):
        return {}
    places = axis.get_majorticklocs().tolist()
    names = axis.get_major_formatter().format_ticks(places)
    return {place: plain for place, name in zip(places, names, strict=True) if (plain := _plain(name))}


def _is_named(axis: Axis) -> bool:
    """Whether the places of an axis are things rather than amounts."""
    names = _names(axis)
    return bool(names) and not any(name[0].isdigit() for name in names.values())


def _named_axis(axis: Axis) -> str:
    label = _plain(axis.get_label_text())
    return f"{label} (logarithmic)" if label and axis.get_scale() in ("log", "symlog") else label


def _plain(text: str) -> str:
    """Return text as it is drawn: on one line, without what `training.figures.literal` puts in."""
    return " ".join(text.replace(INVISIBLE, "").replace(r"\$", "$").split())
