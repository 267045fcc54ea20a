"""Two test conditions compared on the same images of the same runs.

A comparison over images alone says what other images would give with these very runs; one over images and runs what
other runs would give as well, and there is none for a single run. Families of comparisons are corrected by Holm's
method: those of one respect at one moment, whatever models, readouts, changes and test conditions they are between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.statistics.intervals import crossed_mean
from experiments.statistics.multiplicity import holm
from experiments.statistics.outcomes import Floats, Outcomes, known
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
    low: float | None
    """Lower end of the 95 % interval for other images and other runs; empty for one run."""
    high: float | None
    """Upper end of it."""
    p: float | None
    """Two-sided, for other images and other runs: the level at which that interval would just reach 0; empty for one
    run."""
    low_images: float
    """Lower end of the 95 % interval for other images, judged by the same runs."""
    high_images: float
    """Upper end of it."""
    p_images: float
    """Two-sided, for other images and the same runs: exact sign-flip test (of one run McNemar's)."""
    images: int
    """Images that both were tested on."""
    runs: int
    """Seeds on lists that both have; both versions of a list under a seed count as one."""
    left_out: int
    """Trials of either that the other does not have."""
    p_holm: float | None = None
    """`p` corrected for all comparisons in the same respect at the same moment (Holm 1979)."""
    p_images_holm: float | None = None
    """`p_images` corrected likewise."""


def compare(first: Outcomes, second: Outcomes) -> list[Comparison]:
    """Compare two test conditions at every moment that both have, on the images and runs that both have.

    Runs are the same when list, version and seed are; two models that share none cannot be paired, and give nothing.

    Args:
        first: a test condition.
        second: another of the same condition of the list, which differs in one respect.
    """
    both = _common(first, second)
    if both is None:
        return []
    differences, common = both
    pair = _Pair(first.tested, second.tested, _respects(first.tested, second.tested)[0], common.units)
    tested = first.at(common.moments).counts + second.at(common.moments).counts
    left_out = tested - 2 * np.isfinite(differences).sum(axis=(1, 2))
    numbers = _numbers(differences, common.units)
    return [
        _at_moment(pair, moment, differences[index], numbers[index], int(left_out[index]))
        for index, moment in enumerate(common.moments)
    ]


def compare_all(outcomes: Sequence[Outcomes]) -> list[Comparison]:
    """Compare all pairs that differ in one respect: model, readout, or whether the images were changed.

    p-values are corrected for the other comparisons in that respect at that moment.
    """
    found = [
        comparison
        for second, first in combinations(outcomes, 2)
        if _is_of_interest(first.tested, second.tested)
        for comparison in compare(first, second)
    ]
    return corrected(found)


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons, in their order, with p-values corrected within families (see above)."""
    families: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for index, line in enumerate(comparisons):
        families[line.respect, line.exposure, line.interference].append(index)
    results = list(comparisons)
    for family in families.values():
        over_images = holm([comparisons[index].p_images for index in family])
        over_runs = {index: p for index in family if (p := comparisons[index].p) is not None}
        adjusted = dict(zip(over_runs, holm(list(over_runs.values())), strict=True))
        for index, p_images in zip(family, over_images, strict=True):
            results[index] = replace(comparisons[index], p_holm=adjusted.get(index), p_images_holm=p_images)
    return results


def incomparable(outcomes: Sequence[Outcomes]) -> list[tuple[Outcomes, Outcomes]]:
    """Return the pairs of models that share no trial in the same test condition, and so cannot be compared."""
    return [
        (first, second)
        for second, first in combinations(outcomes, 2)
        if _respects(first.tested, second.tested) == ["model"] and _common(first, second) is None
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


class _Numbers(NamedTuple):
    """The difference at a moment with its intervals; NaN over runs where there is one."""

    difference: float
    low: float
    high: float
    p: float
    low_images: float
    high_images: float


class _Pair(NamedTuple):
    """What is compared."""

    first: TestCondition
    second: TestCondition
    respect: str
    units: NDArray[np.int64]
    """(R,) as in `Outcomes`."""


def _common(first: Outcomes, second: Outcomes) -> tuple[Floats, Outcomes] | None:
    """Return the differences (M, R, I), and the outcomes of the first, where both have trials; None for nowhere."""
    moments = [moment for moment in first.moments if moment in second.moments]
    runs = [run for run in first.runs if run in second.runs]
    items = [item for item in first.items if item in second.items]
    if not moments or not runs or not items:
        return None
    first = first.at(moments, runs, items)
    differences = first.correct - second.at(moments, runs, items).correct
    kept = np.flatnonzero(np.isfinite(differences).any(axis=(1, 2)))
    return (differences[kept], first.at([moments[index] for index in kept])) if len(kept) else None


def _is_of_interest(first: TestCondition, second: TestCondition) -> bool:
    respects = _respects(first, second)
    return respects in (["model"], ["readout"]) or (respects == ["change"] and "none" in (first.change, second.change))


def _respects(first: TestCondition, second: TestCondition) -> list[str]:
    return [name for name, one, other in zip(TestCondition._fields, first, second, strict=True) if one != other]


def _numbers(differences: Floats, units: NDArray[np.int64]) -> list[_Numbers]:
    """Return what is computed of differences (M, R, I) at each moment; `units` (R,) as in `Outcomes`."""
    mean = crossed_mean(differences, -1.0, 1.0, units)
    p = mean.p_over_images_and_runs(0.0)
    columns = (mean.means, *mean.over_images_and_runs(), p, *mean.over_images())
    return [_Numbers(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _at_moment(pair: _Pair, moment: Moment, differences: Floats, numbers: _Numbers, left_out: int) -> Comparison:
    """Return the comparison of a moment, of differences (R, I) by run and image, NaN where one lacks the trial."""
    common = pair.first._replace(**{pair.respect: ""})
    judged = np.isfinite(differences)
    return Comparison(
        respect=pair.respect,
        first=getattr(pair.first, pair.respect),
        second=getattr(pair.second, pair.respect),
        model=common.model,
        readout=common.readout,
        change=common.change,
        condition=common.condition,
        exposure=moment.exposure,
        interference=moment.interference,
        difference=numbers.difference,
        low=known(numbers.low),
        high=known(numbers.high),
        p=known(numbers.p),
        low_images=numbers.low_images,
        high_images=numbers.high_images,
        p_images=sign_flip_p(np.nansum(differences, axis=0)),
        images=int(judged.any(axis=0).sum()),
        runs=len(set(pair.units[judged.any(axis=1)].tolist())),
        left_out=left_out,
    )
