"""The figure of a study of sampling settings: diversity against distance to the truth, and identification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.plots import finish_figure
from starter.sampling_choice import SettingRow
from training.curves import COLOURS

Value = Callable[[SettingRow], float]

KINDS = ("no change", "temperature", "top-k", "top-p", "min-p", "temperature and top-p")
MARKS = dict(zip(KINDS, "Xos^Dv", strict=True))
KIND_COLOURS = dict(zip(KINDS, (COLOURS[6], *COLOURS[:5]), strict=True))
OFFSETS = dict(zip(KINDS, ((6, -9), (5, 3), (5, -8), (-12, 5), (-16, -8), (6, -2)), strict=True))
"""Points from a mark to its label, so that labels of neighbouring marks lie apart."""


def draw_settings(path: Path, rows: Sequence[SettingRow]) -> None:
    """Draw a mark for each setting: how varied and how often identified its continuations are, by their distance."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    diversity, identified = figure.subplots(1, 2)
    _draw_marks(diversity, rows, lambda row: row.between_perceptual)
    _draw_marks(identified, rows, lambda row: row.identified)
    _draw_natural(diversity, rows)
    diversity.set(ylabel="perceptual distance between continuations")
    identified.set(ylabel="continuations identified", ylim=(0, 1))
    note = "circled: the setting that is recommended; on the dotted line, continuations are as diverse as natural ones"
    finish_figure(figure, (diversity, identified), path, note, columns=len(KINDS) + 1)


def kind_of(row: SettingRow) -> str:
    """Return which options of a setting differ from those that change nothing."""
    changed = {
        "temperature": row.temperature != 1,
        "top-k": row.top_k != 0,
        "top-p": row.top_p != 1,
        "min-p": row.min_p != 0,
    }
    return " and ".join(name for name, differs in changed.items() if differs) or "no change"


def _draw_marks(axes: Axes, rows: Sequence[SettingRow], value: Value) -> None:
    for kind in KINDS:
        of_kind = [row for row in rows if kind_of(row) == kind]
        style = {"color": KIND_COLOURS[kind], "marker": MARKS[kind], "linestyle": "none", "markersize": 5}
        axes.plot([row.truth_perceptual for row in of_kind], [value(row) for row in of_kind], label=kind, **style)
        for row in of_kind:
            axes.annotate(
                _label(row),
                (row.truth_perceptual, value(row)),
                OFFSETS[kind],
                textcoords="offset points",
                fontsize=6,
                color=KIND_COLOURS[kind],
            )
    for row in rows:
        if row.chosen:
            axes.plot(row.truth_perceptual, value(row), "o", markersize=14, fillstyle="none", color="black")
    axes.set(xlabel="perceptual distance to the truth")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_natural(axes: Axes, rows: Sequence[SettingRow]) -> None:
    """Draw the line on which two continuations differ as much as one of them and the truth."""
    ends = [min(row.truth_perceptual for row in rows), max(row.truth_perceptual for row in rows)]
    axes.plot(ends, ends, color="0.5", linestyle=":", linewidth=1, label="as diverse as natural")


def _label(row: SettingRow) -> str:
    """Return the values of the options that differ from those that change nothing."""
    values = [
        f"{row.temperature:g}" if row.temperature != 1 else "",
        str(row.top_k) if row.top_k else "",
        f"{row.top_p:g}" if row.top_p != 1 else "",
        f"{row.min_p:g}" if row.min_p else "",
    ]
    return ", ".join(filter(None, values))
