"""Where families of curves reach a target, what they say of amounts that nobody tried, and whether they agree.

Targets and ceilings may be intervals. The estimate is that for their middles, and its interval reaches from the lowest
to the highest end of the intervals for all combinations of their ends.

Families agree where those that the held-out amount has not ruled out (`weights`) all reach the target, with intervals
that are not open, and the largest of their amounts is at most `--agree-within` times the smallest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from experiments.scaling.curves import Curve
from experiments.scaling.families import FAMILIES, Family, FamilyName, Limits, Say, after
from experiments.scaling.options import ScalingExtrapolateOptions
from experiments.scaling.uncertainty import ENDS, Fitted, basis_of, fit_drawn, quantile
from experiments.scaling.weights import RULED_OUT, HeldOut, hold_out, weigh
from experiments.statistics.outcomes import Floats
from training.progress import Progress


class Estimate(NamedTuple):
    """A number with its 95 % interval, None where there is none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Drawn:
    """An estimate, and what it would be in tables drawn anew."""

    value: float
    by_ends: tuple[Floats, ...]
    """(D,) for each combination of the ends of target and ceiling; none where there are no draws."""

    def interval(self) -> Estimate:
        """Return the estimate with its interval."""
        if not self.by_ends:
            return Estimate(self.value, None, None)
        low = min(quantile(draws, ENDS[0]) for draws in self.by_ends)
        high = max(quantile(draws, ENDS[1]) for draws in self.by_ends)
        return Estimate(self.value, low, high)


@dataclass(frozen=True)
class Asked:
    """What is asked of a curve, as a measure that is better the greater it is."""

    targets: tuple[float, ...]
    """One, or the two ends of an interval."""
    limits: tuple[Limits, ...]
    """Ends of the measure: one pair, or two where the ceiling is an interval."""
    draws: int
    seed: int

    @property
    def target(self) -> float:
        """The middle of the target."""
        return sum(self.targets) / len(self.targets)

    @property
    def middle(self) -> Limits:
        """The ends of the measure, with the middle of the ceiling."""
        return Limits(self.limits[0].low, sum(limits.high for limits in self.limits) / len(self.limits))


@dataclass(frozen=True)
class Extrapolated:
    """A group of points with all families that can be fitted."""

    curve: Curve
    asked: Asked
    fitted: Mapping[FamilyName, Mapping[Limits, Fitted]]
    """Under all ends of the measure that matter to a family."""
    left_out: Mapping[FamilyName, str]
    """Why families are not fitted."""
    held_out: Mapping[FamilyName, HeldOut]
    weights: Mapping[FamilyName, float]

    def reach(self, name: FamilyName) -> Drawn:
        """Return the logarithm of the amount at which a family reaches the target; infinite where it does not."""
        by_limits = self.fitted[name]
        family = _named(name)
        value = by_limits[family.uses(self.asked.middle)].point.reaching(self.asked.target)[0]
        ends = [
            draws.reaching(target)
            for limits, target in product(self._ends(family), self.asked.targets)
            if (draws := by_limits[limits].draws) is not None
        ]
        return Drawn(float(value), tuple(ends))

    def never(self, name: FamilyName) -> bool:
        """Whether a family does not reach the target at any amount, however large."""
        point = self.fitted[name][_named(name).uses(self.asked.middle)].point
        return not point.ever(self.asked.target)[0]

    def predict(self, name: FamilyName, logs: Floats) -> list[Drawn]:
        """Return what a family says of amounts with logarithms (m,)."""
        by_limits = self.fitted[name]
        family = _named(name)
        values = by_limits[family.uses(self.asked.middle)].point.values(logs)[0]
        ends = [draws.values(logs) for limits in self._ends(family) if (draws := by_limits[limits].draws) is not None]
        return [Drawn(float(value), tuple(draws[:, m] for draws in ends)) for m, value in enumerate(values)]

    def mixed(self, drawn: Mapping[FamilyName, Drawn]) -> Estimate | None:
        """Return the median of all weighted families together with the interval of their mixture, None if none is."""
        weighted = [(of_family, self.weights[name]) for name, of_family in drawn.items() if self.weights.get(name)]
        numbers = [draws for of_family, _ in weighted for draws in of_family.by_ends]
        if not numbers:
            return None
        parts = [
            np.full(len(draws), weight / len(of_family.by_ends))
            for of_family, weight in weighted
            for draws in of_family.by_ends
        ]
        shares = (0.5, *ENDS)
        return Estimate(*(quantile(np.concatenate(numbers), share, np.concatenate(parts)) for share in shares))

    def counted(self) -> list[FamilyName]:
        """Return the families that the held-out amount has not ruled out, unweighted ones among them."""
        largest = max(self.weights.values(), default=0.0)
        return [name for name in self.fitted if self.weights.get(name, largest) >= RULED_OUT * largest]

    def _ends(self, family: Family) -> list[Limits]:
        return list(dict.fromkeys(family.uses(limits) for limits in self.asked.limits))


