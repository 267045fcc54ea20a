"""How many exposures a learner needs to recognise as well as people do after one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from experiments.human import human_figures
from experiments.statistics.bootstrap import quantile_interval, resampled_shares
from experiments.statistics.outcomes import Outcomes
from experiments.statistics.psychometric import Psychometric, fit_psychometric

FITS = 200
"""Resamples to which a psychometric function is fitted."""
ROUNDING = 1e-9


@dataclass(frozen=True)
class Threshold:
    """Exposures to the human level in one condition, by two measures; None where it is not reached."""

    model: str
    learner: str
    condition: str
    people: float
    """Accuracy of people, taken as exact."""
    exposures: int
    """Exposures that were made; no measure goes beyond them."""
    first: int | None
    """First exposure whose accuracy, of all runs together, is at or above that of people."""
    fitted: float | None
    """Where the psychometric function fitted to all exposures crosses it, not before the first that was tested."""
    low: float | None
    high: float | None
    """95 % interval of the latter over items and runs; None: beyond the exposures that were made."""
    scale: float
    slope: float
    lapse: float
    """Of the psychometric function, see `experiments.statistics.psychometric`."""


def first_exposure_at_or_above(curve: Iterable[tuple[int, float]], people: float) -> int | None:
    """Return the first exposure whose accuracy reaches that of people, or None.

    Args:
        curve: exposures and accuracies.
        people: the accuracy to reach.
    """
    return min((exposure for exposure, accuracy in curve if accuracy >= people - ROUNDING), default=None)


def thresholds(outcomes: Iterable[Outcomes]) -> list[Threshold]:
    """Return the exposures to the human level wherever there is one, for images that were not changed."""
    people = human_figures()
    return [
        _threshold(of_way, people[of_way.way.condition].accuracy)
        for of_way in outcomes
        if of_way.way.change == "none"
        and of_way.way.condition in people
        and any(moment.exposure for moment in of_way.moments)
    ]


def _threshold(outcomes: Outcomes, people: float) -> Threshold:
    outcomes = outcomes.at([moment for moment in outcomes.moments if not moment.interference])
    exposures = [moment.exposure for moment in outcomes.moments]
    fit = fit_psychometric(exposures, list(outcomes.shares), list(outcomes.counts))
    reached = [_crossing(fit, people, exposures)]
    for shares in resampled_shares(outcomes.correct, FITS):
        reached.append(_crossing(fit_psychometric(exposures, shares, list(outcomes.counts), fit), people, exposures))
    low, high = quantile_interval(np.array(reached[1:]))
    first = first_exposure_at_or_above(zip(exposures, outcomes.shares, strict=True), people)
    way = outcomes.way
    return Threshold(
        way.model, way.learner, way.condition, people, max(exposures), first,
        _within(reached[0]), _within(low), _within(high),
        fit.scale, fit.slope, fit.lapse,
    )  # fmt: skip


def _within(crossing: float) -> float | None:
    return crossing if math.isfinite(crossing) else None


def _crossing(fit: Psychometric, people: float, exposures: list[int]) -> float:
    """Return where a function reaches people, within what was tested: a curve that is up at the first exposure does not
    say where before it rose.
    """
    crossing = max(fit.exposures_at(people), min(exposure for exposure in exposures if exposure))
    return crossing if crossing <= max(exposures) else math.inf
