"""Minimisation of the Huber loss of log residuals, from many starts at once, with analytic derivatives.

Axes: S starts, n points, P parameters of the law (5, or 6 with the decay of repeats).

A law is a vector (log A', log B', log E, alpha, beta[, log R]), A' and B' being the terms at the mean log size and the
mean log data, which keeps the six nearly independent. The logarithm of the loss is then a log-sum-exp of three terms
that are linear in the first five (Hoffmann et al. 2022, appendix D.3), so that first and second derivatives are sums.

Steps alternate between two models of the Huber loss: least squares reweighted by how far each point lies off, which
always goes down, and Newton's, which ends fast. Both are damped, and taken only where the objective falls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.scaling.laws import Floats, Law

DELTA = 1e-3
"""Log residual from which on the Huber loss is linear (Hoffmann et al. 2022)."""
ITERATIONS = 400
CLOSE = 1e-9
"""A start has converged when no step would lower its objective by more than this share, or by more than `FLAT`."""
FLAT = 1e-17
BATCH = 256
"""Starts that are computed together: what they need fits into the cache."""
LOG_REPEATS = (np.log(0.05), np.log(1e4))
"""Ends of log R: beyond them more or fewer repeats change nothing that losses could show."""
DAMPING = (1e-9, 1e12)
"""Least and greatest damping of steps, as a share of the curvature along each axis; a start whose steps all fail under
the greatest is given up."""
FIRST_DAMPING = 1e-3
TINY = 1e-300


Say = Callable[[int], None]


@dataclass(frozen=True)
class Points:
    """What a law is fitted to, as logarithms."""

    log_parameters: Floats
    """(n,) less their mean."""
    log_unique: Floats
    """(n,) of different items, less the mean log of items seen."""
    again: Floats
    """(n,) how often items were repeated: items seen by different items, less 1."""
    log_loss: Floats
    """(n,)."""
    middle: tuple[float, float]
    """The mean log of parameters and of items seen."""
    repeats: bool
    """Whether repeated items are worth less than new ones."""

    @property
    def size(self) -> int:
        """Parameters of the law."""
        return 5 + self.repeats

    def law(self, vector: Floats) -> Law:
        """Return the law that a vector (P,) stands for."""
        size, data, floor, alpha, beta = (float(value) for value in vector[:5])
        scales = np.exp([size + alpha * self.middle[0], data + beta * self.middle[1]])
        decay = float(np.exp(vector[5])) if self.repeats else float("inf")
        return Law(float(np.exp(floor)), float(scales[0]), float(scales[1]), alpha, beta, decay)


@dataclass(frozen=True)
class Fits:
    """Where starts ended."""

    vectors: Floats
    """(S, P)."""
    objectives: Floats
    """(S,) sum over the points of the Huber loss of log residuals."""
    converged: NDArray[np.bool_]
    """(S,) bool: whether no step would have lowered the objective."""

    @property
    def best(self) -> int:
        """Which start ended lowest."""
        return int(np.argmin(self.objectives))


def make_points(parameters: Floats, data: Floats, unique: Floats, loss: Floats, repeats: bool) -> Points:
    """Return points (n,) to fit; all arguments (n,) and positive.

    Args:
        parameters: of the models.
        data: items seen.
        unique: different items among them, at most as many.
        loss: of the models.
        repeats: fit what repeated items are worth; else they count as new ones.
    """
    sizes = np.log(parameters)
    seen = np.log(data)
    different = np.log(unique) if repeats else seen
    again = data / unique - 1 if repeats else np.zeros(len(data))
    middle = (float(sizes.mean()), float(seen.mean()))
    return Points(sizes - middle[0], different - middle[1], again, np.log(loss), middle, repeats)


def minimise(
    points: Points,
    starts: Floats,
    weights: Floats | None = None,
    log_losses: Floats | None = None,
    say: Say = lambda done: None,
) -> Fits:
    """Return where starts (S, P) end.

    Args:
        points: to be fitted.
        starts: vectors of laws.
        weights: (S, n) how often each point counts; once each if not given.
        log_losses: (S, n) in place of those of the points.
        say: is told how many starts have ended.
    """
    shape = (len(starts), len(points.log_loss))
    counts = np.broadcast_to(1.0 if weights is None else weights, shape)
    targets = np.broadcast_to(points.log_loss if log_losses is None else log_losses, shape)
    batches = [slice(begin, begin + BATCH) for begin in range(0, len(starts), BATCH)]
    ends = []
    for batch in batches:
        ends.append(_minimise(points, starts[batch], _Targets(targets[batch], counts[batch])))
        say(min(batch.stop, len(starts)))
    return Fits(
        np.concatenate([end.vectors for end in ends]),
        np.concatenate([end.objectives for end in ends]),
        np.concatenate([end.converged for end in ends]),
    )


def residuals(points: Points, vectors: Floats) -> Floats:
    """Return log residuals (S, n) of vectors (S, P): the predicted log loss less the one that was measured."""
    return _terms(points, vectors).log_loss - points.log_loss


def gradient_of(points: Points, vectors: Floats, pull: Floats) -> Floats:
    """Return sums over points of `pull` (S, n) times the derivatives of the log loss, (S, P)."""
    of_loss = _gradients(points, vectors, _terms(points, vectors))[1]
    return np.einsum("sn,snp->sp", pull, of_loss)


def huber(residual: Floats) -> Floats:
    """Return the Huber loss of residuals, of any shape."""
    size = np.abs(residual)
    return np.where(size <= DELTA, residual**2 / 2, DELTA * (size - DELTA / 2))


@dataclass(frozen=True)
class _Targets:
    """What starts are to fit."""

    log_loss: Floats
    """(S, n)."""
    weights: Floats
    """(S, n)."""

    def at(self, index: NDArray[np.int64]) -> _Targets:
        """Return those of some starts."""
        return _Targets(self.log_loss[index], self.weights[index])

    def objectives(self, points: Points, vectors: Floats) -> Floats:
        """Return the objectives (S,) of vectors (S, P)."""
        return (self.weights * huber(_terms(points, vectors).log_loss - self.log_loss)).sum(axis=1)


@dataclass(frozen=True)
class _Terms:
    """The three terms of the law at every point."""

    log_loss: Floats
    """(S, n)."""
    shares: Floats
    """(3, S, n) of the loss that each term makes up."""
    log_data: Floats
    """(S, n) of effective data."""
    slope: Floats
    """(S, n) its derivative by log R."""
    curvature: Floats
    """(S, n) its second derivative."""


def _terms(points: Points, vectors: Floats) -> _Terms:
    worth, slope, curvature = _worth(points, vectors)
    size, data, floor, alpha, beta = (vectors[:, [index]] for index in range(5))
    log_data = points.log_unique + worth
    logs = np.stack(np.broadcast_arrays(size - alpha * points.log_parameters, data - beta * log_data, floor))
    highest = logs.max(axis=0)
    shares = np.exp(logs - highest)
    total = shares.sum(axis=0)
    return _Terms(highest + np.log(total), shares / total, log_data, slope, curvature)


def _worth(points: Points, vectors: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the log of effective by different items (S, n), and its two derivatives by log R."""
    if not points.repeats:
        nothing = np.zeros((1, len(points.again)))
        return nothing, nothing, nothing
    decay = np.exp(vectors[:, [5]])
    again = points.again / decay
    left = np.exp(-again)
    worth = 1 - decay * np.expm1(-again)
    first = decay * (-np.expm1(-again) - again * left)
    second = first - decay * again**2 * left
    slope = first / worth
    return np.log(worth), slope, second / worth - slope**2


