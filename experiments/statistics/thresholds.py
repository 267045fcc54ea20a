"""How many exposures a learner needs to recognise as well as people do after one.

The interval is found by turning those of accuracies around (as Fieller did for ratios; 1954, Journal of the Royal
Statistical Society B 16, 175-185): it holds the exposures at which the level of people lies inside the interval of the
accuracy, straight lines being drawn between the exposures that were tested. A resampled curve may never reach people,
and has then no crossing to take quantiles of; an interval of accuracies is always there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.human import HumanResult, Landmarks, landmarks
from experiments.statistics.intervals import crossed_mean
from experiments.statistics.outcomes import Floats, Outcomes
from experiments.statistics.psychometric import Psychometric, fit_psychometric
from experiments.statistics.trials import Moment

ROUNDING = 1e-9


@dataclass(frozen=True)
class Threshold:
    """Exposures to the human level in one condition, by two measures; None where it is not reached."""

    model: str
    """Name of the model where several are compared."""
    readout: str
    """What decided: `weights`, `weights+store` or `familiarity`."""
    condition: str
    """Test condition of the list: how the foil differs from what was studied."""
    people: float
    """Accuracy of people: where there is no interval of it, taken as exact."""
    exposures: int
    """Exposures that were made; no measure goes beyond them."""
    first: int | None
    """First exposure whose accuracy, of all runs together, is at or above that of people."""
    fitted: float | None
    """Where the psychometric function fitted to all exposures crosses it, not before the first that was tested."""
    runs: int
    """Seeds on lists that the trials come from; with one, nothing is known about how runs differ."""
    low: float | None
    """Lower end of the 95 % interval of `fitted` for other images and other runs; empty for one run, or beyond the
    exposures that were made."""
    high: float | None
    """Upper end of it; empty for one run, or beyond the exposures that were made."""
    low_images: float | None
    """Lower end of the 95 % interval for other images, judged by the same runs; empty beyond the exposures."""
    high_images: float | None
    """Upper end of it; empty beyond the exposures that were made."""
    scale: float
    """Scale of the psychometric function (`experiments.statistics.psychometric`)."""
    slope: float
    """Its slope."""
    lapse: float
    """Its lapse rate: how far its upper end stays below 1."""
    people_low: float | None = None
    """Lower end of the 95 % interval of `people`, which those of `fitted` then allow for; empty of published ones."""
    people_high: float | None = None
    """Upper end of it."""


def first_exposure_at_or_above(curve: Iterable[tuple[int, float]], people: float) -> int | None:
    """Return the first exposure whose accuracy reaches that of people, or None.

    Args:
        curve: exposures and accuracies.
        people: the accuracy to reach.
    """
    return min((exposure for exposure, accuracy in curve if accuracy >= people - ROUNDING), default=None)


def thresholds(outcomes: Sequence[Outcomes], people: Landmarks | None = None) -> list[Threshold]:
    """Return the exposures to the human level wherever there is one, for images that were not changed.

    Args:
        outcomes: of all test conditions.
        people: measured, by condition; the published ones if not given.
    """
    people = landmarks((of_condition.tested.condition for of_condition in outcomes), people)
    return [
        _threshold(of_condition, people[of_condition.tested.condition])
        for of_condition in outcomes
        if of_condition.tested.change == "none"
        and of_condition.tested.condition in people
        and any(moment.exposure for moment in _studied_moments(of_condition))
    ]


def _threshold(outcomes: Outcomes, human: HumanResult) -> Threshold:
    people = human.accuracy
    levels = (people if human.low is None else human.low, people if human.high is None else human.high)
    outcomes = outcomes.at(_studied_moments(outcomes))
    exposures = [moment.exposure for moment in outcomes.moments]
    fit = fit_psychometric(exposures, list(outcomes.shares), list(outcomes.counts))
    fitted = _crossing(fit, people, exposures)
    mean = crossed_mean(outcomes.correct, 0.0, 1.0, outcomes.units)
    low, high = _interval(exposures, mean.over_images_and_runs(), levels, fitted)
    low_images, high_images = _interval(exposures, mean.over_images(), levels, fitted)
    first = first_exposure_at_or_above(zip(exposures, outcomes.shares, strict=True), people)
    tested = outcomes.tested
    return Threshold(
        model=tested.model,
        readout=tested.readout,
        condition=tested.condition,
        people=people,
        exposures=max(exposures),
        first=first,
        fitted=_within(fitted),
        runs=len(set(outcomes.units.tolist())),
        low=_within(low),
        high=_within(high),
        low_images=_within(low_images),
        high_images=_within(high_images),
        scale=fit.scale,
        slope=fit.slope,
        lapse=fit.lapse,
        people_low=human.low,
        people_high=human.high,
    )


def _studied_moments(outcomes: Outcomes) -> list[Moment]:
    """Return the moments before any interference, at which all runs were tested."""
    return [moment for moment in outcomes.common_moments() if not moment.interference]


def _interval(
    exposures: Sequence[int], ends: tuple[Floats, Floats], levels: tuple[float, float], fitted: float
) -> tuple[float, float]:
    """Return the first exposure at which the upper ends (M,) reach people, and the last at which the lower ones do not.

    People's level lies between `levels`: the first is where the lower may be reached, the last where the higher may not
    be. Both are at least the first exposure that was tested, infinite beyond the last, and surround what was fitted.
    """
    lower, upper = ends
    if not np.isfinite(lower).all():
        return math.nan, math.nan
    first = min(exposure for exposure in exposures if exposure)
    early = max(first, _reached(exposures, upper, levels[0], last=False))
    late = max(first, _reached(exposures, lower, levels[1], last=True))
    return min(early, fitted), max(late, fitted)


def _reached(exposures: Sequence[int], curve: Floats, level: float, last: bool) -> float:
    """Return where straight lines between points first reach a level, or reach it for good; infinity for never."""
    below = np.flatnonzero(curve < level - ROUNDING)
    above = np.flatnonzero(curve >= level - ROUNDING)
    if not len(above) or (last and len(below) and below[-1] == len(curve) - 1):
        return math.inf
    index = (int(below[-1]) + 1 if len(below) else 0) if last else int(above[0])
    if index == 0:
        return float(exposures[0])
    share = (level - curve[index - 1]) / (curve[index] - curve[index - 1])
    return float(exposures[index - 1] + min(1.0, share) * (exposures[index] - exposures[index - 1]))


def _within(crossing: float) -> float | None:
    return crossing if math.isfinite(crossing) else None


def _crossing(fit: Psychometric, people: float, exposures: list[int]) -> float:
    """Return where a function reaches people, within what was tested: a curve that is up at the first exposure does not
    say where before it rose.
    """
    crossing = max(fit.exposures_at(people), min(exposure for exposure in exposures if exposure))
    return crossing if crossing <= max(exposures) else math.inf
