"""Correlations between measures of the same items, within strata, with what they may be off by.

All is computed from weights, a weight for every item and for every unit (a run, a participant) whose mean a measure is.
Weights of 1 give the correlations themselves; random weights, drawn for items and for the units of either side
independently, give their standard errors: the Bayesian pigeonhole bootstrap of crossed data (Owen and Eckles 2012,
Annals of Applied Statistics 6, 895-927), which errs on the wide side. Weights are of a Dirichlet distribution whose
parameter, (n - 2) / n, makes the variance of a mean over n units unbiased, also of two units.

Within strata (the test conditions of a list) values are ranked or standardised before they are put together, so that
nothing is owed to one condition being harder than another. Ranks are weighted midranks, by which a correlation of ranks
is Spearman's.

Axes: B draws of weights, V variables, N items, U units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from experiments.statistics.intervals import LEVEL
from experiments.statistics.outcomes import Floats

Coefficient = Literal["spearman", "pearson"]

FEWEST = 5
"""Items of a stratum, at least: of fewer a correlation says nothing."""
ALMOST_ONE = 1 - 1e-9
"""Correlations beyond it are taken for it where they are brought to Fisher's scale, on which 1 is infinite."""
NEGLIGIBLE = 1e-12
"""Variances below it, relative to the squared mean, are rounding errors of values that do not vary."""
LEAST_WEIGHT = 1e-9
"""Added to the weight of every unit, so that an item which a single unit has judged keeps its value."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Measure:
    """A measure of N items that is a mean over units, or a sum of such means."""

    parts: tuple[tuple[float, Floats], ...]
    """Factors, and values (U, N) that are averaged over units; NaN where a unit has none. All have the same units."""

    @property
    def units(self) -> int:
        """Runs or participants; 1 where there is nothing to average."""
        return self.parts[0][1].shape[0]

    @property
    def values(self) -> Floats:
        """(N,) over all units; NaN where none has a value."""
        return self.means(np.ones((1, self.units)))[0]

    def means(self, weights: Floats) -> Floats:
        """Return the measure (B, N) by weights (B, U) of the units; NaN where the units with weight have no value."""
        return np.sum([factor * _weighted_mean(weights, values) for factor, values in self.parts], axis=0)

    def of(self, items: Indices) -> Measure:
        """Return the measure of some of the items."""
        return Measure(tuple((factor, values[:, items]) for factor, values in self.parts))


@dataclass(frozen=True)
class Estimate:
    """A correlation, and how far it may be off; all numbers are NaN where a variable does not vary."""

    correlation: float
    standard_error: float
    """For other items and units."""
    low_items: float
    """Ends of the 95 % interval for other items and the same units."""
    high_items: float
    low: float
    """Ends of the 95 % interval for other items and other units."""
    high: float
    p: float
    """Two-sided, of no correlation, for other items and units."""


def draw_weights(draws: int, units: int, generator: np.random.Generator) -> Floats:
    """Return weights (B, U) of mean 1, by which the variance of a mean over units is unbiased; 1 for a single unit."""
    if units == 1:
        return np.ones((draws, 1))
    if units == 2:
        chosen = generator.integers(0, 2, draws)
        weights = np.stack([chosen, 1 - chosen], axis=1).astype(np.float64)
    else:
        weights = generator.gamma((units - 2) / units, size=(draws, units))
    return weights / weights.mean(axis=1, keepdims=True) + LEAST_WEIGHT


def draw_item_weights(draws: int, strata: Indices, clusters: Indices, generator: np.random.Generator) -> Floats:
    """Return weights (B, N) of items, the same for all items of a cluster; each stratum is drawn by itself.

    Args:
        draws: B.
        strata: (N,) number of the stratum of each item.
        clusters: (N,) number of the cluster of each, of which each lies in one stratum.
        generator: that draws.
    """
    weights = np.empty((draws, len(strata)))
    for stratum in np.unique(strata):
        inside = strata == stratum
        members, which = np.unique(clusters[inside], return_inverse=True)
        weights[:, inside] = draw_weights(draws, len(members), generator)[:, which]
    return weights


def covariances(values: Floats, weights: Floats, strata: Indices, coefficient: Coefficient) -> dict[int, Floats]:
    """Return the covariances (B, V, V) of standardised variables in each stratum; their sums over strata pool these.

    Args:
        values: (B, V, N), or (1, V, N) for the same in every draw; finite.
        weights: (B, N) of the items, not negative.
        strata: (N,) number of the stratum of each item.
        coefficient: Spearman's, of ranks, or Pearson's.

    Returns:
        By number of the stratum; 0 for a variable that does not vary in it.
    """
    found = {}
    for stratum in np.unique(strata):
        inside = strata == stratum
        scores = _scores(values[:, :, inside], weights[:, inside], coefficient)
        weighted = scores * weights[:, None, inside]
        found[int(stratum)] = weighted @ scores.transpose(0, 2, 1)
    return found


def pooled(strata: Sequence[Floats]) -> Floats:
    """Return the sum (B, V, V) of the covariances of strata."""
    return np.sum(strata, axis=0)


def correlations(summed: Floats) -> Floats:
    """Return correlations (B, V, V) from covariances, one stratum's or the sum of several; NaN where nothing varies."""
    deviations = np.sqrt(np.diagonal(summed, axis1=1, axis2=2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return summed / deviations[:, :, None] / deviations[:, None, :]


def correlation_matrices(values: Floats, weights: Floats, strata: Indices, coefficient: Coefficient) -> Floats:
    """Return the correlations (B, V, V) between variables within strata: see `covariances`."""
    return correlations(pooled(list(covariances(values, weights, strata, coefficient).values())))


def partial_correlations(matrices: Floats, first: int, second: int, others: tuple[int, ...]) -> Floats:
    """Return the correlations (B,) of two variables without what is linear in others; NaN where one does not vary.

    Args:
        matrices: (B, V, V) correlations.
        first: index of a variable.
        second: index of the other.
        others: indices of those that are partialled out; those that do not vary are left out of account.
    """
    known = tuple(other for other in others if np.isfinite(matrices[:, other, other]).all())
    pair = [first, second]
    between = matrices[:, pair][:, :, pair]
    if known:
        # A pseudo-inverse, because two covariates may be one and the same.
        inside = np.linalg.pinv(matrices[:, known][:, :, known], rcond=1e-9, hermitian=True)
        toward = matrices[:, pair][:, :, known]
        between = between - toward @ inside @ toward.transpose(0, 2, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _bounded(between[:, 0, 1] / np.sqrt(_left(between[:, 0, 0]) * _left(between[:, 1, 1])))


def estimate(
    observed: float, over_items: Floats, over_all: Floats, items: int, sides: Sequence[tuple[Floats, int]]
) -> Estimate:
    """Return a correlation with its intervals, by Student's t on Fisher's scale.

    Args:
        observed: the correlation.
        over_items: (B,) by random weights of items.
        over_all: (B,) by random weights of items and of the units of all sides.
        items: independent ones, whose number less one is the degrees of freedom of what they contribute.
        sides: of each side that has several units (B,) by random weights of these alone, and how many they are.
    """
    if not np.isfinite(observed):
        return Estimate(*(7 * [np.nan]))
    centre = float(_fisher(np.array(observed)))
    of_items = _spread(_fisher(over_items)) ** 2
    of_all = max(of_items, _spread(_fisher(over_all)) ** 2)
    freedom = _freedom(of_items, of_all, items, [(_spread(_fisher(alone)) ** 2, units) for alone, units in sides])
    low_items, high_items = _interval(centre, of_items, items - 1)
    low, high = _interval(centre, of_all, freedom)
    p = 2 * float(stdtr(freedom, -abs(centre) / np.sqrt(of_all)))
    return Estimate(float(observed), _spread(over_all), low_items, high_items, low, high, p)


def _freedom(of_items: float, of_all: float, items: int, sides: Sequence[tuple[float, int]]) -> float:
    """Return Satterthwaite's degrees of freedom of a variance.

    Args:
        of_items: what items contribute.
        of_all: the whole; what is more than that of items is divided among the sides as the variances of these are.
        items: their number.
        sides: variance by the units of a side alone, and their number.
    """
    of_sides = sum(variance for variance, _ in sides)
    squares = of_items**2 / (items - 1)
    for variance, units in sides:
        share = (of_all - of_items) * variance / of_sides if of_sides else 0.0
        squares += share**2 / (units - 1)
    return of_all**2 / squares if squares else items - 1.0


def _weighted_mean(weights: Floats, values: Floats) -> Floats:
    known = np.isfinite(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (weights @ np.where(known, values, 0.0)) / (weights @ known)


def _scores(values: Floats, weights: Floats, coefficient: Coefficient) -> Floats:
    """Return the variables (B, V, n) of one stratum with weighted mean 0 and variance 1; 0 where one does not vary."""
    if coefficient == "spearman":
        wide = np.broadcast_to(values, (len(weights), *values.shape[1:]))
        values = np.stack([midranks(wide[:, variable], weights) for variable in range(values.shape[1])], axis=1)
    total = weights.sum(axis=1)[:, None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        means = (values * weights[:, None, :]).sum(axis=2, keepdims=True) / total
        centred = values - means
        variances = (centred**2 * weights[:, None, :]).sum(axis=2, keepdims=True) / total
        varies = variances > NEGLIGIBLE * np.maximum(means**2, variances)
        return np.where(varies, centred / np.sqrt(variances), 0.0)


def midranks(values: Floats, weights: Floats) -> Floats:
    """Return for each value (B, n) the weight below it and half the weight of those that are equal to it."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    upto = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    before = np.concatenate([np.zeros((len(upto), 1)), upto[:, :-1]], axis=1)
    differs = ordered[:, 1:] != ordered[:, :-1]
    begins = np.concatenate([np.ones((len(upto), 1), dtype=bool), differs], axis=1)
    ends = np.concatenate([differs, np.ones((len(upto), 1), dtype=bool)], axis=1)
    low = np.maximum.accumulate(np.where(begins, before, 0.0), axis=1)
    high = np.minimum.accumulate(np.where(ends, upto, np.inf)[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(upto.shape)
    np.put_along_axis(ranks, order, (low + high) / 2, axis=1)
    return ranks


def _left(variances: Floats) -> Floats:
    """Return what variance is left, NaN where it is a rounding error."""
    return np.where(variances > 1e-9, variances, np.nan)


def _bounded(correlations: Floats) -> Floats:
    return np.clip(correlations, -1, 1)


def _fisher(correlations: Floats) -> Floats:
    return np.arctanh(np.clip(correlations, -ALMOST_ONE, ALMOST_ONE))


def _spread(values: Floats) -> float:
    """Return the standard deviation of what is known."""
    known = values[np.isfinite(values)]
    return float(known.std()) if len(known) > 1 else np.nan


def _interval(centre: float, variance: float, freedom: float) -> tuple[float, float]:
    half = -float(stdtrit(freedom, LEVEL / 2)) * np.sqrt(variance)
    return float(np.tanh(centre - half)), float(np.tanh(centre + half))