def _gradients(points: Points, vectors: Floats, terms: _Terms) -> tuple[Floats, Floats]:
    """Return the derivatives of each term's logarithm (3, S, n, P), and of the log loss (S, n, P)."""
    S, n = terms.log_loss.shape
    of_terms = np.zeros((3, S, n, points.size))
    of_terms[0, ..., 0] = 1
    of_terms[0, ..., 3] = -points.log_parameters
    of_terms[1, ..., 1] = 1
    of_terms[1, ..., 4] = -terms.log_data
    of_terms[2, ..., 2] = 1
    if points.repeats:
        of_terms[1, ..., 5] = -vectors[:, [4]] * terms.slope
    return of_terms, np.einsum("ksn,ksnp->snp", terms.shares, of_terms)


@dataclass(frozen=True)
class _Model:
    """What is known of the objective around vectors."""

    gradient: Floats
    """(S, P)."""
    reweighted: Floats
    """(S, P, P) of least squares with weights, never below the objective but for the bend of the law."""
    newton: Floats
    """(S, P, P) second derivatives."""


def _model(points: Points, vectors: Floats, targets: _Targets) -> _Model:
    terms = _terms(points, vectors)
    weights = targets.weights
    residual = terms.log_loss - targets.log_loss
    of_terms, of_loss = _gradients(points, vectors, terms)
    pull = weights * np.clip(residual, -DELTA, DELTA)
    gradient = np.einsum("sn,snp->sp", pull, of_loss)
    reweighted = _gram(weights * DELTA / np.maximum(np.abs(residual), DELTA), of_loss)
    bend = _gram(weights * (np.abs(residual) <= DELTA) - pull, of_loss)
    for share, slopes in zip(terms.shares, of_terms, strict=True):
        bend += _gram(pull * share, slopes)
    if points.repeats:
        of_data = pull * terms.shares[1]
        mixed = -(of_data * terms.slope).sum(axis=1)
        bend[:, 4, 5] += mixed
        bend[:, 5, 4] += mixed
        bend[:, 5, 5] -= vectors[:, 4] * (of_data * terms.curvature).sum(axis=1)
    return _Model(gradient, reweighted, bend)


