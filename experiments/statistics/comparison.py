"""Two test conditions compared on the same items of the same runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from experiments.statistics.bootstrap import quantile_interval, resampled_shares, wilson_interval
from experiments.statistics.outcomes import Floats, Outcomes
from experiments.statistics.trials import Moment, TestCondition


@dataclass(frozen=True)
class Comparison:
    """The difference between two accuracies, `first` minus `second`."""

    respect: str
    """In which the two differ: model, readout or change."""
    first: str
    """Model, readout or change."""
    second: str
    """The other one."""
    model: str
    """Model of both; empty where they differ in it."""
    readout: str
    """Readout of both; empty where they differ in it."""
    change: str
    """Change of both; empty where they differ in it."""
    condition: str
    """Test condition of the list: how the foil differs from what was studied."""
    exposure: int
    """Passes over the study list."""
    interference: int
    """Passes over another list after the exposures."""
    difference: float
    """Accuracy of the first minus that of the second."""
    low: float
    """Lower end of the 95 % interval over items and runs."""
    high: float
    """Upper end of it."""
    p: float
    """Two-sided, exact; not corrected for how many comparisons are made."""
    items: int
    """Images that both were tested on."""
    runs: int
    """Runs that both have."""


def compare(first: Outcomes, second: Outcomes) -> list[Comparison]:
    """Compare two test conditions at every moment that both have, on the items and runs that both have.

    Runs are the same when list, version and seed are; two models that share none cannot be paired, and give nothing.

    Args:
        first: a test condition.
        second: another of the same condition of the list, which differs in one respect.
    """
    moments = [moment for moment in first.moments if moment in second.moments]
    runs = [run for run in first.runs if run in second.runs]
    items = [item for item in first.items if item in second.items]
    if not moments or not runs or not items:
        return []
    first = first.at(moments, runs, items)
    second = second.at(moments, runs, items)
    first, second = _where_both(first, second), _where_both(second, first)
    moments = [moment for moment, count in zip(moments, first.counts, strict=True) if count]
    first = first.at(moments)
    second = second.at(moments)
    resampled = resampled_shares(first.correct) - resampled_shares(second.correct)
    return [_at_moment(first, second, index, moment, resampled[:, index]) for index, moment in enumerate(moments)]


def compare_all(outcomes: Sequence[Outcomes]) -> list[Comparison]:
    """Compare all pairs that differ in one respect: model, readout, or whether the images were changed."""
    return [
        comparison
        for second, first in combinations(outcomes, 2)
        if _is_of_interest(first.tested, second.tested)
        for comparison in compare(first, second)
    ]


def sign_flip_p(differences: Floats) -> float:
    """Return the exact two-sided p-value of a sign-flip permutation test.

    Under the null hypothesis the two test conditions are exchangeable for each item, so the sign of each item's
    difference is a coin flip. The distribution of the sum over all 2^I flips is computed by convolution. For one run
    without ties this is the exact McNemar test (McNemar 1947, Psychometrika 12, 153-157).

    Args:
        differences: (I,) sum over runs of the difference in correctness of each item, in halves.
    """
    steps = [int(step) for step in np.rint(2 * np.abs(differences)) if step]
    reach = sum(steps)
    chances = np.zeros(2 * reach + 1)
    chances[reach] = 1.0
    for step in steps:
        chances = (np.roll(chances, step) + np.roll(chances, -step)) / 2  # nothing lies where it would wrap around
    observed = abs(int(np.rint(2 * differences.sum())))
    extreme = np.abs(np.arange(-reach, reach + 1)) >= observed
    return float(min(1.0, chances[extreme].sum()))


def difference_interval(difference: float, resampled: Floats, items: int) -> tuple[float, float]:
    """Return the interval of a difference, given the differences (B,) in resamples.

    Where these do not vary, because all items differ alike, as when neither errs, it reaches as far as there may be
    items of another kind, of which none has been seen: the upper end of the score interval of 0 out of so many.
    """
    low, high = quantile_interval(resampled)
    unseen = wilson_interval(0.0, items)[1] if low == high else 0.0
    return max(-1.0, low - unseen), min(1.0, high + unseen)


def _where_both(outcomes: Outcomes, other: Outcomes) -> Outcomes:
    return replace(outcomes, correct=np.where(np.isnan(other.correct), np.nan, outcomes.correct))


def _is_of_interest(first: TestCondition, second: TestCondition) -> bool:
    respects = _respects(first, second)
    return respects in (["model"], ["readout"]) or (respects == ["change"] and "none" in (first.change, second.change))


def _respects(first: TestCondition, second: TestCondition) -> list[str]:
    return [name for name, one, other in zip(TestCondition._fields, first, second, strict=True) if one != other]


def _at_moment(first: Outcomes, second: Outcomes, index: int, moment: Moment, resampled: Floats) -> Comparison:
    difference = float(first.shares[index] - second.shares[index])
    per_item = np.nansum(first.correct[index] - second.correct[index], axis=0)
    respect = _respects(first.tested, second.tested)[0]
    common = first.tested._replace(**{respect: ""})
    low, high = difference_interval(difference, resampled, len(first.items))
    return Comparison(
        respect=respect,
        first=getattr(first.tested, respect),
        second=getattr(second.tested, respect),
        model=common.model,
        readout=common.readout,
        change=common.change,
        condition=common.condition,
        exposure=moment.exposure,
        interference=moment.interference,
        difference=difference,
        low=low,
        high=high,
        p=sign_flip_p(per_item),
        items=len(first.items),
        runs=len(first.runs),
    )
