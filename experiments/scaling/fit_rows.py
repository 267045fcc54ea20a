"""Rows of the tables of `scaling fit`, from what was found out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from experiments.scaling.analysis import Analysis, Slices
from experiments.scaling.bootstrap import FittedLaw, interval
from experiments.scaling.fit_tables import (
    ALL_RUNS,
    BudgetRow,
    ConvergenceRow,
    DrawRow,
    FitRow,
    GridBiasRow,
    HeldOutRow,
    Method,
    NewcomerRow,
    OptimumRow,
    ResidualRow,
)
from experiments.scaling.isoflop import Budget, Minimum, Power, Reading, biases
from experiments.scaling.laws import Floats, Law
from experiments.scaling.selecting import count_apart

LAW = {"E": "floor", "A": "parameters_scale", "B": "data_scale", "alpha": "alpha", "beta": "beta", "R": "repeats"}
"""Fields of a law, by what papers call them."""
EXPONENTS = ("alpha", "beta")
STEEPEST = 10.0
"""An exponent beyond it, to either side, is that of runs drawn anew of which too few differ: it tells nothing."""
FARTHEST = 1e30
"""An end of an interval beyond it is as good as none."""
Ends = tuple[float | None, float | None]


def fit_rows(found: Analysis) -> Iterator[FitRow]:
    """Yield the parameters of the law, and the exponents by every method."""
    laws = found.laws
    for name, field in LAW.items():
        if name != "R" or found.repeats:
            drawn = np.array([getattr(law, field) for law in laws], np.float64)
            low, high = ends_of(found, _told(drawn) if name in EXPONENTS else drawn)
            yield FitRow("law", name, getattr(found.law, field), low, high, None)
    size = found.law.size_exponent
    low, high = ends_of(found, [law.size_exponent if law.falls else math.nan for law in laws])
    yield FitRow("law", "size_exponent", size, low, high, size)
    yield FitRow("law", "data_exponent", 1 - size, *_mirrored((low, high)), 1 - size)
    for reading, slices in found.slices.items():
        yield from _power_rows(found, reading, slices)
    if found.envelope_power:
        for name, value in _exponents(found.envelope_power.exponent):
            yield FitRow("envelope", name, value, None, None, None)


def convergence_rows(found: Analysis) -> Iterator[ConvergenceRow]:
    """Yield how the searches went."""
    yield _convergence(ALL_RUNS, len(found.runs.rows), found.fitted)
    if found.held_out:
        yield _convergence("without the largest budget", len(found.held_out.smaller.rows), found.held_out.fitted)


def draw_rows(found: Analysis) -> Iterator[DrawRow]:
    """Yield the laws of the draws."""
    for number, law in enumerate(found.laws):
        decay = law.repeats if found.repeats else None
        yield DrawRow(number, law.floor, law.parameters_scale, law.data_scale, law.alpha, law.beta, decay)


def budget_rows(found: Analysis) -> Iterator[BudgetRow]:
    """Yield what is read off the runs of each budget."""
    for reading, slices in found.slices.items():
        for budget, lowest, of_law in zip(found.budgets, slices.minima, slices.exact, strict=True):
            yield _budget_row(found, reading, budget, lowest, of_law)


def grid_bias_rows(found: Analysis) -> Iterator[GridBiasRow]:
    """Yield by how much readings of exact losses are off, at the largest budget that is read or was trained."""
    compute = found.budgets[-1].compute if found.budgets else found.largest
    for reading, width, centre, bias in biases(found.law, compute, found.factor):
        yield GridBiasRow(reading, compute, width**2, centre, bias)


def optimum_rows(found: Analysis) -> Iterator[OptimumRow]:
    """Yield the best size and data of the budgets that are asked for, by every method."""
    laws = found.laws
    for compute in found.asked:
        yield _law_optimum(found, laws, compute)
        for reading, slices in found.slices.items():
            if slices.power:
                drawn = [math.nan if power is None else power.at(compute) for power in slices.draws]
                yield _power_optimum(found, reading, slices.power, compute, ends_of(found, drawn, 2))
        if found.envelope_power:
            yield _power_optimum(found, "envelope", found.envelope_power, compute, (None, None))


def residual_rows(found: Analysis) -> Iterator[ResidualRow]:
    """Yield every row of the table beside what the law says of it."""
    on_envelope = {id(found.runs.rows[index]) for index in found.on_envelope}
    item = found.table.item
    for row, why in zip(found.table.rows, found.left_out, strict=True):
        size = _known_size(found, row.parameters, row.non_embedding_parameters)
        loss = row.loss if math.isfinite(row.loss) else None
        predicted = None if size is None else float(found.law.loss(size, row.data, row.unique_data))
        yield ResidualRow(
            run=row.run,
            seed=row.seed,
            source=row.source,
            parameters=size,
            data=row.data,
            unique_data=row.unique_data,
            compute=row.compute,
            loss=loss,
            loss_unit=row.loss_unit,
            item=item,
            predicted=predicted,
            residual=math.log(loss / predicted) if loss and loss > 0 and predicted else None,
            left_out=why,
            envelope=id(row) in on_envelope,
        )


def held_out_rows(found: Analysis) -> Iterator[HeldOutRow]:
    """Yield the runs of the largest budget beside what smaller ones foretell."""
    held_out = found.held_out
    if held_out is None:
        return
    groups = int(held_out.smaller.sources.max()) + 1
    for index, row in enumerate(held_out.largest.rows):
        ends = interval(held_out.draws[:, index], groups, held_out.fitted.points.size)
        predicted = float(held_out.predicted[index])
        size = float(held_out.largest.parameters[index])
        low, high = _finite(ends)
        yield HeldOutRow(row.run, row.compute, size, row.data, row.loss, predicted, low, high, predicted / row.loss - 1)


def newcomer_rows(found: Analysis) -> Iterator[NewcomerRow]:
    """Yield the fit beside fits as they might have been made."""
    compute = max(found.asked)
    for attempt in found.attempts:
        law = attempt.law
        yield NewcomerRow(
            fitted=attempt.how,
            floor=law.floor,
            parameters_scale=law.parameters_scale,
            data_scale=law.data_scale,
            alpha=law.alpha,
            beta=law.beta,
            objective=attempt.objective,
            size_exponent=law.size_exponent,
            compute=compute,
            parameters=float(law.optimum(compute, attempt.factor)[0]),
        )


def ends_of(found: Analysis, values: ArrayLike, parameters: int | None = None) -> Ends:
    """Return the ends of the 95 % interval of what draws gave (W,); None where there are none.

    Args:
        found: whose draws they are.
        values: of the draws.
        parameters: that were fitted; those of the law if not given.
    """
    fitted = found.fitted.points.size if parameters is None else parameters
    return _finite(interval(np.asarray(values, np.float64), found.groups, fitted))


def optimum_of(laws: Sequence[Law], compute: float, factor: float) -> Floats:
    """Return the best sizes, the items and the losses (3, W) of laws at a budget in FLOP."""
    floor, a, b, alpha, beta = np.array(
        [
            (law.floor, law.parameters_scale, law.data_scale, law.alpha, law.beta) if law.falls else (np.nan,) * 5
            for law in laws
        ]
    ).T
    total = np.log(compute / factor)
    size = (np.log(alpha * a / (beta * b)) + beta * total) / (alpha + beta)
    data = total - size
    return np.stack([np.exp(size), np.exp(data), floor + a * np.exp(-alpha * size) + b * np.exp(-beta * data)])


def _law_optimum(found: Analysis, laws: Sequence[Law], compute: float) -> OptimumRow:
    size, data, loss = (float(value[0]) for value in optimum_of([found.law], compute, found.factor))
    sizes, amounts, losses = optimum_of(laws, compute, found.factor)
    return OptimumRow(
        "law",
        compute,
        compute / found.largest,
        size,
        *ends_of(found, sizes),
        data,
        *ends_of(found, amounts),
        loss,
        *ends_of(found, losses),
    )


def _power_optimum(found: Analysis, method: Method, power: Power, compute: float, ends: Ends) -> OptimumRow:
    size = power.at(compute)
    data = compute / found.factor / size
    low, high = (None if end is None else compute / found.factor / end for end in reversed(ends))
    return OptimumRow(method, compute, compute / found.largest, size, *ends, data, low, high, None, None, None)


def _power_rows(found: Analysis, reading: Reading, slices: Slices) -> Iterator[FitRow]:
    if slices.power is None:
        return
    drawn = [math.nan if power is None else power.exponent for power in slices.draws]
    ends = ends_of(found, drawn, 2)
    read_of_law = slices.exact_power.exponent if slices.exact_power else None
    yield FitRow(reading, "size_exponent", slices.power.exponent, *ends, read_of_law)
    mirrored = None if read_of_law is None else 1 - read_of_law
    yield FitRow(reading, "data_exponent", 1 - slices.power.exponent, *_mirrored(ends), mirrored)


def _budget_row(
    found: Analysis, reading: Reading, budget: Budget, lowest: Minimum | None, of_law: Minimum | None
) -> BudgetRow:
    sizes = found.runs.parameters[budget.runs]
    best = float(found.law.optimum(budget.compute, found.factor)[0])
    return BudgetRow(
        method=reading,
        compute=budget.compute,
        rows=len(budget.runs),
        sizes=count_apart(sizes),
        parameters=lowest.parameters if lowest else None,
        data=budget.compute / found.factor / lowest.parameters if lowest else None,
        loss=lowest.loss if lowest else None,
        law_parameters=best,
        width=float(sizes.max() / sizes.min()),
        centre=float(np.sqrt(sizes.max() * sizes.min())) / best,
        bias=of_law.parameters / best if of_law else None,
    )


def _convergence(fitted: str, rows: int, search: FittedLaw) -> ConvergenceRow:
    return ConvergenceRow(
        fitted,
        rows,
        search.objective,
        search.starts,
        search.converged,
        search.reached,
        search.next_objective,
        search.projected,
    )


def _known_size(found: Analysis, total: int, without: int | None) -> float | None:
    size = total if found.options.size == "total" else without
    return None if size is None else float(size)


def _exponents(size: float) -> tuple[tuple[str, float], tuple[str, float]]:
    return ("size_exponent", size), ("data_exponent", 1 - size)


def _mirrored(ends: Ends) -> Ends:
    """Return the ends of one less a number."""
    low, high = ends
    return (None if high is None else 1 - high), (None if low is None else 1 - low)


def _finite(ends: tuple[float, float] | None) -> Ends:
    if ends is None:
        return None, None
    low, high = (end if abs(end) <= FARTHEST else None for end in ends)
    return low, high


def _told(exponents: Floats) -> Floats:
    """Return exponents (W,), infinite where they are steeper than any that runs can tell."""
    return np.where(np.abs(exponents) > STEEPEST, np.copysign(np.inf, exponents), exponents)