def _gram(weights: Floats, slopes: Floats) -> Floats:
    """Return weighted sums of outer products (S, P, P) of slopes (S, n, P)."""
    return np.swapaxes(slopes * weights[..., None], 1, 2) @ slopes


def _minimise(points: Points, starts: Floats, targets: _Targets) -> Fits:
    """Return where the starts of one batch end."""
    ends = Fits(np.array(starts), targets.objectives(points, starts), np.zeros(len(starts), bool))
    damping = np.full((2, len(starts)), FIRST_DAMPING)
    for step in range(ITERATIONS):
        active = np.flatnonzero(~ends.converged & (damping.min(axis=0) < DAMPING[1]))
        if not len(active):
            break
        of_active = targets.at(active)
        model = _model(points, ends.vectors[active], of_active)
        scale = 1 / np.sqrt(np.einsum("spp->sp", model.reweighted) + TINY)
        kind = step % 2
        if kind == 0:
            ends.converged[active] = _gains(model, scale) <= np.maximum(FLAT, CLOSE * ends.objectives[active])
        moved = ends.vectors[active] + (_reweighted_step, _newton_step)[kind](model, scale, damping[kind, active])
        if points.repeats:
            moved[:, 5] = np.clip(moved[:, 5], *LOG_REPEATS)
        objectives = of_active.objectives(points, moved)
        better = objectives < ends.objectives[active]
        ends.vectors[active[better]] = moved[better]
        ends.objectives[active[better]] = objectives[better]
        damping[kind, active] = np.clip(damping[kind, active] * np.where(better, 0.2, 5.0), *DAMPING)
    return ends


def _gains(model: _Model, scale: Floats) -> Floats:
    """Return by how much reweighted least squares would lower the objective (S,), which it would at least."""
    step = _reweighted_step(model, scale, np.full(len(scale), DAMPING[0]))
    return -(step * model.gradient).sum(axis=1) / 2


def _reweighted_step(model: _Model, scale: Floats, damping: Floats) -> Floats:
    """Return damped steps (S, P) of least squares; `scale` (S, P) gives their matrices ones on the diagonal."""
    matrix = model.reweighted * scale[:, :, None] * scale[:, None, :]
    damped = matrix + damping[:, None, None] * np.eye(matrix.shape[1])
    return -scale * np.linalg.solve(damped, (model.gradient * scale)[..., None])[..., 0]


def _newton_step(model: _Model, scale: Floats, damping: Floats) -> Floats:
    """Return damped steps (S, P) of Newton's model, the sign of whose curvature is taken away: they lead downhill."""
    values, axes = np.linalg.eigh(model.newton * scale[:, :, None] * scale[:, None, :])
    along = np.einsum("spq,sp->sq", axes, model.gradient * scale)
    return -scale * np.einsum("spq,sq->sp", axes, along / (np.abs(values) + damping[:, None]))
