"""Intervals and p-values of means, shares and ratios of items that come in groups.

Clips of one film resemble one another, and so do the recordings of one child. What was drawn by chance are the groups:
each counts as one observation, however many items it has, and of a mean over all items it says how far the mean would
move without that group (the jackknife over groups, which is the estimator CR3 of Bell and McCaffrey 2002, Survey
Methodology 28, 169-181). The interval is Student's, with as many degrees of freedom as groups of equal size would have
that say as much (Kish's effective number), less one. To that come

- for skewed values an allowance: the margin grows with the skewness of the groups, most of all where there are few
  (Johnson 1978, Journal of the American Statistical Association 73, 536-544, has the reason for it);
- for values that cannot be negative the logarithmic scale, on which few values are less skewed and ratios symmetric;
- for shares two groups that nobody saw, one all right and one all wrong, as Agresti and Coull (1998, The American
  Statistician 52, 119-126) do with trials. So the interval has width where all groups agree.

How far nominal 95 % intervals cover is simulated by `benchmarks/coverage_of_groups.py`.

Axes: I items, G groups, M metrics of the same items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import t as student

from experiments.statistics.outcomes import Floats

Scale = Literal["linear", "log"]

CONFIDENCE = 0.95
GROUPS_FOR_INTERVAL = 2
"""Groups that an interval takes: of one it is not known how groups differ."""
GROUPS_FOR_VERDICT = 6
"""Groups that a verdict takes. Of fewer not even agreement of all of them is a surprise: a sign-flip test of G groups
has no p-value below 2 ** (1 - G), which is .06 for five."""
ALLOWANCE: dict[Scale, float] = {"linear": 12.0, "log": 4.0}
"""By how much of its skewness, divided by the groups, a margin grows; found by simulation with lognormal values."""
UNKNOWN_SKEWNESS = 1.5
"""What the margin of two groups is multiplied by: they have no skewness."""


@dataclass(frozen=True)
class Grouping:
    """Which items belong together."""

    codes: np.ndarray[tuple[int, ...], np.dtype[np.intp]]
    """(I,) index of each item's group."""
    sizes: Floats
    """(G,) items of each group."""

    @classmethod
    def of(cls, names: Sequence[str]) -> Grouping:
        """Return the grouping of items with these names of groups."""
        indices = {name: index for index, name in enumerate(dict.fromkeys(names))}
        codes = np.array([indices[name] for name in names], dtype=np.intp)
        return cls(codes=codes, sizes=np.bincount(codes, minlength=len(indices)).astype(np.float64))

    @property
    def count(self) -> int:
        """Number of groups."""
        return len(self.sizes)

    @property
    def freedom(self) -> float:
        """Degrees of freedom: the effective number of groups less one, at least one."""
        return max(1.0, float(self.sizes.sum() ** 2 / np.square(self.sizes).sum()) - 1)

    def totals(self, values: Floats) -> Floats:
        """Return the sums (G, M) over the items of each group, of values (I, M)."""
        order = np.argsort(self.codes, kind="stable")
        first = np.cumsum(self.sizes) - self.sizes
        summed: Floats = np.add.reduceat(values[order], first.astype(np.intp), axis=0)
        return summed


