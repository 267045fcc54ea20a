"""The curves of a run, drawn from its `metrics.jsonl` alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.figures import FORMATS, asked_formats, save_figure

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Printed in grey some of them are alike: each goes with marks and dashes of its own.
MARKERS = dict(zip(COLOURS, "os^Dv<P", strict=True))
LINES = ("-", "--", "-.", ":")
DASHES = dict(zip(COLOURS, (LINES * 2)[: len(COLOURS)], strict=True))


def draw_curves(run: Path, panels: Mapping[str, Sequence[str]]) -> Path:
    """Draw metrics against the optimizer step into `run/loss.png` (.pdf and .svg beside it) and return its path.

    Only the files that the environment asks for are written (`asked_formats`); others, of when less was trained, are
    removed.

    Args:
        run: a run folder.
        panels: the metrics that share a panel, by the label of its vertical axis.
    """
    path = run / "loss.png"
    formats = asked_formats()
    if not formats:
        discard_curves(run)
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


def discard_curves(run: Path) -> None:
    """Remove what `draw_curves` made in a run folder, if it did."""
    for ending in FORMATS:
        (run / f"loss.{ending}").unlink(missing_ok=True)


def _draw(axes: Axes, points: Sequence[tuple[int, float]], name: str, colour: str) -> None:
    if points:
        steps, values = zip(*points, strict=True)
        # A line through few points hides where they are.
        marker = MARKERS[colour] if len(points) < 20 else None
        style: Any = {"color": colour, "marker": marker, "linestyle": DASHES[colour]}
        axes.plot(steps, values, label=name.replace("_", " "), markersize=3, linewidth=1, **style)
