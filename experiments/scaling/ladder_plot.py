"""Losses of a ladder against compute, as far as it has come: a colour for each size, and the lowest of all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.plots import finish_figure, number_axis
from training.figures import literal

MOST_NAMED = 9
"""Sizes that the legend names."""
LIGHTEST = 0.88
"""Of the colour map, from 0 to 1: beyond it yellow is hard to see on white."""


class Ended(NamedTuple):
    """A training that came to its end."""

    parameters: int
    source: str
    """The trunk that it left."""
    compute: float
    """FLOP of the training."""
    loss: float
    """NaN where there is none."""
    diverged: bool


def draw_losses(
    path: Path, trainings: Sequence[Ended], unit: str, note: str = "", formats: Sequence[str] | None = None
) -> None:
    """Draw losses against compute; trainings that diverged are crosses at the top.

    Args:
        path: the image to write.
        trainings: that came to their end, one or more.
        unit: what losses are in.
        note: a line under the panel.
        formats: endings of what is written; by default see `save_figure`.
    """
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    panel = figure.subplots()
    kept = [one for one in trainings if not one.diverged and np.isfinite(one.loss) and one.loss > 0]
    sizes = sorted({one.parameters for one in kept})
    named = set(sizes[:: -(-len(sizes) // MOST_NAMED)] if sizes else ())
    for size, colour in zip(sizes, colormaps["viridis"](np.linspace(0, LIGHTEST, len(sizes))), strict=True):
        of_size = [one for one in kept if one.parameters == size]
        for number, source in enumerate(dict.fromkeys(one.source for one in of_size)):
            label = f"{size:,} parameters" if size in named and number == 0 else None
            line = sorted((one.compute, one.loss) for one in of_size if one.source == source)
            panel.plot(*zip(*line, strict=True), marker="o", markersize=3.5, linewidth=0.9, color=colour, label=label)
    _draw_lowest(panel, kept)
    lost = [one.compute for one in trainings if one.diverged]
    if lost:
        top = panel.get_xaxis_transform()
        panel.plot(lost, [0.97] * len(lost), "x", color="#D55E00", transform=top, label="diverged", clip_on=False)
    panel.set(xscale="log", xlabel="compute (FLOP)", ylabel=literal(f"loss ({unit})"))
    if kept:
        panel.set_yscale("log")
        number_axis(panel.yaxis)
    panel.spines[["top", "right"]].set_visible(False)
    finish_figure(figure, [panel], path, note, columns=3, formats=formats)


def _draw_lowest(panel: Axes, kept: Iterable[Ended]) -> None:
    """Draw the lowest loss that a training with as much compute or less has reached."""
    places = sorted((one.compute, one.loss) for one in kept)
    if len(places) > 1:
        compute, losses = np.array(places).T
        lowest = np.minimum.accumulate(losses)
        panel.step(compute, lowest, where="post", color="black", linewidth=0.9, linestyle="--", label="lowest so far")
