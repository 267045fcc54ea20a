"""The best size of each budget, read off the losses of that budget: by a parabola, and by Akima's interpolation.

A parabola through loss against log size (Hoffmann et al. 2022, section 3.2) takes the valley for symmetric, which that
of the law is only where alpha and beta are alike; so its minimum lies off, by more the wider the sizes reach and the
farther their middle lies from the minimum. Akima's interpolation (1970, Journal of the ACM 17, 589-602; for this use
Porian et al. 2024) takes it for nothing, and follows the chance of every run instead. By how much each lies off is
found by having it read the exact losses of the fitted law at the same sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import Akima1DInterpolator

from experiments.scaling.laws import Floats, Law
from experiments.scaling.selecting import Runs, count_apart, groups_apart

Reading = Literal["parabola", "akima"]
SAME_COMPUTE = 1.05
"""Runs of one budget differ by so much at most, since it becomes whole optimizer steps of every size."""
LEAST_SIZES = 4
"""Different sizes of a budget whose minimum is read: a parabola goes through any three."""
STEPS = 1001
"""Places between the smallest and the largest size at which Akima's curve is looked at."""
WIDTHS = (2.0, 4.0, 8.0, 16.0, 32.0)
"""Factors from the middle of a grid of sizes to its ends, for the table of biases."""
CENTRES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Middles of such grids, by the best size."""
SIZES = 8
"""Of such grids: an even number, so that none lies at the middle."""


@dataclass(frozen=True)
class Budget:
    """Runs of one budget."""

    compute: float
    """FLOP: the median of the runs."""
    runs: NDArray[np.int64]
    """Indices of the runs."""


class Minimum(NamedTuple):
    """The lowest loss over sizes."""

    parameters: float
    loss: float


class Power(NamedTuple):
    """The best size against compute: parameters = exp(offset) compute ** exponent."""

    offset: float
    exponent: float

    def at(self, compute: float) -> float:
        """Return the parameters at a budget in FLOP."""
        return float(np.exp(self.offset + self.exponent * np.log(compute)))


def find_budgets(runs: Runs, spread: float) -> list[Budget]:
    """Return the budgets that have enough sizes, from the smallest.

    Where compute scatters, as in points read off a figure, the densest stretches are taken first.

    Args:
        runs: of any budgets.
        spread: largest factor between runs of one budget.
    """
    logs = np.log(runs.compute)
    left = np.argsort(logs, kind="stable")
    found = []
    while len(left):
        ends = np.searchsorted(logs[left], logs[left] + np.log(spread) + 1e-9, side="right")
        begin = int(np.argmax(ends - np.arange(len(left))))
        members = left[begin : ends[begin]]
        if len(members) < LEAST_SIZES:
            break
        if count_apart(runs.parameters[members]) >= LEAST_SIZES:
            found.append(Budget(float(np.median(runs.compute[members])), members))
        left = np.delete(left, np.arange(begin, ends[begin]))
    return sorted(found, key=lambda budget: budget.compute)


def parabola(sizes: Floats, losses: Floats, weights: Floats) -> Minimum | None:
    """Return the lowest point of the parabola of loss against log size; None where it has none between the sizes.

    Args:
        sizes: (n,) parameters.
        losses: (n,).
        weights: (n,) how often each counts.
    """
    used = weights > 0
    if count_apart(sizes[used]) < 3:
        return None
    logs = np.log(sizes[used])
    middle = logs.mean()
    square, slope, offset = np.polyfit(logs - middle, losses[used], 2, w=np.sqrt(weights[used]))
    place = middle - slope / (2 * square) if square > 0 else np.inf
    if not logs.min() < place < logs.max():
        return None
    return Minimum(float(np.exp(place)), float(offset - slope**2 / (4 * square)))


def akima(sizes: Floats, losses: Floats, weights: Floats) -> Minimum | None:
    """Return the lowest point of Akima's curve through mean losses; None where it is an end: see `parabola`."""
    used = weights > 0
    if count_apart(sizes[used]) < 3:
        return None
    logs, means = _means(np.log(sizes[used]), losses[used], weights[used])
    places = np.linspace(logs[0], logs[-1], STEPS)
    values = Akima1DInterpolator(logs, means)(places)
    lowest = int(np.argmin(values))
    if lowest in (0, STEPS - 1):
        return None
    return Minimum(float(np.exp(places[lowest])), float(values[lowest]))


