"""Published accuracies of Image GPT, to draw ours beside: Orhan (2022), arXiv:2204.13061.

    published_igpt_accuracy.csv         Brady et al.'s stimuli: 4 runs (2 lists, 2 seeds) of 100 pairs per condition
    published_igpt_noise_accuracy.csv   2,500 random token sequences: 4 seeds, 300 pairs

Both were computed from the losses of every test image after every exposure that the author released at
github.com/eminorhan/igpt-memory: mean and standard error over runs of the share of pairs in which the studied one has
the lower loss.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from storage.tables import read_rows

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
    points: dict[tuple[str, str], list[_Point]] = defaultdict(list)
    for row in read_rows(Path(__file__).with_name("published_igpt_accuracy.csv"), _PointOfCondition):
        points[row.pretraining, row.condition].append(row)
    for point in read_rows(Path(__file__).with_name("published_igpt_noise_accuracy.csv"), _Point):
        points[point.pretraining, NOISE].append(point)
    return [_curve(pretraining, condition, of_curve) for (pretraining, condition), of_curve in points.items()]


@dataclass(frozen=True)
class _Point:
    """A row of a table, in per cent."""

    pretraining: str
    exposures: int
    accuracy_mean_pct: float
    accuracy_sem_pct: float


@dataclass(frozen=True)
class _PointOfCondition(_Point):
    condition: str


def _curve(pretraining: str, condition: str, points: list[_Point]) -> PublishedCurve:
    points = sorted(points, key=lambda point: point.exposures)
    return PublishedCurve(
        pretraining=PRETRAINING.get(pretraining, pretraining),
        condition=condition,
        exposures=tuple(point.exposures for point in points),
        accuracies=tuple(point.accuracy_mean_pct / 100 for point in points),
        sems=tuple(point.accuracy_sem_pct / 100 for point in points),
    )
