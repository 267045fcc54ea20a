"""Intervals and tests for means over images and runs.

Which images were drawn and which runs were made are both chance, and they are crossed: the same images are judged in
several runs. The mean over all trials varies with the images, as seen in their means over runs, and with the runs, as
seen in their means over images. The chance of single trials is in both and so counted twice, which makes intervals
too wide rather than, now and then, too narrow. Runs never agree more closely than that chance allows: where they seem
to, its variance takes the place of theirs. A run is a seed on a list: the two versions of a list share initial weights
and order under a seed, and count as one. What one may say depends on the number of runs:

    one            nothing about other runs: there are intervals over images alone, and no others
    two, three     the squared half-widths of both parts add up (Graybill and Wang 1980, Journal of the American
                   Statistical Association 75, 869-873), that of the runs with Student's t of one or two degrees of
                   freedom, 12.7 or 4.3: two runs hardly tell how runs differ
    four or more   Student's t, with degrees of freedom by Satterthwaite (1946, Biometrics Bulletin 2, 110-114), which
                   would be too narrow for comparisons of three runs

To the images two are added that nobody has seen, one with the least and one with the greatest possible value. They do
for images what the added successes and failures of Agresti and Coull (1998, The American Statistician 52, 119-126) do
for trials: an interval has width where all trials are correct, and is no narrower when something rare is seen.
`benchmarks/coverage_of_runs.py` simulates how often the intervals hold the truth.

Axes: M moments, R runs (of a version under a seed), I images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from experiments.statistics.outcomes import Floats

LEVEL = 0.05
"""Of all intervals, whose nominal coverage is 95 %."""
FEW = 2
"""Degrees of freedom of runs up to which Satterthwaite's interval would be too narrow."""
SMALLEST_P = 1e-12
"""Smaller p-values are not told apart."""
HALVINGS = 50
"""Steps of the search for a p-value, after which its logarithm is known to 1e-13."""

HalfWidths = Callable[[Floats], Floats]


@dataclass(frozen=True)
class CrossedMean:
    """Means over the trials of crossed images and runs at M moments, and how far they may be off."""

    means: Floats
    """(M,) of all trials."""
    centres: Floats
    """(M,) with the two added images: the middle of the intervals before these are cut at the possible values."""
    image_variances: Floats
    """(M,) squared standard errors, for other images and the same runs."""
    image_freedom: Floats
    """(M,) their degrees of freedom."""
    run_variances: Floats
    """(M,) squared standard errors, for other runs and the same images; NaN for one run."""
    run_freedom: Floats
    """(M,) their degrees of freedom: the runs less one."""
    least: float
    """The least possible value of a trial."""
    greatest: float
    """The greatest possible value of a trial."""

    def over_images(self) -> tuple[Floats, Floats]:
        """Return both ends (M,) of the 95 % intervals for other images and the same runs."""
        return self._ends(self._over_images)

    def over_images_and_runs(self) -> tuple[Floats, Floats]:
        """Return both ends (M,) of the 95 % intervals for other images and other runs; NaN for one run."""
        return self._ends(self._over_images_and_runs)

    def over_runs(self) -> tuple[Floats, Floats]:
        """Return both ends (M,) of the 95 % intervals for other runs and the same images; NaN for one run."""
        return self._ends(self._over_runs)

    def p_over_images(self, value: float, error: float = 0.0) -> Floats:
        """Return two-sided p-values (M,) of the means being `value`, for other images and the same runs.

        Args:
            value: that the means are compared with.
            error: standard error of that value, normally distributed; 0 takes it as exact.
        """
        return self._p(self._over_images, value, error)

    def p_over_images_and_runs(self, value: float, error: float = 0.0) -> Floats:
        """Return two-sided p-values (M,), for other images and other runs; NaN for one run.

        Args:
            value: that the means are compared with.
            error: standard error of that value, normally distributed; 0 takes it as exact.
        """
        return self._p(self._over_images_and_runs, value, error)

    def _over_images(self, level: Floats) -> Floats:
        return _student(level, self.image_freedom) * np.sqrt(self.image_variances)

    def _over_images_and_runs(self, level: Floats) -> Floats:
        of_images = self._over_images(level)
        of_runs = self._over_runs(level)
        variances = self.image_variances + self.run_variances
        with np.errstate(divide="ignore", invalid="ignore"):
            freedom = variances**2 / (
                self.image_variances**2 / self.image_freedom + self.run_variances**2 / self.run_freedom
            )
        of_both = np.maximum(of_images, _student(level, freedom) * np.sqrt(variances))  # freedoms add up, too
        return np.where(self.run_freedom <= FEW, np.hypot(of_images, of_runs), of_both)

    def _over_runs(self, level: Floats) -> Floats:
        return _student(level, self.run_freedom) * np.sqrt(self.run_variances)

    def _ends(self, half_widths: HalfWidths) -> tuple[Floats, Floats]:
        half = half_widths(np.full(len(self.means), LEVEL))
        low = np.minimum(self.means, np.maximum(self.least, self.centres - half))
        high = np.maximum(self.means, np.minimum(self.greatest, self.centres + half))
        return low, high

    def _p(self, half_widths: HalfWidths, value: float, error: float) -> Floats:
        """Return the level at which an interval would just reach the value."""
        distance = np.abs(self.centres - value)
        below = np.full(len(self.means), np.log(SMALLEST_P))
        above = np.zeros(len(self.means))
        for _ in range(HALVINGS):
            middle = (below + above) / 2
            level = np.exp(middle)
            reaches = np.hypot(half_widths(level), error * -ndtri(level / 2)) >= distance
            below = np.where(reaches, middle, below)
            above = np.where(reaches, above, middle)
        p = np.where(distance > 0, np.exp(above), 1.0)
        unknown = np.isnan(distance + half_widths(np.full(len(self.means), LEVEL)))
        return np.where(unknown, np.nan, p)


