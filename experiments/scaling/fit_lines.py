"""The lines of the figures of `scaling fit`, which also stand in lines.csv."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from experiments.scaling.analysis import Analysis
from experiments.scaling.fit_rows import ends_of, optimum_of
from experiments.scaling.fit_tables import LineRow
from experiments.scaling.isoflop import Budget, Power, drawn

PLACES = 41
"""Of a line."""
MOST_SIZES = 6
"""Sizes whose losses against compute are drawn."""
MOST_BUDGETS = 9
"""Budgets that are drawn: those with the most runs."""
BEST = "best size, by the law"
"""The envelope of the law."""


def all_lines(found: Analysis) -> list[LineRow]:
    """Return the lines of all figures."""
    return [*_loss_lines(found), *_slice_lines(found), *_optimum_lines(found), *_newcomer_lines(found)]


def drawn_budgets(found: Analysis) -> list[Budget]:
    """Return the budgets that are drawn, from the smallest."""
    most = sorted(found.budgets, key=lambda budget: -len(budget.runs))[:MOST_BUDGETS]
    return sorted(most, key=lambda budget: budget.compute)


def in_words(amount: float) -> str:
    """Return an amount as labels have it: `1.2e+20`."""
    return f"{amount:.3g}"


def _budgets(found: Analysis) -> list[float]:
    """Return budgets from the smallest that was trained to the largest that is asked for, evenly in their logs."""
    largest = max(found.largest, *found.asked)
    return [float(value) for value in np.geomspace(found.runs.compute.min(), largest, PLACES)]


def _loss_lines(found: Analysis) -> Iterator[LineRow]:
    laws = found.laws
    for compute in _budgets(found):
        loss = float(optimum_of([found.law], compute, found.factor)[2][0])
        yield LineRow("loss", BEST, compute, loss, *ends_of(found, optimum_of(laws, compute, found.factor)[2]))
    sizes = np.unique(found.runs.parameters)
    for size in sizes[np.unique(np.linspace(0, len(sizes) - 1, MOST_SIZES).round().astype(int))]:
        of_size = found.runs.compute[np.abs(np.log(found.runs.parameters / size)) < np.log(2)]
        for compute in np.geomspace(of_size.min(), of_size.max(), PLACES):
            loss = float(found.law.loss(size, compute / found.factor / size))
            yield LineRow("loss", f"{in_words(size)} parameters", float(compute), loss, None, None)


def _slice_lines(found: Analysis) -> Iterator[LineRow]:
    for budget in drawn_budgets(found):
        for reading in found.slices:
            name = f"{reading} at {in_words(budget.compute)} FLOP"
            for size, loss in zip(*drawn(found.runs, budget, reading, PLACES), strict=True):
                yield LineRow("isoflop", name, float(size), float(loss), None, None)


def _optimum_lines(found: Analysis) -> Iterator[LineRow]:
    laws = found.laws
    for compute in _budgets(found):
        sizes = optimum_of(laws, compute, found.factor)[0]
        size = float(found.law.optimum(compute, found.factor)[0])
        yield LineRow("optimum", "law", compute, size, *ends_of(found, sizes))
    powers: dict[str, Power | None] = {reading: slices.power for reading, slices in found.slices.items()}
    powers["envelope"] = found.envelope_power
    for name, power in powers.items():
        if power:
            for compute in _budgets(found):
                yield LineRow("optimum", name, compute, power.at(compute), None, None)


def _newcomer_lines(found: Analysis) -> Iterator[LineRow]:
    for attempt in found.attempts:
        if attempt.law.falls:
            for compute in _budgets(found):
                size = float(attempt.law.optimum(compute, attempt.factor)[0])
                yield LineRow("newcomer", attempt.how, compute, size, None, None)
