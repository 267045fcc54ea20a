"""Families of curves through a measure against an amount, each fitted to many tables at once by least squares.

With x the amount, every family is y = a + b g(x) for a function g that grows with x, and has a shape of its own:

    linear            g = x
    log-linear        g = log10 x
    power law         g = -x^-c: a is a ceiling, or the floor of a loss, which cannot lie beyond the measure's own
    logit-linear      g = log10 x, and for y the logit of where it lies between the measure's ends
    broken power law  g = -x^-c (1 + (x / d)^(1 / f))^(f (c - e)): exponent c before the break d and e after it, of the
                      width f = 1/4 (one break of Caballero et al. 2022, equation 1), with a as in the power law

For a given shape a and b are a linear fit (variable projection, Golub and Pereyra 1973). The shape is searched on a
grid that is made finer around the best point of each table: no start can be a bad one.

Axes: D tables, n points of each, S shapes, k numbers of a shape, m amounts at which curves are evaluated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from experiments.scaling.curves import Curve
from experiments.statistics.outcomes import Floats

FamilyName = Literal["linear", "log-linear", "power law", "logit-linear", "broken power law"]

BREAK_WIDTH = 0.25
"""Decades over which the exponent of a broken power law changes; four points would not tell it as well."""
EXPONENTS = (-2.0, 0.6)
"""Logarithms to base 10 between which exponents are searched: .01, nearly a logarithm, to 4."""
ROUNDS = 16
"""Times that the grid of shapes is made finer, by half each time."""
BEYOND = (-60.0, 300.0)
"""Logarithms of amounts between which a target is searched."""
FARTHEST = f"1e+{BEYOND[1]:g}"
"""The upper end of them, an amount, in words: a curve that gets there later counts as one that does not."""
HALVINGS = 60
LARGEST_POWER = 140
"""Of ten, in functions of the amount; its square is a number still."""
Say = Callable[[int], None]
LARGEST_PIECE = 1 << 22
"""Numbers of a grid around the shapes of tables that are computed at once."""


class Limits(NamedTuple):
    """Ends of a measure that is better the greater it is; infinite where there are none."""

    low: float
    high: float


@dataclass(frozen=True)
class Family:
    """A family of curves."""

    name: FamilyName
    parameters: int
    """Numbers that are fitted."""
    grid: tuple[tuple[float, float, int], ...] = ()
    """Ends and number of points of the grid over each number of the shape."""
    levels_off: bool = False
    """Whether `a` is what the curve comes to, so that the measure's end bounds it."""
    bounded: bool = False
    """Whether it is for measures with two ends."""

    def uses(self, limits: Limits) -> Limits:
        """Return the ends that matter to it, so that fits under others need not be made anew."""
        if self.bounded:
            return limits
        return Limits(-np.inf, limits.high if self.levels_off else np.inf)

    def left_out(self, curve: Curve, limits: Limits) -> str:
        """Return why it cannot be fitted to a curve, empty if it can."""
        rungs = len(curve.rungs)
        if self.bounded and not np.isfinite(limits).all():
            return "the measure has no two ends"
        if rungs < self.parameters:
            return f"{rungs} different amounts, {self.parameters} parameters"
        if self.bounded and not ((curve.values > limits.low) & (curve.values < limits.high)).all():
            return "a value lies at or beyond an end of the measure, where there is no logit"
        return ""

    def link(self, values: Floats, limits: Limits) -> Floats:
        """Return values on the scale on which the family is fitted."""
        return logit((values - limits.low) / (limits.high - limits.low)) if self.bounded else values

    def unlink(self, scores: Floats, limits: Limits) -> Floats:
        """Return the values of numbers on that scale."""
        return limits.low + (limits.high - limits.low) * expit(scores) if self.bounded else scores

    def basis(self, logs: Floats, shapes: Floats, largest: float, span: float) -> Floats:
        """Return g, up to a factor and a constant.

        Args:
            logs: (..., n) logarithms of amounts.
            shapes: (..., k) broadcast against all axes of `logs` but the last.
            largest: logarithm of the largest amount that was tried, for numbers of a moderate size.
            span: difference between it and that of the smallest.
        """
        relative = logs - largest
        if self.name == "linear":
            return 10**relative
        if not self.levels_off:
            return relative
        before = 10 ** shapes[..., 0:1]
        decay = -before * relative
        if self.name == "broken power law":
            change = before - 10 ** shapes[..., 1:2]
            after_break = (relative + span * (1 - shapes[..., 2:3])) / BREAK_WIDTH
            decay = decay + BREAK_WIDTH * change * np.logaddexp(0, after_break * np.log(10)) / np.log(10)
        return -(10 ** np.clip(decay, -LARGEST_POWER, LARGEST_POWER))


EXPONENT = (*EXPONENTS, 53)
FAMILIES = (
    Family("linear", 2),
    Family("log-linear", 2),
    Family("power law", 3, (EXPONENT,), levels_off=True),
    Family("logit-linear", 2, bounded=True),
    Family("broken power law", 5, ((*EXPONENTS, 9), (*EXPONENTS, 9), (0.1, 0.9, 5)), levels_off=True),
)