def crossed_mean(values: Floats, least: float, greatest: float, units: NDArray[np.int64] | None = None) -> CrossedMean:
    """Return the means over all trials, with what is needed for intervals.

    Not every image need be judged in every run: lists differ in their images. Variances are then those of the ratio of
    two sums, of the values and of the numbers of trials, linearised (Cochran 1977, Sampling Techniques, chapter 6).

    Args:
        values: (M, R, I) by moment, run and image, each in [least, greatest]; NaN where there was no trial. Every
            moment has a trial.
        least: the least possible value.
        greatest: the greatest possible value.
        units: (R,) which runs belong together and count as one; each is one of its own if not given.
    """
    judged = np.isfinite(values)
    known = np.where(judged, values, 0.0)
    trials = judged.sum(axis=(1, 2))
    sums = known.sum(axis=(1, 2))
    images = judged.any(axis=1).sum(axis=1)
    together = _membership(np.arange(values.shape[1]) if units is None else units)
    runs = (judged.any(axis=2) @ together > 0).sum(axis=1)
    weight = trials / images  # of an added image, the trials of an image on average
    total = trials + 2 * weight
    centres = (sums + weight * (least + greatest)) / total
    of_images = known.sum(axis=1) - centres[:, None] * judged.sum(axis=1)
    added = weight[:, None] * (np.array([least, greatest]) - centres[:, None])
    image_squares = (of_images**2).sum(axis=1) + (added**2).sum(axis=1)
    means = sums / trials
    of_runs = (known.sum(axis=2) - means[:, None] * judged.sum(axis=2)) @ together
    of_trials = np.where(judged, values - means[:, None, None], 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        run_variances = runs / (runs - 1) * (of_runs**2).sum(axis=1) / trials**2
    run_variances = np.maximum(run_variances, (of_trials**2).sum(axis=(1, 2)) / trials**2)
    return CrossedMean(
        means=means,
        centres=centres,
        image_variances=(images + 2) / (images + 1) * image_squares / total**2,
        image_freedom=images + 1.0,
        run_variances=np.where(runs > 1, run_variances, np.nan),
        run_freedom=runs - 1.0,
        least=least,
        greatest=greatest,
    )


def _membership(units: NDArray[np.int64]) -> Floats:
    """Return (R, U) with 1 where a run belongs to a unit."""
    return (units[:, None] == np.unique(units)).astype(np.float64)


def _student(level: Floats, freedom: Floats) -> Floats:
    """Return how many standard errors a two-sided interval of a level in (0, 1] reaches; NaN without freedom."""
    with np.errstate(invalid="ignore"):
        return -stdtrit(np.where(freedom > 0, freedom, np.nan), level / 2)
