"""Fits as they might have been made: one start, the mean of losses, squares, the other count of parameters.

The mean over runs lowers the objective so far that an optimizer's default tolerance ends the search early (Besiroglu et
al. 2024, section 3); which parameters count changes exponents (Pearce and Song 2024; Porian et al. 2024).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares, minimize

from experiments.scaling.bootstrap import FittedLaw, fit_law
from experiments.scaling.fitting import DELTA, Points, gradient_of, huber, make_points, residuals
from experiments.scaling.laws import Floats, Law
from experiments.scaling.options import ScalingFitOptions
from experiments.scaling.selecting import Runs, make_runs, sized
from experiments.scaling.starts import GRID
from experiments.scaling.tables import RunRow

OURS = "as above"


class Attempt(NamedTuple):
    """A fit, and what it was fitted to."""

    how: str
    law: Law
    objective: float
    """Sum over its runs of the Huber loss of log residuals."""
    factor: float
    """FLOP per parameter and item, of the parameters that it counts."""


def attempts(
    rows: list[RunRow], runs: Runs, fitted: FittedLaw, options: ScalingFitOptions, all_kept: Runs
) -> Iterator[Attempt]:
    """Yield the fit itself, and fits as they might have been made.

    Args:
        rows: of the table that are fitted.
        runs: the same with the parameters that count.
        fitted: the law.
        options: of the command.
        all_kept: runs with those that were left out, but for diverged ones.
    """
    factor = flop_factor(runs)
    yield Attempt(OURS, fitted.law, fitted.objective, factor)
    plain = fitted.points if not fitted.points.repeats else _plain(runs)
    yield Attempt("one start, mean over runs", *_one_start(plain, mean=True), factor)
    yield Attempt("one start, sum over runs", *_one_start(plain, mean=False), factor)
    yield Attempt("one start, squares of losses", *_squares(plain), factor)
    if fitted.points.repeats:
        new = fit_law(runs, repeats=False, grid=False)
        yield Attempt("repeats count as new items", new.law, new.objective, factor)
    if len(all_kept.rows) > len(runs.rows):
        every = fit_law(all_kept, fitted.points.repeats, grid=False)
        yield Attempt("with the rows that were left out", every.law, every.objective, factor)
    other = replace(options, size="total" if options.size == "non-embedding" else "non-embedding")
    if all(row.non_embedding_parameters for row in rows):
        counted = make_runs(rows, sized(rows, other.size))
        law = fit_law(counted, fitted.points.repeats, grid=False)
        name = "all parameters" if other.size == "total" else "parameters without embeddings"
        yield Attempt(name, law.law, law.objective, flop_factor(counted))


def flop_factor(runs: Runs) -> float:
    """Return the FLOP per parameter and item: the median of the runs."""
    return float(np.median(runs.compute / (runs.parameters * runs.data)))


def _plain(runs: Runs) -> Points:
    return make_points(runs.parameters, runs.data, runs.unique, runs.loss, repeats=False)


def _start(points: Points) -> Floats:
    """Return the middle of the grid (P,)."""
    size, data, floor, alpha, beta = (float(np.median(axis)) for axis in GRID)
    centred = [size - alpha * points.middle[0], data - beta * points.middle[1]]
    return np.array([*centred, floor + points.log_loss.min(), alpha, beta])


def _one_start(points: Points, mean: bool) -> tuple[Law, float]:
    """Return the law that an optimizer with its default tolerance finds in the law's own terms, from one start."""
    share = len(points.log_loss) if mean else 1
    ahead = _uncentred(points)

    def objective(vector: Floats) -> tuple[float, Floats]:
        centred = (ahead @ vector)[None]
        residual = residuals(points, centred)
        slope = gradient_of(points, centred, np.clip(residual, -DELTA, DELTA))[0]
        return float(huber(residual).sum()) / share, ahead.T @ slope / share

    begin = np.linalg.solve(ahead, _start(points))
    end = minimize(objective, begin, jac=True, method="L-BFGS-B")
    return _ended(points, ahead @ end.x)


def _squares(points: Points) -> tuple[Law, float]:
    """Return the law of least squares of losses, not of their logs, from one start."""
    loss = np.exp(points.log_loss)

    def differences(vector: Floats) -> Floats:
        return np.exp(residuals(points, vector[None])[0]) * loss - loss

    end = least_squares(differences, _start(points))
    return _ended(points, end.x)


def _ended(points: Points, vector: Floats) -> tuple[Law, float]:
    return points.law(vector), float(huber(residuals(points, vector[None])).sum())


def _uncentred(points: Points) -> Floats:
    """Return what makes a centred vector of one in log A and log B (P, P)."""
    matrix = np.eye(5)
    matrix[0, 3] = -points.middle[0]
    matrix[1, 4] = -points.middle[1]
    return matrix
