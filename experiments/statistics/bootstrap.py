"""Intervals by resampling runs and items.

Which items were drawn and which runs were made are both chance, and they are crossed: the same items are judged in
several runs. The pigeonhole bootstrap (Owen 2007, Annals of Applied Statistics 1, 386-411) draws runs with
replacement, draws items with replacement, and weights each trial by the product of how often its run and its item were
drawn. It errs, if at all, towards wide intervals, except that few runs tell little about how runs differ: of two runs
it sees half of the variance between runs, of one none. The two versions of a counterbalanced list are two runs, though
what a model prefers in one it lacks in the other: this too can only widen the interval.

Where there is one run, items alone are resampled (`mean_intervals`, `ratio_interval`; Efron and Tibshirani 1993, An
Introduction to the Bootstrap, chapter 13).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.stats import norm

from experiments.statistics.outcomes import Floats

RESAMPLES = 2000
CONFIDENCE = 0.95


def resampled_shares(correct: Floats, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Return the share of correct trials in resamples of runs and items.

    The same seed and numbers of runs and items give the same draws, so that resampled shares of two test
    conditions on the same trials can be subtracted, and the moments of one condition belong together.

    Args:
        correct: (M, R, I) correctness by moment, run and item; NaN where not tested.
        resamples: how many.
        seed: of the draws.

    Returns:
        (B, M) shares. A resample that happens to hold no trial has the share of all trials.
    """
    by_run, by_item = _draws(correct.shape[1], correct.shape[2], resamples, seed)
    total = np.zeros((resamples, len(correct)))
    weight = np.zeros((resamples, len(correct)))
    for run in range(correct.shape[1]):
        outcomes = correct[:, run]
        drawn = by_run[:, run, None]
        total += drawn * (by_item @ np.nan_to_num(outcomes).T)
        weight += drawn * (by_item @ np.isfinite(outcomes).T)
    everything = np.nansum(correct, axis=(1, 2)) / np.isfinite(correct).sum(axis=(1, 2))
    return np.where(weight > 0, total / np.maximum(weight, 1), everything)


def share_interval(share: float, variance: float, items: int) -> tuple[float, float]:
    """Return the interval of a share of correct trials whose variance under resampling is known.

    Resampling alone would give an interval of no width where all trials are correct, and quantiles of resamples jump
    near there. So this is Wilson's score interval (1927) for the number of independent trials that would have the same
    variance, the effective sample size (Korn and Graubard 1998, Survey Methodology 24, 193-201). Where resamples do not
    vary, the number of items stands in for it. The interval always contains the share, stays within [0, 1], and has
    width.

    Args:
        share: of correct trials.
        variance: of that share in resamples.
        items: different items among the trials.
    """
    varies = 0 < share < 1 and variance > 0
    return wilson_interval(share, max(1.0, share * (1 - share) / variance) if varies else items)


def wilson_interval(share: float, count: float) -> tuple[float, float]:
    """Return Wilson's score interval (1927) of a share of `count` independent trials."""
    z = float(norm.ppf(0.5 + CONFIDENCE / 2))
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def quantile_interval(values: Floats) -> tuple[float, float]:
    """Return the interval that holds the middle 95 % of resampled values (B,), which may be infinite."""
    low, high = _quantiles(values)
    return float(low), float(high)


def mean_intervals(values: Floats) -> tuple[Floats, Floats]:
    """Return percentile intervals of means over items; every interval contains its mean.

    The same number of items gives the same draws. Where all items have the same value, the interval has no width.

    Args:
        values: (I, M) finite values by item; each column is a metric of its own.

    Returns:
        (M,) lower and (M,) upper ends, NaN for fewer than two items, of which nothing is known about how items differ.
    """
    items, metrics = values.shape
    if items < 2:
        return np.full(metrics, np.nan), np.full(metrics, np.nan)
    _, by_item = _draws(1, items, RESAMPLES, 0)
    low, high = _quantiles(by_item @ values / items)
    mean = values.mean(axis=0)
    return np.minimum(low, mean), np.maximum(high, mean)


def ratio_interval(a: Floats, b: Floats) -> tuple[float, float]:
    """Return the percentile interval of mean(a) / mean(b), items of both resampled independently.

    A resample in which mean(b) alone is zero has an infinite ratio, and one in which both are zero a ratio of 1.

    Args:
        a: (I,) finite values of some items, at least 0.
        b: (J,) finite values of other items, at least 0.

    Returns:
        Lower and upper end; NaN where either has fewer than two items.
    """
    if min(len(a), len(b)) < 2:
        return math.nan, math.nan
    by_a, by_b = _draws(len(a), len(b), RESAMPLES, 0)
    above = by_a @ a / len(a)
    below = by_b @ b / len(b)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = above / below
    return quantile_interval(np.where((above == 0) & (below == 0), 1.0, ratios))


def _quantiles(values: Floats) -> Floats:
    """Return both ends (2, ...) of the middle 95 % of resamples (B, ...); `inverted_cdf` allows infinite ones."""
    return np.quantile(values, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2], axis=0, method="inverted_cdf")


@lru_cache(maxsize=64)
def _draws(runs: int, items: int, resamples: int, seed: int) -> tuple[Floats, Floats]:
    """Return how often each run (B, R) and each item (B, I) is drawn in each resample."""
    generator = np.random.default_rng(seed)
    by_run = generator.multinomial(runs, np.full(runs, 1 / runs), size=resamples)
    by_item = generator.multinomial(items, np.full(items, 1 / items), size=resamples)
    return by_run.astype(np.float64), by_item.astype(np.float64)
