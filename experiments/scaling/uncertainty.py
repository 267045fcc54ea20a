"""How far the curves of a family may be off: tables that are drawn anew from its fit, and what they lead to.

Where two or more seeds were followed over several amounts, seeds are what was drawn by chance. Each seed's residuals
about the curve keep together and are multiplied by one number, normally distributed (a wild cluster bootstrap: Cameron,
Gelbach and Miller 2008, Review of Economics and Statistics 90, 414-427), whose scale is that of Student's t with one
degree of freedom less than seeds. Otherwise every point is a run of its own, and residuals are drawn as normal numbers
whose variance is not known either: that of the residuals times n - p over a chi-squared number of n - p degrees of
freedom, for n points and p parameters. For linear families both give Student's t intervals; a plain percentile interval
of three seeds would hold the truth in three of four cases at best.

Axes: D draws, n points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from experiments.scaling.curves import Curve
from experiments.scaling.families import Family, Fits, Limits, Say, fit
from experiments.statistics.outcomes import Floats

Basis = Literal["seeds", "runs", "residuals", "none"]
"""What intervals come from: seeds that were followed over amounts; runs, several at an amount; the residuals of single
points, in which chance and a wrong family cannot be told apart; or nothing, where there are too few points."""

ENDS = (0.025, 0.975)
"""Of 95 % intervals."""
TINY = 1e-9
"""Residuals that are smaller, against the spread of the measure, are ones of rounding."""


@dataclass(frozen=True)
class Fitted:
    """The curve of a family through a curve's points, and curves through tables drawn anew."""

    point: Fits
    """One curve."""
    draws: Fits | None
    """(D,) curves; None where nothing is known of how far the curve may be off."""
    basis: Basis
    noise: Floats
    """(D,) standard deviations of single points on the scale of the fit, one for each draw."""


def fit_drawn(
    family: Family,
    limits: Limits,
    curve: Curve,
    draws: int,
    generator: np.random.Generator,
    say: Say = lambda done: None,
) -> Fitted:
    """Fit a family to a curve and to tables that are drawn anew from the fit.

    Args:
        family: that can be fitted to it.
        limits: ends of the measure.
        curve: the points.
        draws: D, number of tables; 0 for none.
        generator: of chance.
        say: is told, where that takes long, how many tables are fitted.
    """
    scores = family.link(curve.values, limits)
    point = fit(family, limits, curve.logs, scores[None])
    basis = basis_of(curve, family.parameters) if draws else "none"
    if basis == "none":
        return Fitted(point, None, basis, np.zeros(0))
    expected = point.scores(curve.logs)[0]
    residuals = scores - expected
    residuals = np.where(np.abs(residuals) > TINY * (np.ptp(scores) or 1.0), residuals, 0.0)
    freedom = len(scores) - family.parameters
    deviation = np.sqrt((residuals**2).sum() / max(freedom, 1))
    if basis == "seeds":
        seeds = curve.seeds.max() + 1
        scale = np.sqrt(seeds / generator.chisquare(seeds - 1, draws))
        moved = residuals * generator.normal(size=(draws, seeds))[:, curve.seeds] * scale[:, None]
        noise = np.full(draws, deviation)
    else:
        noise = deviation * np.sqrt(freedom / generator.chisquare(freedom, draws))
        moved = generator.normal(size=(draws, len(scores))) * noise[:, None]
    return Fitted(point, fit(family, limits, curve.logs, expected + moved, say), basis, noise)


def basis_of(curve: Curve, parameters: int) -> Basis:
    """Return what the interval of a family with so many parameters can come from."""
    named = [curve.logs[curve.seeds == seed] for seed in range(int(curve.seeds.max()) + 1)]
    if len(named) > 1 and (curve.seeds >= 0).all() and all(len(np.unique(logs)) > 1 for logs in named):
        return "seeds"
    if len(curve.logs) <= parameters:
        return "none"
    return "runs" if len(curve.logs) > len(curve.rungs) else "residuals"


def quantile(numbers: Floats, share: float, weights: Floats | None = None) -> float:
    """Return a quantile of numbers (D,), of which some may be infinite: one of them, not a mean of two.

    Args:
        numbers: in any order.
        share: of them, or of their weights, that is at or below it.
        weights: (D,) equal ones if not given.
    """
    order = np.argsort(numbers)
    sums = np.cumsum(np.ones(len(numbers)) if weights is None else weights[order])
    index = np.searchsorted(sums, share * sums[-1] * (1 - 1e-12))
    return float(numbers[order[min(index, len(numbers) - 1)]])
