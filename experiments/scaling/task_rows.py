"""The tables of `scaling tasks`.

points.csv    the points, as they were read
classes.csv   a row for each task, group of items and measure: what kind of curve it is, and why
fits.csv      the curves that are drawn
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from experiments.scaling.emergence import Classified, Kind, Rates, Rules, classify, simulate_rates, too_few
from experiments.scaling.options import ScalingTasksOptions
from experiments.scaling.shapes import Design, FitName, Line
from experiments.scaling.task_table import TaskTable
from experiments.statistics.multiplicity import holm
from experiments.statistics.outcomes import Floats

Measure = Literal["accuracy", "likelihood"]

SIMULATED_DRAWS = 199
"""Tables for each p-value of a simulated curve."""
CURVE_POINTS = 121


@dataclass(frozen=True)
class ClassRow:
    """What kind of curve a measure of a task makes over compute: a row of classes.csv."""

    task: str
    """Name of the task."""
    items: str
    """Group of items of the task; empty where there are none."""
    measure: Measure
    """`accuracy`, or `likelihood`, the continuous measure of the same answers."""
    kind: Kind
    """What it was called."""
    reason: str
    """Why it is undecided; empty otherwise."""
    rungs: int
    """Different amounts of compute."""
    points: int
    """Models, each with its amount and seed."""
    change: float | None
    """Rise of a straight line in log compute, over all compute; below 0 where the measure gets worse."""
    change_low: float | None
    """Lower end of its 95 % interval."""
    change_high: float | None
    """Upper end of it."""
    noise: float | None
    """Standard deviation of single models about the smooth curve."""
    jump_after: float | None
    """Compute of the last model below the jump that fits best; empty where none rises."""
    jump_before: float | None
    """Compute of the first model above it."""
    jump_size: float | None
    """How high that jump is."""
    p_flat: float | None
    """p-value of no change."""
    p_smooth: float | None
    """p-value of a smooth curve; a small one speaks for a jump."""
    p_smooth_holm: float | None
    """The same, corrected by Holm's method for all tasks of the table, each measure by itself."""
    p_jump: float | None
    """p-value of a jump; a small one speaks for a smooth curve."""
    rmse_smooth: float | None
    """Root mean square residual of a polynomial of degree 2 in log compute."""
    rmse_logistic: float | None
    """The same of a logistic curve that is not sharper than was said."""
    rmse_piecewise: float | None
    """The same of a line with a jump."""
    smooth_called_emergent: float | None
    """Share of simulated smooth curves with this compute, shape and noise that are called emergent."""
    jumps_found: float | None
    """Share of simulated curves with the jump that fits best that are called emergent."""


@dataclass(frozen=True)
class CurveFitRow:
    """A point of a curve that is drawn: a row of fits.csv."""

    task: str
    """Name of the task."""
    items: str
    """Group of items of the task."""
    measure: Measure
    """`accuracy` or `likelihood`."""
    fit: FitName
    """`smooth`, `logistic` or `piecewise`."""
    compute: float
    """Compute, in the unit of the points."""
    value: float
    """The measure, as the table has it."""


@dataclass(frozen=True)
class Fitted:
    """A measure of one task, classified."""

    row: ClassRow
    design: Design
    values: Floats
    """(n,) turned so that greater is better."""


def classify_tasks(table: TaskTable, options: ScalingTasksOptions) -> Iterator[Fitted]:
    """Yield every task and group of items, its accuracy and, where there is one, its likelihood."""
    for index, (task, items) in enumerate(table.groups()):
        for likelihood in (False, True):
            logs, values = table.values(task, items, likelihood)
            if len(values):
                measure: Measure = "likelihood" if likelihood else "accuracy"
                least = options.least_likelihood_change if likelihood else options.least_change
                rules = Rules(options.level, least, options.draws)
                generator = np.random.default_rng((options.seed, index, likelihood))
                yield _classify(task, items, measure, logs, values, rules, options, generator)


def corrected(rows: Sequence[ClassRow]) -> list[ClassRow]:
    """Return the rows with p-values of smooth curves corrected for the number of tasks, for each measure."""
    found = list(rows)
    for measure in ("accuracy", "likelihood"):
        of_measure = [index for index, row in enumerate(rows) if row.measure == measure and row.p_smooth is not None]
        adjusted = holm([p for index in of_measure if (p := rows[index].p_smooth) is not None])
        for index, p in zip(of_measure, adjusted, strict=True):
            found[index] = replace(found[index], p_smooth_holm=p)
    return found


def curve_rows(fitted: Sequence[Fitted], lower: bool) -> Iterator[CurveFitRow]:
    """Yield the curves of all tasks, in the values of the table."""
    for one in fitted:
        if one.row.rmse_smooth is None:
            continue
        at = np.linspace(one.design.rungs[0], one.design.rungs[-1], CURVE_POINTS)
        sign = -1 if lower and one.row.measure == "likelihood" else 1
        lines: dict[FitName, Line] = {
            "smooth": one.design.quadratic(one.values, at),
            "logistic": one.design.logistic(one.values, at),
            "piecewise": one.design.piecewise(one.values, at),
        }
        for name, line in lines.items():
            for log, value in zip(at, line.values, strict=True):
                place = (one.row.task, one.row.items, one.row.measure)
                yield CurveFitRow(*place, name, 10 ** float(log), sign * float(value))


def _classify(
    task: str,
    items: str,
    measure: Measure,
    logs: Floats,
    values: Floats,
    rules: Rules,
    options: ScalingTasksOptions,
    generator: np.random.Generator,
) -> Fitted:
    if len(np.unique(logs)) < 2:
        named = f"{task}, {items}" if items else task
        raise ValueError(f"{named} has one amount of compute only: a curve needs at least two")
    design = Design(logs, float(np.log10(options.sharpest)))
    found = classify(design, values, rules, generator)
    rates = None
    if options.simulations and found.p_smooth is not None:
        fewer = rules._replace(draws=min(rules.draws, SIMULATED_DRAWS))
        rates = simulate_rates(design, values, fewer, options.simulations, generator)
    return Fitted(_row(task, items, measure, design, values, found, rates), design, values)


def _row(
    task: str, items: str, measure: Measure, design: Design, values: Floats, found: Classified, rates: Rates | None
) -> ClassRow:
    jump = found.jump if found.jump and found.jump.size > 0 else None
    residuals = (
        [None] * 3
        if too_few(design)
        else [
            float(np.sqrt(line.squares / len(values)))
            for line in (fit(values, design.logs) for fit in (design.quadratic, design.logistic, design.piecewise))
        ]
    )
    return ClassRow(
        task=task,
        items=items,
        measure=measure,
        kind=found.kind,
        reason=found.reason,
        rungs=len(design.rungs),
        points=len(values),
        change=found.change,
        change_low=found.change_low,
        change_high=found.change_high,
        noise=found.noise,
        jump_after=None if jump is None else 10 ** float(design.rungs[jump.gap]),
        jump_before=None if jump is None else 10 ** float(design.rungs[jump.gap + 1]),
        jump_size=None if jump is None else jump.size,
        p_flat=found.p_flat,
        p_smooth=found.p_smooth,
        p_smooth_holm=None,
        p_jump=found.p_jump,
        rmse_smooth=residuals[0],
        rmse_logistic=residuals[1],
        rmse_piecewise=residuals[2],
        smooth_called_emergent=None if rates is None else rates.smooth_called_emergent,
        jumps_found=None if rates is None else rates.jumps_found,
    )
