"""How many exposures a learner needs to recognise as well as people do after one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from experiments.human import human_results
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
    """Name of the model where several are compared."""
    readout: str
    """What decided: `weights`, `weights+store` or `familiarity`."""
    condition: str
    """Test condition of the list: how the foil differs from what was studied."""
    people: float
    """Accuracy of people, taken as exact."""
    exposures: int
    """Exposures that were made; no measure goes beyond them."""
    first: int | None
    """First exposure whose accuracy, of all runs together, is at or above that of people."""
    fitted: float | None
    """Where the psychometric function fitted to all exposures crosses it, not before the first that was tested."""
    low: float | None
    """Lower end of the 95 % interval of `fitted` over items and runs; None: beyond the exposures that were made."""
    high: float | None
    """Upper end of it."""
    scale: float
    """Scale of the psychometric function (`experiments.statistics.psychometric`)."""
    slope: float
    """Its slope."""
    lapse: float
    """Its lapse rate: how far its upper end stays below 1."""


def first_exposure_at_or_above(curve: Iterable[tuple[int, float]], people: float) -> int | None:
    """Return the first exposure whose accuracy reaches that of people, or None.

    Args:
        curve: exposures and accuracies.
        people: the accuracy to reach.
    """
    return min((exposure for exposure, accuracy in curve if accuracy >= people - ROUNDING), default=None)


def thresholds(outcomes: Iterable[Outcomes]) -> list[Threshold]:
    """Return the exposures to the human level wherever there is one, for images that were not changed."""
    people = human_results()
    return [
        _threshold(of_condition, people[of_condition.tested.condition].accuracy)
        for of_condition in outcomes
        if of_condition.tested.change == "none"
        and of_condition.tested.condition in people
        and any(moment.exposure for moment in of_condition.moments)
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
    tested = outcomes.tested
    return Threshold(
        model=tested.model,
        readout=tested.readout,
        condition=tested.condition,
        people=people,
        exposures=max(exposures),
        first=first,
        fitted=_within(reached[0]),
        low=_within(low),
        high=_within(high),
        scale=fit.scale,
        slope=fit.slope,
        lapse=fit.lapse,
    )


def _within(crossing: float) -> float | None:
    return crossing if math.isfinite(crossing) else None


def _crossing(fit: Psychometric, people: float, exposures: list[int]) -> float:
    """Return where a function reaches people, within what was tested: a curve that is up at the first exposure does not
    say where before it rose.
    """
    crossing = max(fit.exposures_at(people), min(exposure for exposure in exposures if exposure))
    return crossing if crossing <= max(exposures) else math.inf
