"""Whether families of curves agree on where a target is reached, and the verdict in words.

agreement.csv     a row for each group: spread between families and within them, and whether they agree
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiments.methods import listed
from experiments.scaling.extrapolation import Estimate, Extrapolated
from experiments.scaling.extrapolation_tables import amount_of
from experiments.scaling.families import FARTHEST, FamilyName
from experiments.scaling.options import ScalingExtrapolateOptions
from experiments.scaling.units import Life


@dataclass(frozen=True)
class AgreementRow:
    """Whether the families agree on a group: a row of agreement.csv."""

    group: str
    """Protocol or condition."""
    agree: bool
    """Whether a verdict can be given: those that count all reach the target, with intervals that are not open, and with
    amounts within the factor that was asked for."""
    counted: str
    """Families that count: all but those whose weight is below .05 of the largest."""
    never: str
    """Those among them that never reach the target, or not within 1e+300 of the unit of amounts."""
    between: float | None
    """Decades from the smallest to the largest amount of the families that count and have an interval."""
    within: float | None
    """Decades of their 95 % intervals, the median; empty where that is open."""
    farthest: float | None
    """The largest of their amounts, as a multiple of the largest that was tried; of families with intervals."""
    verdict: str
    """In words; where they do not agree, how far they are apart."""


def agreement_row(found: Extrapolated, options: ScalingExtrapolateOptions, unit: str) -> AgreementRow:
    """Return whether the families of a group agree, and the verdict in words."""
    counted = found.counted()
    reached = {name: found.reach(name).interval() for name in counted}
    never = [name for name, estimate in reached.items() if estimate.value == math.inf]
    logs = [one.value for one in reached.values() if one.low is not None and math.isfinite(one.value)]
    between = max(logs) - min(logs) if logs else None
    widths = [_width(estimate) for estimate in reached.values()]
    within = float(np.median(widths)) if widths else math.inf
    agree = bool(
        logs and not never and np.isfinite(widths).all() and (between or 0.0) <= math.log10(options.agree_within)
    )
    return AgreementRow(
        group=found.curve.group,
        agree=agree,
        counted=", ".join(counted),
        never=", ".join(never),
        between=between,
        within=within if math.isfinite(within) else None,
        farthest=amount_of(max(logs) - float(found.curve.rungs[-1])) if logs else None,
        verdict=_verdict(found, options, unit, reached, agree),
    )


def describe_amount(amount: float | None, unit: str, life: Life) -> str:
    """Return an amount in words, with years where it is time."""
    if amount is None:
        return "never"
    years = life.years(amount)
    waking = "" if years is None else f", {life.waking_years(amount):.3g} of waking life"
    return f"{amount:.3g} {unit}" + ("" if years is None else f" ({years:.3g} years of 24 hours{waking})")


def _verdict(
    found: Extrapolated,
    options: ScalingExtrapolateOptions,
    unit: str,
    reached: Mapping[FamilyName, Estimate],
    agree: bool,
) -> str:
    life = Life(unit, options.waking_hours)
    reaching = {name: estimate for name, estimate in reached.items() if estimate.value < math.inf}
    if agree:
        mixed = found.mixed({name: found.reach(name) for name in found.fitted})
        ends = mixed or next(iter(reaching.values()))
        interval = " to ".join(describe_amount(amount_of(end), unit, life) for end in (ends.low, ends.high))
        amount = describe_amount(amount_of(ends.value), unit, life)
        return f"the target takes {amount}; 95 % interval {interval}"
    if _falls(found):
        return "no verdict: the measure does not get better as the amount grows: nothing says where the target is"
    if _reached_at_once(found):
        return "no verdict: the smallest amount that was tried reaches the target: nothing is carried on"
    if not reaching:
        return f"no verdict: of the families that count {_not_reaching(found, unit, list(reached))}"
    known = {name: estimate for name, estimate in reaching.items() if estimate.low is not None}
    never = [name for name in reached if name not in reaching]
    bare = [name for name in reaching if name not in known]
    others = f"; {_not_reaching(found, unit, never)}" if never else ""
    without = f"{listed(bare)} {'has' if len(bare) == 1 else 'have'} no interval" if bare else ""
    if not known:
        return f"no verdict: {without}, and a number means nothing without{others}"
    others += f"; {without}" if bare else ""
    least, most = (pick(known, key=lambda name: known[name].value) for pick in (min, max))
    low, high = (describe_amount(amount_of(known[name].value), unit, life) for name in (least, most))
    if least == most:
        return f"no verdict: {least} reaches the target at {low}{others or ', and may never'}"
    if known[most].value - known[least].value <= math.log10(options.agree_within) and not others:
        return f"no verdict: {low} by {least}, {high} by {most}, but an interval is open"
    return f"no verdict: {low} by {least}, {high} by {most}{others}"


def _not_reaching(found: Extrapolated, unit: str, names: Sequence[FamilyName]) -> str:
    """Return which families never reach the target, and which do so too far out to be told."""
    never = [name for name in names if found.never(name)]
    later = [name for name in names if name not in never]
    said = [f"{listed(never)} never"] if never else []
    return "; ".join([*said, *([f"{listed(later)} not within {FARTHEST} {unit}"] if later else [])])


def _falls(found: Extrapolated) -> bool:
    """Whether the measure is no better the larger the amount, along a straight line over logarithms."""
    curve = found.curve
    return bool((curve.logs - curve.logs.mean()) @ curve.values <= 0)


def _reached_at_once(found: Extrapolated) -> bool:
    curve = found.curve
    return float(curve.values[curve.logs == curve.rungs[0]].mean()) >= found.asked.target


def _width(estimate: Estimate) -> float:
    if estimate.low is None or estimate.high is None:
        return math.inf
    return estimate.high - estimate.low