@dataclass(frozen=True)
class Fits:
    """Curves of a family, one for each of D tables."""

    family: Family
    limits: Limits
    largest: float
    """Logarithm of the largest amount of the tables."""
    span: float
    """Decades between that and the smallest."""
    shapes: Floats
    """(D, k) numbers of the shapes."""
    a: Floats
    """(D,)"""
    b: Floats
    """(D,)"""
    squares: Floats
    """(D,) sums of squared residuals on the scale of the fit."""

    def scores(self, logs: Floats) -> Floats:
        """Return the curves (D, m) on the scale of the fit at amounts with logarithms (m,) or (D, m)."""
        logs = np.broadcast_to(logs, (len(self.a), logs.shape[-1]))
        with np.errstate(over="ignore", invalid="ignore"):
            basis = self.family.basis(logs, self.shapes, self.largest, self.span)
            return self.a[:, None] + self.b[:, None] * basis

    def values(self, logs: Floats) -> Floats:
        """Return the curves (D, m) at amounts with logarithms (m,)."""
        return self.family.unlink(self.scores(logs), self.limits)

    def ever(self, target: float) -> NDArray[np.bool_]:
        """Return whether curves (D,) reach a target at all, at an amount however large."""
        highest = self.a if self.family.levels_off else np.full_like(self.a, np.inf)
        return (self.b > 0) & (highest > self.family.link(np.array(target), self.limits))

    def reaching(self, target: float) -> Floats:
        """Return the logarithms (D,) of the amounts at which curves reach a target, infinite where they do not.

        A curve that falls never does; one that is beyond the target everywhere does at minus infinity.
        """
        wanted = self.family.link(np.array(target), self.limits)
        below = np.full((len(self.a), 1), BEYOND[0])
        above = np.full((len(self.a), 1), BEYOND[1])
        ends = self.scores(below)[:, 0], self.scores(above)[:, 0]
        for _ in range(HALVINGS):
            middle = (below + above) / 2
            reached = self.scores(middle) >= wanted
            above = np.where(reached, middle, above)
            below = np.where(reached, below, middle)
        found = np.where(ends[0] >= wanted, -np.inf, above[:, 0])
        return np.where((self.b > 0) & (ends[1] >= wanted), found, np.inf)


def after(say: Say, begun: int) -> Say:
    """Return what tells `say` of tables that are fitted after as many others."""
    return lambda done: say(begun + done)


def fit(family: Family, limits: Limits, logs: Floats, scores: Floats, say: Say = lambda done: None) -> Fits:
    """Return the curves of least squares through D tables.

    Args:
        family: of the curves.
        limits: ends of the measure.
        logs: (n,) logarithms of the amounts, which all tables share.
        scores: (D, n) the measure on the scale of the family's fit.
        say: is told, where that takes long, how many tables are fitted.
    """
    largest, span = float(logs.max()), float(logs.max() - logs.min())
    top = limits.high if family.levels_off else np.inf
    shapes = np.array(list(product(*(np.linspace(*axis) for axis in family.grid))))
    basis = family.basis(np.broadcast_to(logs, (len(shapes), len(logs))), shapes, largest, span)
    best = shapes[_project(basis[None], scores, top)[2].argmin(axis=1)]
    steps = np.array([(high - low) / (points - 1) for low, high, points in family.grid])
    size = max(1, LARGEST_PIECE // (3 ** len(steps) * len(logs)))
    for first in range(0, len(scores), size) if len(steps) else ():
        piece = slice(first, first + size)
        best[piece] = _refined(family, best[piece], steps, logs, scores[piece], top)
        say(min(piece.stop, len(scores)))
    basis = family.basis(np.broadcast_to(logs, scores.shape), best, largest, span)
    a, b, squares = (part[:, 0] for part in _project(basis[:, None], scores, top))
    return Fits(family, limits, largest, span, best, a, b, squares)


def _refined(family: Family, best: Floats, steps: Floats, logs: Floats, scores: Floats, top: float) -> Floats:
    """Return better shapes (D, k) than the best (D, k) of a grid with these steps (k,)."""
    largest, span = logs.max(), logs.max() - logs.min()
    low, high = (np.array([axis[end] for axis in family.grid]) for end in (0, 1))
    around = np.array(list(product((-1, 0, 1), repeat=len(steps))))
    rows = np.arange(len(best))
    for _ in range(ROUNDS):
        steps = steps / 2
        shapes = np.clip(best[:, None] + around * steps, low, high)
        basis = family.basis(np.broadcast_to(logs, (*shapes.shape[:2], len(logs))), shapes, largest, span)
        best = shapes[rows, _project(basis, scores, top)[2].argmin(axis=1)]
    return best


def _project(basis: Floats, scores: Floats, top: float) -> tuple[Floats, Floats, Floats]:
    """Return a, b and the sums of squared residuals (D, S) of linear fits, a at most `top`.

    Args:
        basis: (D, S, n), or (1, S, n) for all tables.
        scores: (D, n)
        top: infinite where nothing bounds a.
    """
    mean = basis.mean(axis=-1)
    centred = basis - mean[..., None]
    middle = scores.mean(axis=1, keepdims=True)
    a, b, squares = _through(centred, scores - middle, middle)
    a = a - b * mean
    if np.isfinite(top) and (a > top).any():
        bounded = _through(basis, scores - top, np.full_like(middle, top))
        a, b, squares = (np.where(a > top, *both) for both in zip(bounded, (a, b, squares), strict=True))
    return a, b, squares


def _through(basis: Floats, scores: Floats, middle: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the fit of b to scores that are left of a constant `middle` (D, 1), and this as a."""
    products = scores @ basis[0].T if len(basis) == 1 else np.einsum("dsn,dn->ds", basis, scores)
    lengths = np.maximum((basis**2).sum(axis=-1), 1e-300)
    b = products / lengths
    squares = np.maximum((scores**2).sum(axis=1, keepdims=True) - products * b, 0)
    return np.broadcast_to(middle, b.shape), b, squares
