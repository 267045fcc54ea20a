"""Published accuracies of Image GPT, to draw ours beside: Orhan (2022), arXiv:2204.13061.

    published_igpt_accuracy.csv         Brady et al.'s stimuli: 4 runs (2 lists, 2 seeds) of 100 pairs per condition
    published_igpt_noise_accuracy.csv   2,500 random token sequences: 4 seeds, 300 pairs

Both were computed from the losses of every test image after every exposure that the author released at
github.com/eminorhan/igpt-memory: mean and standard error over runs of the share of pairs in which the studied one has
the lower loss.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

NOISE = "noise"
"""Condition of random sequences."""
PRETRAINING = {"none": "from scratch"}


@dataclass(frozen=True)
class PublishedCurve:
    """Accuracies of one published model in one condition."""

    pretraining: str
    """`ImageNet`, `SAYCam` or `from scratch`."""
    condition: str
    exposures: tuple[int, ...]
    accuracies: tuple[float, ...]
    """Shares of correct trials, mean over runs."""
    sems: tuple[float, ...]
    """Their standard errors."""


def published_curves() -> list[PublishedCurve]:
    """Return the curves of Image GPT (24 layers of width 512, 64 x 64 pixels in 512 colours)."""
    return _read("published_igpt_accuracy.csv") + _read("published_igpt_noise_accuracy.csv")


def _read(name: str) -> list[PublishedCurve]:
    with Path(__file__).with_name(name).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    curves: dict[tuple[str, str], list[tuple[int, float, float]]] = defaultdict(list)
    for row in rows:
        point = int(row["exposures"]), float(row["accuracy_mean_pct"]) / 100, float(row["accuracy_sem_pct"]) / 100
        curves[row["pretraining"], row.get("condition", NOISE)].append(point)
    return [
        PublishedCurve(PRETRAINING.get(pretraining, pretraining), condition, *zip(*sorted(points), strict=True))
        for (pretraining, condition), points in curves.items()
    ]