def ask(options: ScalingExtrapolateOptions, curves: Sequence[Curve]) -> Asked:
    """Return what the options ask of curves.

    Raises:
        ValueError: a ceiling, a floor or a target does not fit the others, the measure or its values.
    """
    loss = curves[0].loss
    low, highs = _ends_of_measure(options, loss)
    _check_values(curves, low, highs)
    for target in options.target:
        if loss and target <= low:
            raise ValueError(f"--target {target:g} is not above the least possible loss, --floor {low:g}")
        if not loss and not low < target < min(highs):
            raise ValueError(
                f"--target {target:g} must lie between --floor {low:g} and --ceiling {min(highs):g}: at an end a logit "
                "is infinite, and no curve gets there; targets are shares from 0 to 1, also of values in per cent"
            )
    targets = tuple(sorted(curves[0].turned(target) for target in options.target))
    limits = (Limits(-math.inf, -low),) if loss else tuple(Limits(low, high) for high in highs)
    return Asked(targets, limits, options.draws if options.intervals == "draws" else 0, options.seed)


def extrapolate_curve(curve: Curve, asked: Asked) -> Extrapolated:
    """Fit all families to a curve and to tables drawn anew, and weigh them by the largest amount."""
    left_out: dict[FamilyName, str] = {}
    under: dict[Family, list[Limits]] = {}
    for family in FAMILIES:
        reason = next(filter(None, (family.left_out(curve, limits) for limits in asked.limits)), "")
        if reason:
            left_out[family.name] = reason
            continue
        under[family] = list(dict.fromkeys(family.uses(limits) for limits in (*asked.limits, asked.middle)))
    fits = sum(map(len, under.values())) * asked.draws
    title = f"tables drawn anew of {curve.group or 'all points'}"
    with Progress(title, fits + len(FAMILIES) * asked.draws, visible=asked.draws > 0) as progress:
        fitted = _fit_all(curve, asked, under, progress.show)
        say = after(progress.show, fits)
        held_out = hold_out(curve, asked.middle, asked.draws, asked.seed, say) if asked.draws else {}
        progress.show(progress.total)
    held_out = {name: of_family for name, of_family in held_out.items() if name in fitted}
    return Extrapolated(curve, asked, fitted, left_out, held_out, weigh(held_out))


def _fit_all(
    curve: Curve, asked: Asked, under: Mapping[Family, Sequence[Limits]], say: Say
) -> dict[FamilyName, dict[Limits, Fitted]]:
    """Fit families under all ends of the measure that matter to them; `say` is told how many tables are fitted."""
    fitted: dict[FamilyName, dict[Limits, Fitted]] = {family.name: {} for family in under}
    pairs = [(family, limits) for family, ends in under.items() for limits in ends]
    for number, (family, limits) in enumerate(pairs):
        generator = np.random.default_rng((asked.seed, FAMILIES.index(family)))
        fitted[family.name][limits] = fit_drawn(
            family, limits, curve, asked.draws, generator, after(say, number * asked.draws)
        )
    return fitted


def basis_in_words(curve: Curve) -> str:
    """Return what the intervals of a curve's families come from."""
    return {
        "seeds": "seeds, each followed over the amounts",
        "runs": "runs, of which there are several at an amount",
        "residuals": "residuals about the curve, since there is one run at each amount: of other runs nothing is known",
        "none": "nothing, as there are too few points",
    }[basis_of(curve, FAMILIES[0].parameters)]


def _ends_of_measure(options: ScalingExtrapolateOptions, loss: bool) -> tuple[float, tuple[float, ...]]:
    """Return the least value of the measure, and the ends of the interval of the greatest."""
    low = 0.0 if options.floor is None else options.floor
    if loss:
        if options.ceiling:
            raise ValueError("--ceiling is for accuracies: of a loss give --floor, the least that can be reached")
        return low, (math.inf,)
    highs = tuple(sorted(options.ceiling)) or (1.0,)
    if not 0 <= low < highs[0] <= highs[-1] <= 1:
        said = " ".join(f"{high:g}" for high in highs)
        raise ValueError(f"--floor {low:g} and --ceiling {said} of an accuracy must lie in [0, 1], the floor below")
    return low, highs


def _check_values(curves: Sequence[Curve], low: float, highs: tuple[float, ...]) -> None:
    """Refuse values better than the best that the measure can be said to have.

    Raises:
        ValueError: an accuracy lies above the ceiling, or a loss below the floor.
    """
    best = max(float(curve.values.max()) for curve in curves)
    if curves[0].loss and -best < low:
        raise ValueError(f"{-best:g} lies below --floor {low:g}, the least loss that there can be: give a lower one")
    if not curves[0].loss and best > highs[0]:
        raise ValueError(f"{best:g} lies above --ceiling {highs[0]:g}, the greatest value that there can be: raise it")


def _named(name: FamilyName) -> Family:
    return next(family for family in FAMILIES if family.name == name)
