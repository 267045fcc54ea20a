"""Two ways of testing compared on the same items of the same runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from experiments.statistics.bootstrap import quantile_interval, resampled_shares, wilson_interval
from experiments.statistics.outcomes import Floats, Moment, Outcomes, Way


@dataclass(frozen=True)
class Comparison:
    """The difference between two accuracies, `first` minus `second`."""

    respect: str
    """In which the two differ: model, learner or change."""
    first: str
    second: str
    """The two models, learners or changes."""
    model: str
    learner: str
    change: str
    """What the two have in common; empty for the respect in which they differ."""
    condition: str
    exposure: int
    interference: int
    difference: float
    low: float
    high: float
    """95 % interval over items and runs."""
    p: float
    """Two-sided, exact; not corrected for how many comparisons are made."""
    items: int
    runs: int


def compare(first: Outcomes, second: Outcomes) -> list[Comparison]:
    """Compare two ways of testing at every moment that both have, on the items and runs that both have.

    Runs are the same when list, version and seed are; two models that share none cannot be paired, and give nothing.

    Args:
        first: a way of testing.
        second: another in the same condition, which differs in one respect.
    """
    moments = [moment for moment in first.moments if moment in second.moments]
    runs = [run for run in first.runs if run in second.runs]
    items = [item for item in first.items if item in second.items]
    if not moments or not runs or not items:
        return []
    first, second = first.at(moments, runs, items), second.at(moments, runs, items)
    first, second = _where_both(first, second), _where_both(second, first)
    moments = [moment for moment, count in zip(moments, first.counts, strict=True) if count]
    first, second = first.at(moments), second.at(moments)
    resampled = resampled_shares(first.correct) - resampled_shares(second.correct)
    return [_at_moment(first, second, place, moment, resampled[:, place]) for place, moment in enumerate(moments)]


def compare_all(outcomes: Sequence[Outcomes]) -> list[Comparison]:
    """Compare all pairs that differ in one respect: model, learner, or whether the images were changed."""
    return [
        comparison
        for second, first in combinations(outcomes, 2)
        if _is_of_interest(first.way, second.way)
        for comparison in compare(first, second)
    ]


def sign_flip_p(differences: Floats) -> float:
    """Return the exact two-sided p-value of a sign-flip permutation test.

    Under the null hypothesis the two ways of testing are exchangeable for each item, so the sign of each item's
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


def _is_of_interest(first: Way, second: Way) -> bool:
    respects = _respects(first, second)
    return respects in (["model"], ["learner"]) or (respects == ["change"] and "none" in (first.change, second.change))


def _respects(first: Way, second: Way) -> list[str]:
    return [name for name, one, other in zip(Way._fields, first, second, strict=True) if one != other]


def _at_moment(first: Outcomes, second: Outcomes, place: int, moment: Moment, resampled: Floats) -> Comparison:
    difference = float(first.shares[place] - second.shares[place])
    per_item = np.nansum(first.correct[place] - second.correct[place], axis=0)
    respect = _respects(first.way, second.way)[0]
    common = first.way._replace(**{respect: ""})
    return Comparison(
        respect, getattr(first.way, respect), getattr(second.way, respect), common.model, common.learner, common.change,
        common.condition, moment.exposure, moment.interference, difference,
        *difference_interval(difference, resampled, len(first.items)), sign_flip_p(per_item),
        len(first.items), len(first.runs),
    )  # fmt: skip
