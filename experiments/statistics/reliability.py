"""How far two halves of the units, runs or participants, agree on items: the ceiling of what can be correlated with.

Units are divided at random, many times, and the measure that each half gives of the items is correlated with that of
the other. The mean of these correlations says how reliable half of the units are; from it follows how reliable all of
them are, by the formula of Spearman and Brown, or for halves of different sizes by that of Horst (1951, Educational and
Psychological Measurement 11, 368-371). The highest correlation that a measure without any noise can be expected to
reach is the root of the reliability; one that has noise itself reaches the root of the product of both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiments.statistics.correlation import Coefficient, Indices, Measure, correlation_matrices
from experiments.statistics.outcomes import Floats


@dataclass(frozen=True)
class Reliability:
    """Agreement of two halves of the units of a measure."""

    halves: float
    """Mean correlation between two halves; NaN for a single unit, or where nothing varies."""
    whole: float
    """What follows for all units; negative where halves contradict each other."""

    @property
    def ceiling(self) -> float:
        """The correlation that a measure without noise can be expected to reach; NaN where it is unknown."""
        return math.sqrt(max(0.0, self.whole)) if math.isfinite(self.whole) else math.nan


def split_half(
    measure: Measure,
    strata: Indices,
    groups: Sequence[object],
    coefficient: Coefficient,
    splits: int,
    generator: np.random.Generator,
) -> Reliability:
    """Return how reliable a measure is.

    Args:
        measure: of N items.
        strata: (N,) number of the stratum of each item, within which halves are correlated.
        groups: (U,) what units have in common, such as the version of the list; each group is divided by itself, so
            that both halves have judged the same items as far as possible.
        coefficient: Spearman's or Pearson's.
        splits: number of random divisions.
        generator: that divides.
    """
    if measure.units < 2:
        return Reliability(math.nan, math.nan)
    first = draw_halves(groups, splits, generator)
    values = np.stack([measure.means(first), measure.means(1 - first)], axis=1)
    judged = np.asarray(np.isfinite(values).all(axis=1))
    matrices = correlation_matrices(
        np.where(judged[:, None, :], values, 0.0), judged.astype(np.float64), strata, coefficient
    )
    known = matrices[:, 0, 1][np.isfinite(matrices[:, 0, 1])]
    if not len(known):
        return Reliability(math.nan, math.nan)
    halves = float(known.mean())
    size = float(first[0].sum())
    return Reliability(halves, whole_from_halves(halves, size, measure.units - size))


def draw_halves(groups: Sequence[object], splits: int, generator: np.random.Generator) -> Floats:
    """Return (S, U) with 1 for the units of the first half; odd ones of groups go to either half in turn."""
    halves = np.zeros((splits, len(groups)))
    spare = 0
    for group in dict.fromkeys(groups):
        members = np.array([index for index, other in enumerate(groups) if other == group])
        size = (len(members) + spare) // 2
        spare = (len(members) + spare) % 2
        order = generator.random((splits, len(members))).argsort(axis=1)
        np.put_along_axis(halves, members[order[:, :size]], 1.0, axis=1)
    return halves


def whole_from_halves(correlation: float, first: float, second: float) -> float:
    """Return the reliability of all units, from the correlation between two parts of them.

    Args:
        correlation: between the parts.
        first: units of the one, at least 1.
        second: units of the other.
    """
    if correlation <= 0 or first == second:
        return 2 * correlation / (1 + correlation) if correlation > -1 else -math.inf
    # The noise x of one unit, in variances of what is measured, solves (1 + x / first) (1 + x / second) = 1 / r^2.
    total = first + second
    half = total / 2
    noise = -half + math.sqrt(half**2 + first * second * (1 / correlation**2 - 1))
    return 1 / (1 + noise / total)