READINGS: dict[Reading, Callable[[Floats, Floats, Floats], Minimum | None]] = {"parabola": parabola, "akima": akima}


def read_minima(runs: Runs, budgets: list[Budget], reading: Reading, counts: Floats) -> list[Minimum | None]:
    """Return the minimum of each budget.

    Args:
        runs: of all budgets.
        budgets: to be read.
        reading: the method.
        counts: (n,) how often each run counts.
    """
    read = READINGS[reading]
    return [read(runs.parameters[one.runs], runs.loss[one.runs], counts[one.runs]) for one in budgets]


def drawn(runs: Runs, budget: Budget, reading: Reading, places: int) -> tuple[Floats, Floats]:
    """Return sizes (places,) and losses (places,) of the curve that a reading draws through the runs of a budget."""
    logs, losses = np.log(runs.parameters[budget.runs]), runs.loss[budget.runs]
    along = np.linspace(logs.min(), logs.max(), places)
    if reading == "parabola":
        middle = logs.mean()
        return np.exp(along), np.polyval(np.polyfit(logs - middle, losses, 2), along - middle)
    apart, means = _means(logs, losses, np.ones(len(logs)))
    return np.exp(along), Akima1DInterpolator(apart, means)(np.clip(along, apart[0], apart[-1]))


def power_of(budgets: list[Budget], minima: list[Minimum | None]) -> Power | None:
    """Return the line through the minima, log size against log compute; None for fewer than two."""
    known = [(one.compute, lowest.parameters) for one, lowest in zip(budgets, minima, strict=True) if lowest]
    return fit_power(*np.array(known).T) if len(known) > 1 else None


def fit_power(compute: Floats, parameters: Floats) -> Power:
    """Return the line through best sizes (n,) at budgets (n,), by least squares of log sizes."""
    exponent, offset = np.polyfit(np.log(compute), np.log(parameters), 1)
    return Power(float(offset), float(exponent))


def exact(runs: Runs, budgets: list[Budget], law: Law) -> Runs:
    """Return runs of budgets with the losses that a law gives at just those budgets, every item being new."""
    rows = np.concatenate([one.runs for one in budgets])
    factors = runs.compute / (runs.parameters * runs.data)
    compute = np.array(runs.compute)
    for one in budgets:
        compute[one.runs] = one.compute
    data = compute / factors / runs.parameters
    loss = np.array(runs.loss)
    loss[rows] = law.loss(runs.parameters[rows], data[rows])
    return Runs(runs.rows, runs.parameters, data, data, compute, loss, runs.sources)


def biases(law: Law, compute: float, factor: float) -> list[tuple[Reading, float, float, float | None]]:
    """Return the reading, the width and the centre of grids of sizes, and what is read by what is best.

    Args:
        law: whose exact losses are read.
        compute: the budget in FLOP.
        factor: FLOP per parameter and item.
    """
    best = float(law.optimum(compute, factor)[0])
    found: list[tuple[Reading, float, float, float | None]] = []
    for reading, width, centre in product(READINGS, WIDTHS, CENTRES):
        sizes = best * centre * np.geomspace(1 / width, width, SIZES)
        losses = law.loss(sizes, compute / factor / sizes)
        lowest = READINGS[reading](sizes, losses, np.ones(SIZES))
        found.append((reading, width, centre, lowest.parameters / best if lowest else None))
    return found


def envelope(runs: Runs) -> NDArray[np.int64]:
    """Return the indices of the runs that none with as much compute or less does better than, by compute.

    Compute counts as the same up to a factor of `SAME_COMPUTE`.
    """
    order = np.lexsort((runs.loss, runs.compute))
    compute, losses = runs.compute[order], runs.loss[order]
    lowest = np.minimum.accumulate(losses)
    reached = np.searchsorted(compute, SAME_COMPUTE * compute, side="right") - 1
    earlier = np.concatenate([[np.inf], lowest[:-1]])
    return order[(losses <= lowest[reached]) & (losses < earlier)]


def _means(logs: Floats, losses: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return log sizes that are apart (m,), ascending, and the weighted mean loss of each (m,)."""
    order = np.argsort(logs, kind="stable")
    groups = groups_apart(logs[order])
    total = np.bincount(groups, weights[order])
    sums = [np.bincount(groups, weights[order] * values[order]) for values in (logs, losses)]
    return sums[0] / total, sums[1] / total
