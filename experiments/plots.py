"""Figures, drawn from the CSV files alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display is needed or looked for

import matplotlib.pyplot as plt

from experiments.human import human_figures
from experiments.statistics import Accuracy, pooled

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def draw_memory_curve(path: Path, results: Sequence[Accuracy]) -> None:
    """Draw accuracy against exposures, one panel per condition, with intervals and the human figures."""
    curves, people = pooled(results), human_figures()
    figure, axes = plt.subplots(
        1, len(curves), figsize=(3.4 * len(curves), 3.2), sharey=True, squeeze=False, layout="constrained"
    )
    for panel, (condition, curve), colour in zip(axes[0], curves.items(), COLOURS, strict=False):
        exposures = [point.exposure for point in curve]
        low, high = [point.low for point in curve], [point.high for point in curve]
        panel.fill_between(exposures, low, high, color=colour, alpha=0.2, linewidth=0)
        panel.plot(exposures, [point.accuracy for point in curve], color=colour, marker="o", markersize=3)
        if condition in people:
            human = people[condition]
            panel.axhspan(human.accuracy - human.sem, human.accuracy + human.sem, color="0.8", zorder=0)
            panel.annotate("people, one exposure", (exposures[0], human.accuracy), va="center", fontsize=7)
        panel.axhline(0.5, color="0.6", linestyle=":", linewidth=1)
        panel.set(title=condition, xlabel="exposures", ylim=(0.3, 1.03))
        panel.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("recognition accuracy")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
