"""The psychometric function of recognition: accuracy against exposures, as one smooth curve.

    p(k) = 1/2 + (1/2 - lapse) (1 - exp(-(k / scale)^slope))

Weibull's function for two alternatives with a lapse rate, after Wichmann and Hill (2001, Perception & Psychophysics 63,
1293-1313, equation 1). At k = 0 it is at chance, at k = scale it has gone 63 % of the way to 1 - lapse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from experiments.statistics.outcomes import Floats

LARGEST_LAPSE = 0.45
"""Wichmann and Hill confine the lapse rate of people to 0.06; a learner may level off anywhere above chance."""
LARGEST_EXPONENT = 50.0
"""Of (k / scale)^slope, so that it does not overflow."""
TINY = 1e-9


@dataclass(frozen=True)
class Psychometric:
    """A psychometric function of exposures."""

    scale: float
    """Exposures at which 63 % of what is learned has been learned."""
    slope: float
    """Dimensionless; the larger, the more sudden."""
    lapse: float
    """Share of errors that stay however often the list is studied, 0 to 0.45."""

    def __call__(self, exposures: float) -> float:
        """Return the accuracy after so many exposures."""
        risen = -math.expm1(-((exposures / self.scale) ** self.slope))
        return 0.5 + (0.5 - self.lapse) * risen

    def exposures_at(self, accuracy: float) -> float:
        """Return after how many exposures an accuracy is reached: 0 for one half and less, infinity for never."""
        risen = max(0.0, (accuracy - 0.5) / (0.5 - self.lapse))
        return self.scale * (-math.log1p(-risen)) ** (1 / self.slope) if risen < 1 else math.inf


def fit_psychometric(
    exposures: Sequence[float], shares: Sequence[float], counts: Sequence[float], start: Psychometric | None = None
) -> Psychometric:
    """Return the function of greatest likelihood, each accuracy being a share of independent trials.

    Args:
        exposures: each at least 0; 0 says nothing, because the function is at chance there.
        shares: of correct trials after each.
        counts: trials after each.
        start: where the search begins; without one it begins at three scales, and the best end is taken.

    Raises:
        ValueError: there is no exposure above 0.
    """
    studied = np.array([exposure > 0 for exposure in exposures])
    if not studied.any():
        raise ValueError("a psychometric function needs trials after at least one exposure")
    log_exposures = np.log(np.asarray(exposures, float)[studied])
    weights = np.asarray(counts, float)[studied]
    right = np.asarray(shares, float)[studied]
    largest = float(log_exposures.max())
    starts = [(share * largest, math.log(2), 0.02) for share in (0.3, 0.6, 0.9)]
    if start is not None:
        starts = [(math.log(start.scale), math.log(start.slope), start.lapse)]
    bounds = [(-5.0, largest + 5.0), (math.log(0.2), math.log(20)), (0.0, LARGEST_LAPSE)]
    fits = [
        minimize(_loss, begin, (log_exposures, right, weights / weights.sum()), "L-BFGS-B", jac=True, bounds=bounds)
        for begin in starts
    ]
    scale, slope, lapse = min(fits, key=lambda fit: float(fit.fun)).x
    return Psychometric(math.exp(scale), math.exp(slope), float(lapse))


def _loss(parameters: Floats, log_exposures: Floats, right: Floats, weights: Floats) -> tuple[float, Floats]:
    """Return the mean negative log likelihood of a trial and its gradient (3,) by log scale, log slope and lapse."""
    log_scale, log_slope, lapse = parameters
    slope = math.exp(log_slope)
    distance = log_exposures - log_scale
    power = np.exp(np.minimum(slope * distance, math.log(LARGEST_EXPONENT)))
    left = np.exp(-power)
    p = np.clip(0.5 + (0.5 - lapse) * (1 - left), TINY, 1 - TINY)
    loss = -float(weights @ (right * np.log(p) + (1 - right) * np.log1p(-p)))
    by_p = weights * ((1 - right) / (1 - p) - right / p)
    by_power = by_p * (0.5 - lapse) * left * power * slope
    return loss, np.array([-by_power.sum(), by_power @ distance, -(by_p @ (1 - left))])
