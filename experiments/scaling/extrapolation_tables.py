"""The tables of `scaling extrapolate`.

points.csv        the points, as they were read
families.csv      a row for each group and family: the largest amount foretold, weight, why it is left out
targets.csv       the amount at which each family reaches the target
predictions.csv   what each family says at marked amounts
fan.csv           the curves that are drawn
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from experiments.scaling.extrapolation import Drawn, Estimate, Extrapolated
from experiments.scaling.families import FAMILIES, FARTHEST, FamilyName
from experiments.scaling.options import ScalingExtrapolateOptions
from experiments.scaling.uncertainty import Basis
from experiments.scaling.units import Life
from experiments.statistics.outcomes import Floats

ALL = "all"
"""Name of the mixture of all weighted families."""
FAN_POINTS = 81
LONGEST_FAN = 14.0
"""Decades beyond the largest amount that are drawn, at most."""


@dataclass(frozen=True)
class FamilyRow:
    """A family of curves, fitted to a group of points: a row of families.csv."""

    group: str
    """Protocol or condition."""
    family: str
    """Name of the family."""
    fit_parameters: int
    """Numbers that were fitted."""
    rungs: int
    """Different amounts of the group."""
    points: int
    """Points of the group."""
    left_out: str
    """Why it was not fitted; empty if it was."""
    interval_from: Basis | None
    """What was drawn anew for intervals: `seeds`, `runs`, or `residuals` of single points."""
    rmse: float | None
    """Root mean square residual of the measure."""
    held_out: float | None
    """The largest amount, which was held out for the weight; empty where smaller ones are too few for the family."""
    seen: float | None
    """Mean of the measure there."""
    foretold: float | None
    """What the family foretold from smaller amounts."""
    foretold_low: float | None
    """Lower end of the 95 % interval of that, with the noise of points."""
    foretold_high: float | None
    """Upper end of it."""
    score: float | None
    """Logarithm of the density that was foretold, at what was seen."""
    weight: float | None
    """Weight among the families of the group, in proportion to that density."""


@dataclass(frozen=True)
class TargetRow:
    """Where a family reaches the target: a row of targets.csv. Amounts that are empty are not reached."""

    group: str
    """Protocol or condition."""
    family: str
    """Name of the family; `all` is the mixture of those that have a weight, and its median."""
    target_low: float
    """The target, or the lower end of its interval."""
    target_high: float
    """The target, or the upper end of its interval."""
    ceiling_low: float | None
    """The greatest possible value of the measure, or the lower end of its interval; empty for a loss."""
    ceiling_high: float | None
    """The same, or the upper end of its interval."""
    unit: str
    """What amounts are in."""
    amount: float | None
    """Amount at which the target is reached, of intervals their middles."""
    amount_low: float | None
    """Lower end of its 95 % interval, over the ends of target and ceiling as well."""
    amount_high: float | None
    """Upper end of it; empty where the curve may never reach the target."""
    factor: float | None
    """How many times the largest amount that was tried."""
    years: float | None
    """The amount in years of 24 hours a day; empty where it is no time."""
    years_low: float | None
    """Lower end of it."""
    years_high: float | None
    """Upper end of it."""
    waking_years: float | None
    """The amount in years of waking life, with the hours awake a day that were asked for."""
    waking_years_low: float | None
    """Lower end of it."""
    waking_years_high: float | None
    """Upper end of it."""
    reaching: float | None
    """Share of the curves through tables drawn anew that reach the target; empty where none were drawn."""
    note: str
    """Why there is no amount, or no interval."""


@dataclass(frozen=True)
class PredictionRow:
    """What a family says at an amount: a row of predictions.csv."""

    group: str
    """Protocol or condition."""
    family: str
    """Name of the family; `all` is the mixture of those that have a weight, and its median."""
    mark: str
    """What the amount is."""
    unit: str
    """What amounts are in."""
    amount: float
    """The amount."""
    factor: float
    """How many times the largest amount that was tried."""
    value: float | None
    """The measure there; empty where it would stand so far out without its interval."""
    low: float | None
    """Lower end of its 95 % interval."""
    high: float | None
    """Upper end of it."""


@dataclass(frozen=True)
class FanRow:
    """A point of a curve that is drawn: a row of fan.csv."""

    group: str
    """Protocol or condition."""
    family: str
    """Name of the family."""
    amount: float
    """The amount."""
    value: float
    """The measure there."""
    low: float | None
    """Lower end of its 95 % interval."""
    high: float | None
    """Upper end of it."""


def family_rows(found: Extrapolated) -> Iterator[FamilyRow]:
    """Yield a row for each family."""
    curve = found.curve
    for family in FAMILIES:
        drawn = [drawn.value for drawn in found.predict(family.name, curve.logs)] if family.name in found.fitted else []
        first = next(iter(found.fitted.get(family.name, {}).values()), None)
        held = found.held_out.get(family.name)
        low, high = _turned(found, held.low, held.high) if held else (None, None)
        yield FamilyRow(
            group=curve.group,
            family=family.name,
            fit_parameters=family.parameters,
            rungs=len(curve.rungs),
            points=len(curve.logs),
            left_out=found.left_out.get(family.name, ""),
            interval_from=None if first is None else first.basis,
            rmse=float(np.sqrt(np.mean((np.array(drawn) - curve.values) ** 2))) if drawn else None,
            held_out=10**held.log if held else None,
            seen=curve.turned(held.seen) if held else None,
            foretold=curve.turned(held.foretold) if held else None,
            foretold_low=low,
            foretold_high=high,
            score=held.score if held else None,
            weight=found.weights.get(family.name),
        )


def target_rows(found: Extrapolated, options: ScalingExtrapolateOptions, unit: str) -> Iterator[TargetRow]:
    """Yield the row of each family, and that of all together.

    Raises:
        ValueError: numbers without intervals are asked for, and one lies too far out.
    """
    reached = {name: found.reach(name) for name in found.fitted}
    for name, drawn in reached.items():
        yield _target_row(found, options, unit, name, drawn.interval(), _reaching(drawn))
    mixed = found.mixed(reached)
    if mixed is not None:
        share = sum(found.weights.get(name, 0.0) * (_reaching(drawn) or 0.0) for name, drawn in reached.items())
        yield _target_row(found, options, unit, ALL, mixed, share)


def prediction_rows(
    found: Extrapolated, options: ScalingExtrapolateOptions, unit: str, marks: Mapping[str, float]
) -> Iterator[PredictionRow]:
    """Yield what families, and all together, say at the amounts that are marked, by their names.

    Raises:
        ValueError: numbers without intervals are asked for, and one lies too far out.
    """
    if not marks:
        return
    amounts = list(marks.values())
    drawn = {name: found.predict(name, np.log10(amounts)) for name in found.fitted}
    for index, (mark, amount) in enumerate(marks.items()):
        of_mark = {name: of_family[index] for name, of_family in drawn.items()}
        estimates = {name: of_family.interval() for name, of_family in of_mark.items()}
        mixed = found.mixed(of_mark)
        named: list[tuple[str, Estimate]] = [*estimates.items(), *([(ALL, mixed)] if mixed else [])]
        for name, estimate in named:
            factor = amount / 10 ** found.curve.rungs[-1]
            bare = estimate.low is None and factor > options.bare_factor
            if bare and options.intervals == "none":
                _refuse_bare(options, f"{name} at {amount:g} {unit}", factor)
            low, high = _turned(found, estimate.low, estimate.high)
            value = None if bare else found.curve.turned(estimate.value)
            yield PredictionRow(found.curve.group, name, mark, unit, amount, factor, value, low, high)


def fan_rows(found: Extrapolated, marks: Mapping[str, float]) -> Iterator[FanRow]:
    """Yield the curves from the smallest amount to the farthest of the marks and of what the families reach."""
    for name in found.fitted:
        logs = fan_logs(found, marks)
        for log, drawn in zip(logs, found.predict(name, logs), strict=True):
            value, *ends = drawn.interval()
            low, high = _turned(found, *ends)
            yield FanRow(found.curve.group, name, 10 ** float(log), found.curve.turned(value), low, high)


def fan_logs(found: Extrapolated, marks: Mapping[str, float]) -> Floats:
    """Return the logarithms of the amounts at which curves are drawn; without intervals those that were tried."""
    smallest, largest = float(found.curve.rungs[0]), float(found.curve.rungs[-1])
    if not found.asked.draws:
        return np.linspace(smallest, largest, FAN_POINTS)
    reached = [found.reach(name).value for name in found.fitted]
    ends = [largest, *(math.log10(amount) for amount in marks.values()), *filter(math.isfinite, reached)]
    return np.linspace(smallest, min(max(ends) + 0.5, largest + LONGEST_FAN), FAN_POINTS)


def amount_of(log: float | None) -> float | None:
    """Return the amount of a logarithm; None where it is infinite."""
    return None if log is None or log == math.inf else 10**log


def _target_row(
    found: Extrapolated,
    options: ScalingExtrapolateOptions,
    unit: str,
    family: FamilyName | str,
    estimate: Estimate,
    reaching: float | None,
) -> TargetRow:
    life = Life(unit, options.waking_hours)
    factor = amount_of(estimate.value - float(found.curve.rungs[-1]))
    bare = estimate.low is None and factor is not None and factor > options.bare_factor
    if bare and options.intervals == "none":
        _refuse_bare(options, f"{family} reaches the target", factor or 0.0)
    amount, low, high = (None if bare or end is None else amount_of(end) for end in estimate)
    targets = sorted(found.curve.turned(target) for target in found.asked.targets)
    ceilings = (None, None) if found.curve.loss else (found.asked.limits[0].high, found.asked.limits[-1].high)
    return TargetRow(
        group=found.curve.group,
        family=family,
        target_low=targets[0],
        target_high=targets[-1],
        ceiling_low=ceilings[0],
        ceiling_high=ceilings[1],
        unit=unit,
        amount=amount,
        amount_low=low,
        amount_high=high,
        factor=factor,
        years=life.years(amount),
        years_low=life.years(low),
        years_high=life.years(high),
        waking_years=life.waking_years(amount),
        waking_years_low=life.waking_years(low),
        waking_years_high=life.waking_years(high),
        reaching=reaching,
        note=_note(found, family, estimate, bare, options),
    )


def _note(
    found: Extrapolated, family: FamilyName | str, estimate: Estimate, bare: bool, options: ScalingExtrapolateOptions
) -> str:
    if bare:
        return f"too few points for an interval: beyond {options.bare_factor:g} times what was tried no number is given"
    if estimate.value == math.inf:
        named: list[FamilyName] = [name for name in found.fitted if family in (name, ALL)]
        if all(found.never(name) for name in named):
            return "never reaches the target"
        return f"does not reach the target within {FARTHEST}"
    if estimate.low is None:
        return "without an interval"
    return "may never reach it" if estimate.high == math.inf else ""


def _refuse_bare(options: ScalingExtrapolateOptions, what: str, factor: float) -> None:
    raise ValueError(
        f"{what} {factor:.3g} times as far out as anything that was tried: beyond --bare-factor "
        f"{options.bare_factor:g} a number means nothing without its interval; leave out --intervals none"
    )


def _reaching(drawn: Drawn) -> float | None:
    if not drawn.by_ends:
        return None
    return float(np.mean([np.isfinite(draws) | (draws < 0) for draws in drawn.by_ends]))


def _turned(found: Extrapolated, low: float | None, high: float | None) -> tuple[float | None, float | None]:
    """Return an interval of the measure, of which losses are turned back."""
    if low is None or high is None:
        return None, None
    ends = sorted((found.curve.turned(low), found.curve.turned(high)))
    return ends[0], ends[1]
