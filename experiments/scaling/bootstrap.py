"""The fit of a law, and how far it may be off: fits to runs that are drawn anew.

Groups of points that one training gave are drawn, with replacement, not single points: those of a trunk share its
chance. Intervals are expanded percentiles (Hesterberg 2015, The American Statistician 69, 371-386): percentiles at the
level that makes a normal interval of known width one of Student's t, with as many degrees of freedom as there are
groups beyond the parameters. Plain percentiles of few runs tend to be too narrow (ibid.);
`benchmarks/coverage_of_scaling.py` simulates both.

Axes: W draws, n points, P parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from experiments.scaling.fitting import Fits, Points, Say, make_points, minimise
from experiments.scaling.laws import Floats, Law
from experiments.scaling.selecting import Runs
from experiments.scaling.starts import grid_starts, projected_starts

LEVEL = 0.05
"""Of all intervals, whose nominal coverage is 95 %."""
PROJECTED = 8
"""Starts by variable projection beside the grid."""
PROJECTED_OF_DRAW = 2
"""The same of each draw, beside the law of all runs."""
SAME = 1e-6
"""Objectives within this share of the lowest, or as near as `ROUNDING`, are the same minimum."""
ROUNDING = 1e-14


@dataclass(frozen=True)
class FittedLaw:
    """A law and how the search for it went."""

    points: Points
    vector: Floats
    """(P,)."""
    objective: float
    """Sum of the Huber loss of log residuals."""
    starts: int
    """Starts of the grid."""
    converged: float
    """Share of them that ended where no step leads down."""
    reached: float
    """Share of them that ended in the lowest minimum."""
    next_objective: float | None
    """The next minimum above it, None if there was no other."""
    projected: bool
    """Whether starts by variable projection, too, ended in the lowest minimum."""

    @property
    def law(self) -> Law:
        """The law."""
        return self.points.law(self.vector)


def fit_law(runs: Runs, repeats: bool, grid: bool = True, say: Say = lambda done: None) -> FittedLaw:
    """Return the law of runs.

    Args:
        runs: to be fitted.
        repeats: let repeated items be worth less than new ones.
        grid: begin from the full grid too, not from variable projection alone.
        say: is told how many starts of the grid have ended.
    """
    points = make_points(runs.parameters, runs.data, runs.unique, runs.loss, repeats)
    projected = minimise(points, projected_starts(points, np.ones((1, len(runs.loss))), PROJECTED)[0])
    ends = minimise(points, grid_starts(points), say=say) if grid else projected
    lower = min((ends, projected), key=lambda fits: fits.objectives[fits.best])
    lowest = float(lower.objectives[lower.best])
    return FittedLaw(
        points=points,
        vector=lower.vectors[lower.best],
        objective=lowest,
        starts=len(ends.objectives),
        converged=float(ends.converged.mean()),
        reached=float(_same(ends, lowest).mean()),
        next_objective=_next(ends, lowest),
        projected=bool(_same(projected, lowest).any()),
    )


def draw_counts(runs: Runs, draws: int, generator: np.random.Generator) -> Floats:
    """Return how often each run is in each draw (W, n): all points of a group as often as the group."""
    groups = int(runs.sources.max()) + 1
    drawn = generator.integers(0, groups, (draws, groups))
    counts = np.stack([np.bincount(of_draw, minlength=groups) for of_draw in drawn])
    return counts[:, runs.sources].astype(np.float64)


def fit_draws(fitted: FittedLaw, counts: Floats, say: Say = lambda done: None) -> Floats:
    """Return the vectors (W, P) of laws fitted to draws (W, n), each from the law of all runs and by projection.

    Args:
        fitted: the law of all runs.
        counts: how often each run is in each draw.
        say: is told how many draws are fitted.
    """
    draws = len(counts)
    own = np.broadcast_to(fitted.vector, (draws, 1, len(fitted.vector)))
    starts = np.concatenate([own, projected_starts(fitted.points, counts, PROJECTED_OF_DRAW)], axis=1)
    each = starts.shape[1]
    weights = np.repeat(counts, each, axis=0)
    ends = minimise(fitted.points, starts.reshape(draws * each, -1), weights, say=lambda ended: say(ended // each))
    best = ends.objectives.reshape(draws, each).argmin(axis=1)
    return ends.vectors.reshape(draws, each, -1)[np.arange(draws), best]


def interval(values: Floats, groups: int, parameters: int) -> tuple[float, float] | None:
    """Return the 95 % interval of a number, None where there are no more groups than parameters.

    Args:
        values: (W,) of the draws; infinite and NaN ones lie beyond both ends.
        groups: that were drawn from.
        parameters: that were fitted.
    """
    freedom = groups - parameters
    if freedom < 1:
        return None
    level = float(ndtr(stdtrit(freedom, LEVEL / 2) * math.sqrt(groups / freedom)))
    low = np.quantile(np.where(np.isnan(values), -np.inf, values), level, method="lower")
    high = np.quantile(np.where(np.isnan(values), np.inf, values), 1 - level, method="higher")
    return float(low), float(high)


def _same(fits: Fits, lowest: float) -> Floats:
    return np.asarray(fits.objectives <= lowest * (1 + SAME) + ROUNDING, np.float64)


def _next(fits: Fits, lowest: float) -> float | None:
    others = fits.objectives[fits.converged & (fits.objectives > lowest * (1 + SAME) + ROUNDING)]
    return float(others.min()) if len(others) else None
