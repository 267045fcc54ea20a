"""Is there a jump? What kind of curve a measure makes over log compute, with simulated p-values.

A task is called

    flat        where the interval of the change over all compute lies within what is said to be no change
    inverse     where the measure gets worse
    emergent    where no smooth curve explains the rise (`shapes`): a curve with a jump fits better, by a ratio of
                likelihoods that tables drawn from the best smooth curve hardly ever reach
    smooth      where no jump explains it: the same ratio is smaller than in tables drawn from the best curve with a
                jump
    undecided   otherwise: too few amounts of compute, too much noise, or a ladder too coarse to tell a jump from a
                smooth rise

The ratio is that of two models of which neither contains the other (Cox 1962, Journal of the Royal Statistical Society
B 24, 406-424), its distribution that of tables drawn from one of them (a parametric bootstrap: Williams 1970,
Biometrics 26, 23-32). Tables have normal noise with the variance of the residuals. So a sharp rise is emergent only
where the ladder is fine enough, and a lack of evidence for a jump is no evidence for a smooth rise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from experiments.scaling.shapes import SMOOTH_PARAMETERS, Design, Jump
from experiments.statistics.outcomes import Floats

Kind = Literal["smooth", "flat", "inverse", "emergent", "undecided"]

FEWEST_RUNGS = 5
"""Different amounts of compute: fewer than a curve has numbers, and one more."""
LEVEL = 0.95
"""Of intervals of the change."""


class Rules(NamedTuple):
    """By what tasks are classified."""

    level: float = 0.05
    """Greatest p-value at which a kind of curve is rejected."""
    least_change: float = 0.05
    """Change of the measure that counts."""
    draws: int = 999
    """Tables that are drawn for a p-value."""


@dataclass(frozen=True)
class Classified:
    """What kind of curve a measure makes, and why."""

    kind: Kind
    reason: str
    """Why it is undecided; empty otherwise."""
    change: float | None = None
    """Rise of a straight line in log compute, over all compute; below 0 where the measure gets worse."""
    change_low: float | None = None
    change_high: float | None = None
    noise: float | None = None
    """Standard deviation of the residuals of the smooth curve."""
    p_flat: float | None = None
    """Of no change: how often tables without one follow a curve as closely."""
    p_smooth: float | None = None
    """Of a smooth curve: how often tables drawn from it speak for a jump as much."""
    p_jump: float | None = None
    """Of a jump: how often tables drawn from one speak for a smooth curve as much."""
    jump: Jump | None = None
    """The jump that fits best, whether there is one or not."""


class Rates(NamedTuple):
    """Of simulated curves, how often they are classified rightly and wrongly."""

    smooth_called_emergent: float
    jumps_found: float


def classify(design: Design, values: Floats, rules: Rules, generator: np.random.Generator) -> Classified:
    """Return what kind of curve a measure makes.

    Args:
        design: its compute.
        values: (n,) of a measure that is better the greater it is.
        rules: by which it is classified.
        generator: of chance.
    """
    reason = too_few(design)
    if reason:
        return Classified("undecided", reason)
    change, low, high = _change(design, values)
    known = Classified("flat", "", change, low, high, jump=design.jump(values))
    if design.total_squares(values[None])[0] == 0:
        return known
    noise = _noise(design, float(design.smooth_squares(values[None])[0]))
    return _decide(replace(known, noise=noise), *_p_values(design, values, noise, rules, generator), rules)


def too_few(design: Design) -> str:
    """Return why nothing can be said of a ladder, empty if something can."""
    if len(design.rungs) < FEWEST_RUNGS:
        return f"{len(design.rungs)} different amounts of compute: {FEWEST_RUNGS} are needed"
    if len(design.logs) <= SMOOTH_PARAMETERS + 1:
        return f"{len(design.logs)} points: more than {SMOOTH_PARAMETERS + 1} are needed"
    return ""


def simulate_rates(
    design: Design, values: Floats, rules: Rules, simulations: int, generator: np.random.Generator
) -> Rates:
    """Return how often curves like these are classified rightly: drawn from the smooth curve, and from the jump.

    Args:
        design: of the compute.
        values: (n,) through which both curves are fitted, and whose noise simulated tables have.
        rules: by which they are classified.
        simulations: tables of each of the two.
        generator: of chance.
    """
    noise = _noise(design, float(design.smooth_squares(values[None])[0]))
    smooth = design.smooth(values, design.logs).values
    jump = design.piecewise(values, design.logs).values
    of_jump = _noise(design, design.jump(values).squares)
    shares = [
        np.mean([classify(design, table, rules, generator).kind == "emergent" for table in tables])
        for tables in (
            _draw(smooth, noise, simulations, generator),
            _draw(jump, min(noise, of_jump), simulations, generator),
        )
    ]
    return Rates(float(shares[0]), float(shares[1]))


def _decide(known: Classified, p_flat: float, p_smooth: float, p_jump: float, rules: Rules) -> Classified:
    known = replace(known, p_flat=p_flat, p_smooth=p_smooth, p_jump=p_jump)
    low, high = known.change_low or 0.0, known.change_high or 0.0
    if -rules.least_change < low and high < rules.least_change:
        return replace(known, kind="flat")
    if p_flat > rules.level:
        return replace(known, kind="undecided", reason="a change may be hidden in the noise")
    if high < 0:
        return replace(known, kind="inverse")
    if low <= 0:
        return replace(known, kind="undecided", reason="it changes, and neither rises nor falls on the whole")
    if p_smooth <= rules.level:
        return replace(known, kind="emergent")
    if p_jump <= rules.level:
        return replace(known, kind="smooth")
    return replace(known, kind="undecided", reason="it rises, and a jump and a smooth curve both explain it")


def _p_values(
    design: Design, values: Floats, noise: float, rules: Rules, generator: np.random.Generator
) -> tuple[float, float, float]:
    """Return the p-values of no change, of the smooth curve, and of the jump."""
    level = np.full(len(values), values.mean())
    deviation = float(values.std(ddof=1))
    seen = _ratio(design, values[None])[0]
    of_smooth = _ratio(design, _draw(design.smooth(values, design.logs).values, noise, rules.draws, generator))
    jump = _noise(design, design.jump(values).squares)
    of_jump = _ratio(design, _draw(design.piecewise(values, design.logs).values, jump, rules.draws, generator))
    flat = _gain(design, _draw(level, deviation, rules.draws, generator))
    return (
        _share(flat >= _gain(design, values[None])[0]),
        _share(of_smooth >= seen),
        _share(of_jump <= seen),
    )


def _draw(expected: Floats, noise: float, tables: int, generator: np.random.Generator) -> Floats:
    """Return tables (D, n) of a curve (n,) with normal noise."""
    return expected + noise * generator.normal(size=(tables, len(expected)))


def _ratio(design: Design, tables: Floats) -> Floats:
    """Return the logarithms (D,) of the ratio of squares of a smooth curve and of one with a jump."""
    return np.log(design.smooth_squares(tables)) - np.log(design.jump_squares(tables))


def _gain(design: Design, tables: Floats) -> Floats:
    """Return the logarithms (D,) of the ratio of squares of a level and of the better curve."""
    best = np.minimum(design.smooth_squares(tables), design.jump_squares(tables))
    return np.log(design.total_squares(tables)) - np.log(best)


def _share(reached: NDArray[np.bool_]) -> float:
    """Return a p-value: the share of tables, those of the data among them."""
    return float((reached.sum() + 1) / (len(reached) + 1))


def _noise(design: Design, squares: float) -> float:
    return float(np.sqrt(squares / (len(design.logs) - SMOOTH_PARAMETERS)))


def _change(design: Design, values: Floats) -> tuple[float, float, float]:
    """Return the rise of a straight line over all compute, and its 95 % interval."""
    relative = (design.logs - design.logs.mean()) / design.span
    length = (relative**2).sum()
    rise = float(relative @ values / length)
    residuals = values - values.mean() - rise * relative
    freedom = len(values) - 2
    half = float(student.ppf((1 + LEVEL) / 2, freedom) * np.sqrt((residuals**2).sum() / freedom / length))
    return rise, rise - half, rise + half