@dataclass(frozen=True)
class Grouped:
    """Estimates of M metrics, and what their intervals and p-values follow from."""

    value: Floats
    """(M,) the estimates."""
    centre: Floats
    """(M,) middle of the intervals on their scale; NaN where there is no interval."""
    spread: Floats
    """(M,) standard errors on that scale, times the allowance for skewness."""
    freedom: Floats
    """(M,) degrees of freedom."""
    groups: int
    """Groups, of two sides the fewer."""
    scale: Scale = "linear"
    """Scale on which the intervals are symmetric."""
    lowest: float = -np.inf
    """Least value that there can be."""
    highest: float = np.inf
    """Largest value that there can be."""

    def interval(self, confidence: float = CONFIDENCE) -> tuple[Floats, Floats]:
        """Return lower and upper ends (M,), which enclose the estimates.

        They are NaN where groups are fewer than two, and where all groups agree exactly: how far the mean that they
        were drawn from may be from theirs cannot be told from them.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            margin = student.ppf(0.5 + confidence / 2, self.freedom) * self.spread
            low, high = self.centre - margin, self.centre + margin
            if self.scale == "log":
                low, high = np.exp(low), np.exp(high)
        known = self.spread > 0
        low = np.minimum(np.clip(low, self.lowest, self.highest), self.value)
        high = np.maximum(np.clip(high, self.lowest, self.highest), self.value)
        return np.where(known, low, np.nan), np.where(known, high, np.nan)

    def p_values(self, threshold: float) -> Floats:
        """Return two-sided p-values (M,) of the threshold: 1 less the confidence at which the interval touches it.

        Where all groups agree exactly it is that of the sign-flip test of so many groups, 2 ** (1 - groups), and 1 at
        the threshold itself. It is NaN where groups are fewer than two, and of the ratio of nothing to nothing.
        """
        at = threshold
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.scale == "log":
                at = float(np.log(threshold)) if threshold > 0 else -np.inf
            p = 2 * student.sf(np.abs(self.centre - at) / self.spread, self.freedom)
        agreed = np.where(self.value == threshold, 1.0, 2.0 ** (1 - self.groups))
        return np.where(np.isnan(self.spread), np.nan, np.where(self.spread > 0, p, agreed))


def mean_of(values: Floats, grouping: Grouping, scale: Scale = "linear") -> Grouped:
    """Return the means over items of values (I, M), which come in groups.

    Args:
        values: finite; at least 0 on the scale `log`.
        grouping: of the items.
        scale: `log` for what cannot be negative.
    """
    value = values.mean(axis=0)
    if grouping.count < GROUPS_FOR_INTERVAL:
        return _unknown(value, grouping.count)
    centre, spread = _student(grouping.totals(values), grouping.sizes, ALLOWANCE[scale])
    if scale == "log":
        with np.errstate(divide="ignore", invalid="ignore"):
            # Where the mean is 0 so are all values: the groups agree.
            centre, spread = np.log(value), np.where(value > 0, spread / value, 0.0)
    return Grouped(value, centre, spread, np.full(len(value), grouping.freedom), grouping.count, scale)


def share_of(values: Floats, grouping: Grouping, lowest: float = 0.0, highest: float = 1.0) -> Grouped:
    """Return the means over items of shares (I, M), or of other values between `lowest` and `highest`.

    Two groups of mean size that nobody saw are added, one with the lowest and one with the highest value.
    """
    value = values.mean(axis=0)
    if grouping.count < GROUPS_FOR_INTERVAL:
        return _unknown(value, grouping.count)
    size = float(grouping.sizes.mean())
    totals = grouping.totals(values)
    unseen = [np.full((1, totals.shape[1]), size * end) for end in (lowest, highest)]
    centre, spread = _student(np.concatenate([totals, *unseen]), np.append(grouping.sizes, [size, size]), 0.0)
    freedom = np.full(len(value), grouping.freedom)
    return Grouped(value, centre, spread, freedom, grouping.count, lowest=lowest, highest=highest)


def ratio_of(a: Floats, of_a: Grouping, b: Floats, of_b: Grouping) -> Grouped:
    """Return mean(a) / mean(b) of metrics of items (I, M) and of other items (J, M), at least 0.

    Both sides are taken as independent. Where they are of the same films, and so vary together, the interval is wider
    than it need be. The degrees of freedom are Satterthwaite's (1946, Biometrics Bulletin 2, 110-114). A ratio of two
    means of 0 is called 1, without interval and p-value; that to a mean of 0 alone is infinite.
    """
    above, below = mean_of(a, of_a, "log"), mean_of(b, of_b, "log")
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where((above.value == 0) & (below.value == 0), 1.0, above.value / below.value)
        groups = min(of_a.count, of_b.count)
        if groups < GROUPS_FOR_INTERVAL:
            return _unknown(value, groups)
        known = (above.value > 0) & (below.value > 0)
        variances = [np.square(side.spread) for side in (above, below)]
        total = variances[0] + variances[1]
        parts = [square**2 / side.freedom for square, side in zip(variances, (above, below), strict=True)]
        freedom = np.where(total > 0, np.square(total) / (parts[0] + parts[1]), float(groups - 1))
        nothing = (above.value == 0) & (below.value == 0)
        spread = np.where(known, np.sqrt(total), np.where(nothing, np.nan, 0.0))
        return Grouped(value, np.log(value), spread, freedom, groups, "log")


def _student(totals: Floats, sizes: Floats, allowance: float) -> tuple[Floats, Floats]:
    """Return means (M,) over items and their standard errors with the allowance, of sums (G, M) and sizes (G,)."""
    groups = len(sizes)
    items = sizes.sum()
    total = totals.sum(axis=0)
    mean = total / items
    without = (total - totals) / (items - sizes)[:, None]
    moved = mean - without
    error = np.sqrt((groups - 1) / groups * np.square(moved).sum(axis=0))
    # Rounding is no disagreement.
    error = np.where(error > 1e-12 * np.abs(totals).max(axis=0), error, 0.0)
    if not allowance:
        return mean, error
    if groups == GROUPS_FOR_INTERVAL:
        return mean, UNKNOWN_SKEWNESS * error
    return mean, error * (1 + allowance * _skewness(moved) / groups)


def _skewness(values: Floats) -> Floats:
    """Return the sizes (M,) of the skewness of values (G, M); 0 where they are all the same."""
    deviations = values - values.mean(axis=0)
    variance = np.square(deviations).mean(axis=0)
    third = (deviations**3).mean(axis=0)
    return np.abs(np.divide(third, variance**1.5, out=np.zeros_like(third), where=variance > 0))


def _unknown(value: Floats, groups: int) -> Grouped:
    """Return estimates that have no intervals, of too few groups."""
    nothing = np.full(len(value), np.nan)
    return Grouped(value, nothing, nothing, np.ones(len(value)), groups)
