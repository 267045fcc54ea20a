"""The best size and data of a budget where there are only so many different items, so that more of them are repeats.

The law with repeats (`laws`) is minimised along a budget. With D* the best number of items if all were new and U
different ones: where D* is at most U nothing is repeated, and D* stays the best. Otherwise the best lies between U and
D*, since up to U every item is new, and beyond it each is worth less than a new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from experiments.pages import Section
from experiments.scaling.analysis import Analysis
from experiments.scaling.fit_page import with_ends
from experiments.scaling.fit_rows import ends_of, optimum_of
from experiments.scaling.fit_tables import LimitedRow
from experiments.scaling.laws import Floats, Law, effective

PLACES = 65
"""Of the grid between U and D*, which is made finer around its best place."""
ROUNDS = 8


def limited_optimum(laws: Sequence[Law], compute: float, factor: float, unique: float) -> Floats:
    """Return the best sizes, the items to see and the losses (3, W) of laws; NaN for those that do not fall.

    Args:
        laws: with or without a decay of repeats.
        compute: FLOP of a training.
        factor: FLOP per parameter and item.
        unique: different items that there are.
    """
    total = np.log(compute / factor)
    most = np.log(optimum_of(laws, compute, factor)[1])
    low, high = np.minimum(np.log(unique), most), most
    places = np.linspace(0, 1, PLACES)[:, None]
    rows = np.arange(len(laws))
    for _ in range(ROUNDS):
        grid = low + (high - low) * places
        losses = _losses(laws, total - grid, grid, unique)
        best = np.where(np.isnan(losses), np.inf, losses).argmin(axis=0)
        low, high = grid[np.maximum(best - 1, 0), rows], grid[np.minimum(best + 1, PLACES - 1), rows]
    data = grid[best, rows]
    return np.stack([np.exp(total - data), np.exp(data), losses[best, rows]])


def limited_rows(found: Analysis) -> Iterator[LimitedRow]:
    """Yield the best size and data of each budget and number of different items; none where no run repeats items."""
    if not found.repeats:
        return
    laws = found.laws
    for unique in found.options.unique or (float(found.runs.unique.max()),):
        for compute in found.asked:
            size, data, loss = (
                float(value) for value in limited_optimum([found.law], compute, found.factor, unique)[:, 0]
            )
            sizes, amounts, losses = limited_optimum(laws, compute, found.factor, unique)
            yield LimitedRow(
                compute,
                compute / found.largest,
                unique,
                size,
                *ends_of(found, sizes),
                data,
                *ends_of(found, amounts),
                data / unique,
                loss,
                *ends_of(found, losses),
            )


def limited_in_words(row: LimitedRow, item: str) -> str:
    """Return the best size and data of a budget with limited items."""
    size = with_ends(row.parameters, row.parameters_low, row.parameters_high)
    data = with_ends(row.data, row.data_low, row.data_high)
    return (
        f"At {row.compute:.3g} FLOP with {row.unique_data:.3g} different {item}, the best size by the law is {size} "
        f"parameters, with {data} {item}, {row.epochs:.3g} epochs"
    )


def limited_section(rows: Sequence[LimitedRow], item: str) -> Section:
    """Return the section of the page on limited items."""
    table = [("compute (FLOP)", f"different {item}", "parameters", f"{item} seen", "epochs", "loss by the law")]
    for row in rows:
        size = with_ends(row.parameters, row.parameters_low, row.parameters_high)
        data = with_ends(row.data, row.data_low, row.data_high)
        loss = with_ends(row.loss, row.loss_low, row.loss_high)
        table.append((f"{row.compute:.3g}", f"{row.unique_data:.3g}", size, data, f"{row.epochs:.3g}", loss))
    text = (
        f"The best size and data of a budget where there are only so many different {item} and more of them are "
        "repeats, which the law counts as worth less."
    )
    return Section(f"When different {item} run out", text, table=tuple(table))


def _losses(laws: Sequence[Law], size: Floats, data: Floats, unique: float) -> Floats:
    """Return losses (P, W) of laws (W,) at logarithms of parameters and items (P, W)."""
    worth = [
        effective(np.exp(seen), np.full(len(seen), unique), law.repeats) for law, seen in zip(laws, data.T, strict=True)
    ]
    floor, a, b, alpha, beta = np.array(
        [(law.floor, law.parameters_scale, law.data_scale, law.alpha, law.beta) for law in laws]
    ).T
    return floor + a * np.exp(-alpha * size) + b * np.stack(worth, axis=1) ** -beta
