"""Curves of a measure against the logarithm of compute: smooth ones, logistic ones, and ones with a jump.

    smooth       a polynomial of degree 2 in log compute
    logistic     from one level to another, over no less compute than a smooth curve is said to take
    piecewise    a straight line that rises, or a level, and a jump between two neighbouring amounts of compute that
                 makes at least half of the whole rise

The better of the first two is the smooth curve, the third the jump. All are fitted by least squares to many tables of
the same compute at once. Of the logistic, middle and width are searched on a grid, of the jump its place; what is left
is linear.

Axes: D tables, n points of each, S logistic curves of the grid, K gaps between neighbouring amounts, m amounts at which
curves are evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from experiments.statistics.outcomes import Floats

FitName = Literal["smooth", "logistic", "piecewise"]

WIDTH = 2 * np.log(9)
"""From 10 % to 90 % of a logistic function of scale 1."""
WIDTHS = 10
"""Widths of the grid, from the sharpest to `WIDEST` times the range of log compute."""
WIDEST = 4.0
MIDDLES = 61
"""Middles of the grid, from one range below the least compute to one above the greatest."""
SMOOTH_PARAMETERS = 4
"""Numbers that the larger of both smooth curves has; it has as many as the jump."""
LEAST_LENGTH = 1e-300
"""Of what is divided by."""
LEAST_SQUARES = 1e-12
"""Of all squares about the mean, what is left as residuals at least: less is rounding."""


class Line(NamedTuple):
    """A fitted curve: values at amounts with the logarithms that the fit was given for."""

    squares: float
    """Sum of squared residuals."""
    values: Floats
    """(m,)"""


@dataclass(frozen=True)
class Jump:
    """The jump of a piecewise curve."""

    gap: int
    """Between which neighbouring amounts it lies: this one and the next, counted from 0."""
    size: float
    """How high it is."""
    slope: float
    """Rise of the line before and after it, over the whole range of log compute."""
    squares: float
    """Sum of squared residuals."""


class Design:
    """Amounts of compute, and everything about curves over them that does not depend on the measure.

    Args:
        logs: (n,) logarithms to base 10 of compute.
        sharpest: decades over which the sharpest smooth curve makes the middle 80 % of its rise.
    """

    def __init__(self, logs: Floats, sharpest: float) -> None:
        self.logs = logs
        self.rungs = np.unique(logs)
        self.span = float(self.rungs[-1] - self.rungs[0])
        widths = np.geomspace(sharpest, max(WIDEST * self.span, 2 * sharpest), WIDTHS)
        middles = np.linspace(self.rungs[0] - self.span, self.rungs[-1] + self.span, MIDDLES)
        self.middles, self.widths = (grid.ravel() for grid in np.meshgrid(middles, widths))
        self._logistic = _unit(_centred(self._logistics(logs)))
        self._quadratic = np.linalg.qr(_centred(np.stack([logs, logs**2], axis=1)))[0]
        self._line = _centred((logs - logs.mean())[:, None] / self.span)
        self._steps = _centred((logs[:, None] > self._places()).astype(np.float64))
        self._halves = self._steps + self._line
        pairs = [np.stack([step, self._line[:, 0]], axis=1) for step in self._steps.T]
        self._solved = np.stack([np.linalg.pinv(pair) for pair in pairs])
        self._planes = np.stack([np.linalg.qr(pair)[0] for pair in pairs])

    def smooth_squares(self, tables: Floats) -> Floats:
        """Return the sums of squared residuals (D,) of the smooth curve through tables (D, n)."""
        centred = tables - tables.mean(axis=1, keepdims=True)
        total = (centred**2).sum(axis=1)
        quadratic = ((centred @ self._quadratic) ** 2).sum(axis=1)
        logistic = ((centred @ self._logistic) ** 2).max(axis=1)
        return np.maximum(total - np.maximum(quadratic, logistic), LEAST_SQUARES * total)

    def jump_squares(self, tables: Floats) -> Floats:
        """Return the sums of squared residuals (D,) of the curve with a jump through tables (D, n)."""
        centred = tables - tables.mean(axis=1, keepdims=True)
        total = (centred**2).sum(axis=1)
        return np.maximum(self._jumps(centred, total)[0].min(axis=1), LEAST_SQUARES * total)

    def total_squares(self, tables: Floats) -> Floats:
        """Return the sums of squares (D,) of tables (D, n) about their means."""
        return ((tables - tables.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)

    def quadratic(self, values: Floats, at: Floats) -> Line:
        """Return the polynomial of degree 2 through values (n,), at logarithms (m,)."""
        middle = self.logs.mean()
        powers = np.vander(self.logs - middle, 3)
        coefficients = np.linalg.lstsq(powers, values)[0]
        squares = float(((powers @ coefficients - values) ** 2).sum())
        return Line(squares, np.vander(at - middle, 3) @ coefficients)

    def logistic(self, values: Floats, at: Floats) -> Line:
        """Return the logistic curve of the grid through values (n,), at logarithms (m,)."""
        best = int(np.abs((values - values.mean()) @ self._logistic).argmax())
        basis = self._logistics(self.logs)[:, best]
        centred = basis - basis.mean()
        rise = float(centred @ values / max(centred @ centred, LEAST_LENGTH))
        squares = float(((values - values.mean() - rise * centred) ** 2).sum())
        return Line(squares, values.mean() + rise * (self._logistics(at)[:, best] - basis.mean()))

    def smooth(self, values: Floats, at: Floats) -> Line:
        """Return the better of both through values (n,), at logarithms (m,)."""
        return min(self.quadratic(values, at), self.logistic(values, at), key=lambda line: line.squares)

    def jump(self, values: Floats) -> Jump:
        """Return the jump of the piecewise curve through values (n,)."""
        centred = (values - values.mean())[None]
        squares, sizes, slopes = (part[0] for part in self._jumps(centred, (centred**2).sum(axis=1)))
        gap = int(squares.argmin())
        return Jump(gap, float(sizes[gap]), float(slopes[gap]), float(squares[gap]))

    def piecewise(self, values: Floats, at: Floats) -> Line:
        """Return the curve with a jump through values (n,), at logarithms (m,)."""
        jump = self.jump(values)
        place = self._places()[jump.gap]
        here, there = (
            jump.slope * (logs - self.logs.mean()) / self.span + jump.size * (logs > place) for logs in (self.logs, at)
        )
        return Line(jump.squares, values.mean() - here.mean() + there)

    def _logistics(self, logs: Floats) -> Floats:
        """Return the logistic curves (m, S) of the grid at logarithms (m,)."""
        return expit(WIDTH * (logs[:, None] - self.middles) / self.widths)

    def _places(self) -> Floats:
        """Return where jumps may be (K,), midway between neighbouring amounts."""
        return (self.rungs[1:] + self.rungs[:-1]) / 2

    def _jumps(self, centred: Floats, total: Floats) -> tuple[Floats, Floats, Floats]:
        """Return squared residuals, sizes and slopes (D, K) of a jump in each gap; size and slope are not negative.

        Where the best line beside a jump rises more than the jump, or falls, the best is at an end of what is allowed:
        a line that rises as much, or none.
        """
        size, slope = np.einsum("kcn,dn->cdk", self._solved, centred)
        free = total[:, None] - (np.einsum("knc,dn->cdk", self._planes, centred) ** 2).sum(axis=0)
        alone, alone_size = _rising(centred, total, self._steps)
        half, half_size = _rising(centred, total, self._halves)
        allowed = (slope >= 0) & (slope <= size)
        take_half = half < alone
        ended = np.where(take_half, half, alone)
        ended_size = np.where(take_half, half_size, alone_size)
        return (
            np.where(allowed, free, ended),
            np.where(allowed, size, ended_size),
            np.where(allowed, slope, np.where(take_half, half_size, 0.0)),
        )


def _rising(centred: Floats, total: Floats, columns: Floats) -> tuple[Floats, Floats]:
    """Return squared residuals (D, K) and heights of what rises as columns (n, K) do, none where it would fall."""
    lengths = (columns**2).sum(axis=0)
    heights = np.maximum(centred @ columns / lengths, 0.0)
    return total[:, None] - heights**2 * lengths, heights


def _centred(columns: Floats) -> Floats:
    return columns - columns.mean(axis=0)


def _unit(columns: Floats) -> Floats:
    lengths: NDArray[np.float64] = np.sqrt((columns**2).sum(axis=0))
    return columns / np.maximum(lengths, LEAST_LENGTH)
