"""The page of `scaling extrapolate`, and how it was made, in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.methods import listed, methods_section
from experiments.pages import Section, embed, without_empty_columns
from experiments.scaling.extrapolation import Extrapolated, basis_in_words
from experiments.scaling.extrapolation_agreement import AgreementRow
from experiments.scaling.extrapolation_tables import FamilyRow, PredictionRow, TargetRow
from experiments.scaling.families import FAMILIES, FARTHEST
from experiments.scaling.options import ScalingExtrapolateOptions
from experiments.scaling.units import DAYS, hours_of
from experiments.scaling.weights import RULED_OUT

FORMULAS: dict[str, str] = {
    "linear": "y = a + b x",
    "log-linear": "y = a + b log x",
    "power law": "y = a - b x^-c, a no better than the measure's end",
    "logit-linear": "logit of y between the measure's ends = a + b log x",
    "broken power law": "a power law whose exponent changes once, over a quarter of a decade",
}
"""Families as people write them."""


def lead(agreements: Sequence[AgreementRow], copies: str = "") -> str:
    """Return the first paragraphs of the page: the verdict of each group, and what is said of copied rows."""
    return "\n\n".join([*(_named(row.group, row.verdict) for row in agreements), *filter(None, [copies])])


def target_section(out: Path, rows: Sequence[TargetRow], families: Sequence[FamilyRow]) -> Section:
    """Return the section on where families reach the target."""
    weights = {(row.group, row.family): row.weight for row in families}
    heads = ("group", "family", "weight", rows[0].unit if rows else "", "95 % interval", "times the largest tried")
    table = [(*heads, "years of 24 hours", "years of waking life", "note")]
    for row in rows:
        weight = weights.get((row.group, row.family))
        table.append(
            (
                *(row.group, row.family, "" if weight is None else f"{weight:.2f}", _number(row.amount)),
                *(_interval(row.amount_low, row.amount_high, row.reaching), _number(row.factor)),
                *(_number(row.years), _number(row.waking_years), row.note),
            )
        )
    return Section(
        "Where the target is reached",
        "A line for each family of functions through the same points, the band its 95 % interval. Weights tell how "
        "well a family foretold the largest amount from the smaller ones; `all` is the mixture by these weights. An "
        "interval holds for its family alone: which family is right is not in it, and the spread between families "
        "tells how much hangs on that. Linear and log-linear curves know nothing of a ceiling. Lines that leave the "
        "panel go on in `fan.csv`.",
        (
            embed(
                out / "extrapolation.png", "The measure against the amount, families of functions and their intervals"
            ),
        ),
        without_empty_columns(table),
    )


def agreement_section(rows: Sequence[AgreementRow], options: ScalingExtrapolateOptions) -> Section:
    """Return the section on whether families agree."""
    table = [("group", "agree", "families that count", "decades between them", "decades within", "times the largest")]
    for row in rows:
        cells = (_number(row.between), "open" if row.within is None else _number(row.within), _number(row.farthest))
        table.append((row.group, "yes" if row.agree else "no", row.counted, *cells))
    return Section(
        "Do the families agree?",
        "A verdict is given where all families that count reach the target within a factor of "
        f"{options.agree_within:g} of one another, and none of their intervals is open. All count but those that the "
        f"held-out amount has ruled out, with a weight below {RULED_OUT:g} of the largest. `Between` is from the "
        "smallest to the largest of their amounts, `within` the median of their intervals, in decades, factors of ten.",
        table=without_empty_columns(table),
    )


def prediction_section(rows: Sequence[PredictionRow]) -> Section:
    """Return the section on what families say at marked amounts."""
    table = [("group", "amount", "times the largest tried", "family", "value", "95 % interval")]
    for row in rows:
        interval = "" if row.low is None else f"{row.low:.3f} to {row.high:.3f}"
        value = "" if row.value is None else f"{row.value:.3f}"
        table.append(
            (row.group, f"{row.mark} ({row.amount:.3g} {row.unit})", f"{row.factor:.3g}", row.family, value, interval)
        )
    return Section("At marked amounts", "What each family says of them.", table=without_empty_columns(table))


def family_section(rows: Sequence[FamilyRow]) -> Section:
    """Return the section on the families and what they foretold."""
    table = [("group", "family", "formula", "residual", "largest, seen", "foretold", "95 % interval", "left out")]
    for row in rows:
        interval = "" if row.foretold_low is None else f"{row.foretold_low:.3f} to {row.foretold_high:.3f}"
        seen, foretold = ("" if value is None else f"{value:.3f}" for value in (row.seen, row.foretold))
        residual = "" if row.rmse is None else f"{row.rmse:.3g}"
        formula = FORMULAS.get(row.family, "")
        table.append((row.group, row.family, formula, residual, seen, foretold, interval, row.left_out))
    return Section(
        "The families, and the largest amount held out",
        "Each is fitted by least squares. Then it is fitted without the largest amount, and what it foretells there "
        "stands beside what was seen.",
        table=without_empty_columns(table),
    )


def extrapolation_methods(
    out: Path, options: ScalingExtrapolateOptions, found: Sequence[Extrapolated], unit: str
) -> Section:
    """Write `out/methods.txt`, and return the section of the page."""
    paragraphs = [_fits(options, found), _intervals(options, found), _weights(options), _life(options, unit)]
    return methods_section(out, [paragraph for paragraph in paragraphs if paragraph], "the options and the table")


def _fits(options: ScalingExtrapolateOptions, found: Sequence[Extrapolated]) -> str:
    fitted = [family.name for family in FAMILIES if any(family.name in group.fitted for group in found)]
    left_out = {
        f"{name} ({_named(group.curve.group, reason)})" for group in found for name, reason in group.left_out.items()
    }
    others = f" Left out were {listed(sorted(left_out))}." if left_out else ""
    formulas = "; ".join(f"{name}, {FORMULAS[name]}" for name in fitted)
    logit = "the logit-linear family on the scale of its logit, " if "logit-linear" in fitted else ""
    powers = [name for name in fitted if "power" in name]
    searched = (
        f"{logit}{listed(powers)} by variable projection over a grid of shapes that is made finer" if powers else ""
    )
    how = f", {searched}" if searched else ""
    return (
        f"Families of functions of the amount x were fitted to the measure y by least squares{how}: {formulas}."
        f"{others} The target was {_ends(options.target)}{_limits(options, found)}."
    )


def _limits(options: ScalingExtrapolateOptions, found: Sequence[Extrapolated]) -> str:
    floor = 0.0 if options.floor is None else options.floor
    if found[0].curve.loss:
        return f", the least possible loss {floor:g}"
    return f", the measure's ends {floor:g} and {_ends(options.ceiling or (1.0,))}"


def _intervals(options: ScalingExtrapolateOptions, found: Sequence[Extrapolated]) -> str:
    if options.intervals == "none":
        return f"No intervals were computed; no number lies beyond {options.bare_factor:g} times the largest amount."
    bases = {_named(group.curve.group, basis_in_words(group.curve)) for group in found}
    return (
        f"Intervals of 95 % are quantiles over {options.draws:,} tables drawn anew (seed {options.seed}) from each "
        "family's fit: where seeds were followed over several amounts, each seed's residuals times one number of "
        "Student's t (a wild cluster bootstrap), otherwise normal residuals with a variance drawn as well, so that "
        f"linear families have Student's t intervals. They come from {listed(sorted(bases))}. Where target or ceiling "
        "are intervals, those of results reach over all their ends."
    )


def _weights(options: ScalingExtrapolateOptions) -> str:
    if options.intervals == "none":
        return ""
    return (
        "Families were weighted by the density that each, fitted to all smaller amounts, gave to the mean of the "
        f"measure at the largest. Those with less than {RULED_OUT:g} of the largest weight were taken to be ruled out; "
        "a verdict was given where all others reached the target within a factor of "
        f"{options.agree_within:g} of one another, none of their intervals being open."
    )


def _life(options: ScalingExtrapolateOptions, unit: str) -> str:
    if hours_of(unit) is None:
        return ""
    return (
        f"A year has {DAYS} days of 24 hours; a year of waking life {DAYS} days of {options.waking_hours:g} hours "
        "awake, an assumption (recommended sleep leaves 10 to 13 hours awake at 1 and 2 years, 11 to 14 at 3 to 5, "
        "and 12 to 15 at 6 to 12; Paruthi et al. 2016, doi 10.5664/jcsm.6288)."
    )


def _ends(values: Sequence[float]) -> str:
    return " to ".join(f"{value:g}" for value in sorted(values))


def _named(group: str, text: str) -> str:
    return f"{group}: {text}" if group else text


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _interval(low: float | None, high: float | None, drawn: float | None) -> str:
    """Return an interval of amounts, which has no upper end where the curve may never reach the target."""
    if drawn is None:
        return ""
    if low is None:
        return f"beyond {FARTHEST}, if ever"
    return f"{low:.3g} to {high:.3g}" if high is not None else f"from {low:.3g}"
