"""Where fits start: the full grid of published analyses, and laws found by variable projection.

For given exponents the law is linear in E, A and B, so that these need no search: least squares of relative errors
gives them in closed form (variable projection, Golub and Pereyra 1973). That holds of squares, not of the Huber loss of
logs; so what it finds over a grid of exponents are good starts, and no more.

Axes: K pairs of exponents (with R: triples), W sets of weights of the points, n points, P parameters.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from experiments.scaling.fitting import Points
from experiments.scaling.laws import Floats

GRID: tuple[tuple[float, ...], ...] = (
    (0, 5, 10, 15, 20, 25),
    (0, 5, 10, 15, 20, 25),
    (-2, -1.5, -1, -0.5, 0),
    (0, 0.5, 1, 1.5, 2),
    (0, 0.5, 1, 1.5, 2),
)
"""Of log A, log B, log E, alpha and beta: 4,500 starts (Hoffmann et al. 2022, appendix D.3), but that E is taken
relative to the lowest loss, which lets losses be in any unit."""
DECAYS = (1.0, 15.0)
"""R at which every start of the grid begins."""
EXPONENTS = tuple(np.geomspace(0.03, 2, 14))
"""Exponents for which the rest is projected."""
PROJECTED_DECAYS = (0.5, 3.0, 15.0, 100.0)
SMALLEST = 1e-4
"""Share of the lowest loss that no term of a start is below, as its logarithm is needed."""


def grid_size(repeats: bool) -> int:
    """Return the number of starts of the full grid, of laws with or without a decay of repeats."""
    return math.prod(len(axis) for axis in (*GRID, *([DECAYS] if repeats else [])))


def grid_starts(points: Points) -> Floats:
    """Return the vectors (S, P) of the full grid."""
    decays = [tuple(np.log(DECAYS))] if points.repeats else []
    starts = np.array(list(product(*GRID, *decays)), np.float64)
    starts[:, 0] -= starts[:, 3] * points.middle[0]
    starts[:, 1] -= starts[:, 4] * points.middle[1]
    starts[:, 2] += points.log_loss.min()
    return starts


def projected_starts(points: Points, weights: Floats, count: int) -> Floats:
    """Return for each set of weights the vectors (W, count, P) of least squares, apart from one another.

    Args:
        points: to be fitted.
        weights: (W, n) how often each point counts.
        count: how many vectors; of each, no other is a neighbour on the grid of exponents that is better.
    """
    decays = PROJECTED_DECAYS if points.repeats else (1.0,)
    axes = (EXPONENTS, EXPONENTS, decays)
    exponents = np.array(list(product(*axes)))
    solutions, errors = _project(points, weights, exponents)
    shape = tuple(len(axis) for axis in axes)
    found = np.empty((len(weights), count, points.size))
    for of_weights, (solved, error) in enumerate(zip(solutions, errors, strict=True)):
        chosen = _lowest_apart(error.reshape(shape), count)
        found[of_weights, :, :2] = np.log(solved[chosen, :2])
        found[of_weights, :, 2] = np.log(solved[chosen, 2])
        found[of_weights, :, 3:5] = exponents[chosen, :2]
        if points.repeats:
            found[of_weights, :, 5] = np.log(exponents[chosen, 2])
    return found


def _project(points: Points, weights: Floats, exponents: Floats) -> tuple[Floats, Floats]:
    """Return the scales of the terms (W, K, 3) for exponents (K, 3), and sums of squared relative errors (W, K)."""
    alpha, beta, decay = (exponents[:, [index]] for index in range(3))
    worth = np.log1p(-decay * np.expm1(-points.again / decay)) if points.repeats else 0.0
    loss = np.exp(points.log_loss)
    of_size = np.exp(-alpha * points.log_parameters) / loss
    of_data = np.exp(-beta * (points.log_unique + worth)) / loss
    terms = np.stack([of_size, of_data, np.broadcast_to(1 / loss, of_size.shape)], axis=-1)
    products = terms[..., :, None] * terms[..., None, :]
    gram = np.einsum("wn,knij->wkij", weights, products, optimize=True)
    right = np.einsum("wn,kni->wki", weights, terms, optimize=True)
    ridge = 1e-10 * np.einsum("wkii->wk", gram)[..., None, None] * np.eye(3)
    solved = np.linalg.solve(gram + ridge, right[..., None])[..., 0]
    scales = np.maximum(solved, SMALLEST * loss.min())
    fitted = np.einsum("wki,wkij,wkj->wk", scales, gram, scales) - 2 * np.einsum("wki,wki->wk", scales, right)
    return scales, fitted + weights.sum(axis=1)[:, None]


def _lowest_apart(errors: Floats, count: int) -> list[int]:
    """Return the flat indices of the lowest errors on a grid, whose neighbours are left out where others will do."""
    order = np.argsort(errors, axis=None)
    places = np.stack(np.unravel_index(order, errors.shape), axis=1)
    chosen: list[int] = []
    for place, index in zip(places, order, strict=True):
        taken = np.array([np.unravel_index(other, errors.shape) for other in chosen]).reshape(-1, errors.ndim)
        if not len(taken) or np.abs(taken - place).max(axis=1).min() > 1:
            chosen.append(int(index))
        if len(chosen) == count:
            break
    return chosen
