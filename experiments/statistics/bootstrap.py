"""Intervals by resampling runs and items.

Which items were drawn and which runs were made are both chance, and they are crossed: the same items are judged in
several runs. The pigeonhole bootstrap (Owen 2007, Annals of Applied Statistics 1, 386-411) draws runs with
replacement, draws items with replacement, and weights each trial by the product of how often its run and its item were
drawn. It errs, if at all, towards wide intervals, except that few runs tell little about how runs differ: of two runs
it sees half of the variance between runs, of one none. The two versions of a counterbalanced list are two runs, though
what a model prefers in one it lacks in the other: this too can only widen the interval.
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
