"""How well families foretell the largest amount from the others, and the weight that each has for it.

The largest amount is held out. What a family says of the mean there is a distribution over tables drawn anew, noise of
the held-out points included; its density at what was seen, with the width of the middle 68 %, is the family's score,
and weights are proportional to it. One amount is held out, so that weights tell what is out of the question, and little
among the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from experiments.scaling.curves import Curve
from experiments.scaling.families import FAMILIES, FamilyName, Limits, Say, after
from experiments.scaling.uncertainty import ENDS, fit_drawn, quantile

MIDDLE = (0.16, 0.84)
"""Ends of the middle of a distribution, whose half-width stands for its standard deviation."""
RULED_OUT = 0.05
"""Share of the largest weight, below which a family is ruled out by the held-out amount."""
LEAST_WIDTH = 1e-6
"""Of a distribution, of the spread of the measure: points on a curve without noise leave none."""


@dataclass(frozen=True)
class HeldOut:
    """What a family, fitted to all smaller amounts, says of the largest."""

    log: float
    """Logarithm of the amount."""
    seen: float
    """Mean of the measure there."""
    foretold: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of it."""
    score: float
    """Logarithm of the density at what was seen."""


def hold_out(
    curve: Curve, limits: Limits, draws: int, seed: int, say: Say = lambda done: None
) -> dict[FamilyName, HeldOut]:
    """Return what families say of the largest amount; those are left out that smaller ones are too few for.

    Args:
        curve: the points.
        limits: ends of the measure.
        draws: tables that are drawn anew for each family.
        seed: of the draws.
        say: is told, where that takes long, how many tables are fitted, of which each family has `draws`.
    """
    largest = float(curve.rungs[-1])
    smaller = curve.before(largest)
    values = curve.values[curve.logs == largest]
    spread = float(np.ptp(curve.values)) or 1.0
    found: dict[FamilyName, HeldOut] = {}
    for index, family in enumerate(FAMILIES):
        if family.left_out(curve, limits) or family.left_out(smaller, limits):
            continue
        generator = np.random.default_rng((seed, index))
        fitted = fit_drawn(family, limits, smaller, draws, generator, after(say, index * draws))
        if fitted.draws is None:
            continue
        at = np.array([largest])
        noise = fitted.noise * generator.normal(size=draws) / math.sqrt(len(values))
        drawn = family.unlink(fitted.draws.scores(at)[:, 0] + noise, limits)
        low, high = (quantile(drawn, share) for share in MIDDLE)
        width = max((high - low) / 2, LEAST_WIDTH * spread)
        seen = float(values.mean())
        distance = (seen - quantile(drawn, 0.5)) / width
        score = -(distance**2) / 2 - math.log(width)
        low, high = (quantile(drawn, share) for share in ENDS)
        found[family.name] = HeldOut(largest, seen, float(fitted.point.values(at)[0, 0]), low, high, score)
    return found


def weigh(held_out: Mapping[FamilyName, HeldOut]) -> dict[FamilyName, float]:
    """Return the weights of families, whose sum is 1."""
    best = max((of_family.score for of_family in held_out.values()), default=0.0)
    parts = {name: math.exp(of_family.score - best) for name, of_family in held_out.items()}
    return {name: part / sum(parts.values()) for name, part in parts.items()}
