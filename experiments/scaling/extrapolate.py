"""Carry a measure to amounts that nobody tried, by several families of curves.

points.csv, families.csv, targets.csv, predictions.csv, agreement.csv, fan.csv
                    see `extrapolation_tables`
codebook.csv        what the columns of these tables are
methods.txt         how it was done, in words
extrapolation.png   the curves of all families, with their intervals; as .pdf and .svg too
page.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.codebook import write_codebook
from experiments.pages import Section, write_report
from experiments.scaling.columns import AnyTable, copies_in_words
from experiments.scaling.curves import Curve, curves_of, read_curves
from experiments.scaling.extrapolation import Extrapolated, ask, basis_in_words, extrapolate_curve
from experiments.scaling.extrapolation_agreement import AgreementRow, agreement_row
from experiments.scaling.extrapolation_page import (
    agreement_section,
    extrapolation_methods,
    family_section,
    lead,
    prediction_section,
    target_section,
)
from experiments.scaling.extrapolation_plot import draw_fan
from experiments.scaling.extrapolation_tables import (
    FamilyRow,
    FanRow,
    PredictionRow,
    TargetRow,
    family_rows,
    fan_rows,
    prediction_rows,
    target_rows,
)
from experiments.scaling.options import ScalingExtrapolateOptions
from experiments.scaling.table_sets import read_set, write_set
from experiments.scaling.tables import CurveRow
from experiments.scaling.units import Life
from sampling.pages import facts_of
from storage.run_folder import open_run
from storage.terminal import count, visible
from training.progress import say_done, say_found

TABLES: dict[str, type] = {
    "points.csv": CurveRow,
    "families.csv": FamilyRow,
    "targets.csv": TargetRow,
    "predictions.csv": PredictionRow,
    "agreement.csv": AgreementRow,
    "fan.csv": FanRow,
}
"""The rows of the tables, for the codebook."""


@dataclass(frozen=True)
class ExtrapolationTables:
    """All tables, in the order of `TABLES`: whatever is drawn comes from them."""

    points: Sequence[CurveRow]
    families: list[FamilyRow]
    targets: list[TargetRow]
    predictions: list[PredictionRow]
    agreements: list[AgreementRow]
    fan: list[FanRow]


def extrapolate(options: ScalingExtrapolateOptions) -> Path:
    """Write the tables, the plot and the page of a table of points, print what came out, and return the folder.

    Raises:
        ValueError: the table cannot be used, a group has one amount only, a target or a ceiling does not fit the
            measure, or a number without its interval lies too far out.
    """
    points, loss = read_curves(options)
    copies = copies_in_words(AnyTable(options.table))
    curves = curves_of(points, loss)
    asked = ask(options, curves)
    unit = points[0].unit
    life = Life(unit, options.waking_hours)
    marks = _marks(options, life, unit, curves)
    _say_found(options, points, curves, life)
    found = [extrapolate_curve(curve, asked) for curve in curves]

    tables = ExtrapolationTables(
        points=points,
        families=[row for group in found for row in family_rows(group)],
        targets=[row for group in found for row in target_rows(group, options, unit)],
        predictions=[row for group in found for row in prediction_rows(group, options, unit, marks)],
        agreements=[agreement_row(group, options, unit) for group in found] if asked.draws else [],
        fan=[row for group in found for row in fan_rows(group, marks)],
    )
    out = open_run(options.out, options, resume="auto", begun=False)  # another one replaces the one before
    write_set(out, tables, TABLES)
    write_codebook(out, TABLES)
    draw_extrapolation(out, tables, options)
    sections = [*extrapolation_sections(out, tables, options), extrapolation_methods(out, options, found, unit)]
    title = "How far may the curve be carried?"
    write_report(out / "page.html", title, lead(tables.agreements, copies), sections, facts=facts_of(options))
    _print(found, tables.families, tables.targets, tables.agreements)
    if copies:
        print(copies)
    say_done(out / "page.html", "open it in a browser")
    return out


def read_extrapolation(folder: Path) -> ExtrapolationTables:
    """Return the tables that `extrapolate` wrote into a folder.

    Raises:
        OSError: one is not there.
        ValueError: one is damaged, or has no rows where it must have some.
    """
    return read_set(folder, ExtrapolationTables, TABLES, ("points.csv", "targets.csv", "fan.csv"))


def draw_extrapolation(out: Path, tables: ExtrapolationTables, options: ScalingExtrapolateOptions) -> None:
    """Draw the curves into a folder, from their tables alone; the options only add to the line below."""
    ends = (tables.targets[0].target_low, tables.targets[0].target_high)
    marks = {row.mark: row.amount for row in tables.predictions}
    life = Life(tables.points[0].unit, options.waking_hours)
    draw_fan(out / "extrapolation.png", tables.points, tables.fan, ends, marks, _note(options, life))


def extrapolation_sections(out: Path, tables: ExtrapolationTables, options: ScalingExtrapolateOptions) -> list[Section]:
    """Return the sections on curves whose figure lies in a folder."""
    return [
        target_section(out, tables.targets, tables.families),
        *([agreement_section(tables.agreements, options)] if tables.agreements else []),
        *([prediction_section(tables.predictions)] if tables.predictions else []),
        family_section(tables.families),
    ]


def _marks(options: ScalingExtrapolateOptions, life: Life, unit: str, curves: Sequence[Curve]) -> dict[str, float]:
    """Return the amounts that are marked; without intervals years of waking life only where they lie near enough."""
    marks = life.marks()
    if options.intervals == "none":
        farthest = options.bare_factor * min(10 ** float(curve.rungs[-1]) for curve in curves)
        marks = {name: amount for name, amount in marks.items() if amount <= farthest}
    return marks | {f"{amount:g} {unit}": amount for amount in options.at}


def _say_found(
    options: ScalingExtrapolateOptions, points: Sequence[CurveRow], curves: Sequence[Curve], life: Life
) -> None:
    groups = ", ".join(
        f"{curve.group or 'all'}: {count(len(curve.logs), 'point')} at {len(curve.rungs)} amounts" for curve in curves
    )
    kind = "a loss" if curves[0].loss else "an accuracy, from 0 to 1"
    say_found(points=groups, amounts=f"in {points[0].unit}", measure=f"{points[0].measure}, {kind}")
    if options.intervals == "draws":
        bases = dict.fromkeys(basis_in_words(curve) for curve in curves)
        say_found(intervals=f"from {'; '.join(bases)}")
    if life.hours is not None:
        say_found(waking_life=f"{options.waking_hours:g} hours a day, --waking-hours; a year has 365 days")


def _note(options: ScalingExtrapolateOptions, life: Life) -> str:
    awake = "" if life.hours is None else f"Waking life: {options.waking_hours:g} hours a day. "
    return f"{awake}Bands: 95 % for each family." if options.intervals == "draws" else awake.strip()


def _print(
    found: Sequence[Extrapolated],
    families: Sequence[FamilyRow],
    targets: Sequence[TargetRow],
    agreements: Sequence[AgreementRow],
) -> None:
    """Print where each family of each group reaches the target, and the verdicts."""
    weights = {(row.group, row.family): row.weight for row in families}
    for group in found:
        print(f"== {visible(group.curve.group or 'all points')}")
        for name, reason in group.left_out.items():
            print(f"{name:18s} left out: {reason}")
        for row in targets:
            if row.group == group.curve.group:
                print(_line(row, weights.get((row.group, row.family))))
        for agreement in agreements:
            if agreement.group == group.curve.group:
                print(visible(agreement.verdict))


def _line(row: TargetRow, weight: float | None) -> str:
    if row.amount is None:
        said = row.note
    else:
        said = f"{_with_ends(row.amount, row.amount_low, row.amount_high, row)} {row.unit}"
    if row.years is not None:
        years = _with_ends(row.years, row.years_low, row.years_high, row)
        said += f", {years} years of 24 hours, {row.waking_years:.3g} of waking life"
    factor = "" if row.amount is None or row.factor is None else f", {row.factor:.3g} times the largest amount tried"
    weighted = "" if weight is None else f", weight {weight:.2f}"
    return visible(f"{row.family:18s} {said}{factor}{weighted}")


def _with_ends(value: float, low: float | None, high: float | None, row: TargetRow) -> str:
    if row.reaching is None:
        return f"{value:.3g}"
    ends = ("unbounded" if end is None else f"{end:.3g}" for end in (low, high))
    return f"{value:.3g} [{' to '.join(ends)}]"
