"""The curves of a run, drawn from its `metrics.jsonl` alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.figures import FORMATS, save_figure

ENDINGS = "SECONDSIGHT_CURVES"
"""Variable of the environment that says which files of the curves of a run are drawn: see `curve_formats`."""

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Printed in grey some of them are alike: each goes with marks and dashes of its own.
MARKERS = dict(zip(COLOURS, "os^Dv<P", strict=True))
LINES = ("-", "--", "-.", ":")
DASHES = dict(zip(COLOURS, (LINES * 2)[: len(COLOURS)], strict=True))


def curve_formats() -> tuple[str, ...]:
    """Return the endings of the files in which the curves of a run are drawn, as the environment asks for them.

    Endings, such as `png` or `png,svg`, or `none`; without the variable, and where it says anything else, all three.
    To draw these takes as long as many steps of a tiny model, of which ladders and sweeps train hundreds.
    """
    asked = os.environ.get(ENDINGS, "").split(",")
    if not set(asked) <= {*FORMATS, "none"}:
        return FORMATS
    return tuple(ending for ending in FORMATS if ending in asked)


def draw_curves(run: Path, panels: Mapping[str, Sequence[str]]) -> Path:
    """Draw metrics against the optimizer step into `run/loss.png` (.pdf and .svg beside it) and return its path.

    Only the files that the variable `ENDINGS` of the environment asks for are written; others, of when less was
    trained, are removed.

    Args:
        run: a run folder.
        panels: the metrics that share a panel, by the label of its vertical axis.
    """
    path = run / "loss.png"
    formats = curve_formats()
    discard_curves(run, [ending for ending in FORMATS if ending not in formats])
    if not formats:
        return path
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(4.2 * len(panels), 3.2), layout="constrained")
    for axes, (label, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name, colour in zip(names, COLOURS, strict=False):
            _draw(axes, [(line["step"], line[name]) for line in lines if name in line], name, colour)
        axes.set(xlabel="optimizer step", ylabel=label)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False)
    return save_figure(figure, path, formats=formats)


def discard_curves(run: Path, formats: Sequence[str] = FORMATS) -> None:
    """Remove what `draw_curves` made in a run folder, if it did, with these endings."""
    for ending in formats:
        (run / f"loss.{ending}").unlink(missing_ok=True)


def _draw(axes: Axes, points: Sequence[tuple[int, float]], name: str, colour: str) -> None:
    if points:
        steps, values = zip(*points, strict=True)
        # A line through few points hides where they are.
        marker = MARKERS[colour] if len(points) < 20 else None
        style: Any = {"color": colour, "marker": marker, "linestyle": DASHES[colour]}
        axes.plot(steps, values, label=name.replace("_", " "), markersize=3, linewidth=1, **style)
