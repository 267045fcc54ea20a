"""Means over items, with intervals, of every figure of items.csv."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from experiments.diversity.reporting.estimates import Estimate, item_values, mean_estimate, mean_estimates
from experiments.diversity.tables import ItemRow, RedundancyRow, Way

WAY = tuple(field.name for field in fields(Way))
SETTLED = ("continuation", "item", "source", "start", "n", "generated_tokens")
"""Columns of items.csv that say what was continued; all others are figures."""
NAMES = (
    *(field.name for field in fields(ItemRow) if field.name not in {*WAY, *SETTLED}),
    "entropy_bits_per_token",
    "truth_bits_per_token",
    "truth_probability",
)


@dataclass(frozen=True, kw_only=True)
class FigureRow(Way):
    """The mean of a figure over the items that were continued in one way, with its 95 % interval."""

    continuation: str
    """`model` or the name of a baseline."""
    figure: str
    """A column of items.csv, one of its bits `_per_token`, for each generated token, or `truth_probability`, the exact
    chance of regenerating the truth token by token."""
    items: int
    mean: float
    low: float | None
    """None for a single item, as `high`."""
    high: float | None


def figures(items: Sequence[ItemRow]) -> list[FigureRow]:
    """Return all figures of all ways of continuing, those left out that the items lack."""
    groups: dict[tuple[object, ...], list[ItemRow]] = {}
    for row in items:
        groups.setdefault((*(getattr(row, name) for name in WAY), row.continuation), []).append(row)
    return [figure for group in groups.values() for figure in _figures_of(group)]


def redundancies(rows: Sequence[RedundancyRow]) -> dict[str, Estimate]:
    """Return what the rest of items takes on top of the given part, in what it takes alone: of pixels and of tokens."""
    return {
        "pixel": mean_estimate(np.array([row.pixel_bits_given / row.pixel_bits_alone for row in rows])),
        "token": mean_estimate(np.array([row.token_bits_given / row.token_bits_alone for row in rows])),
    }


def _figures_of(group: Sequence[ItemRow]) -> list[FigureRow]:
    found = {name: values for name in NAMES if (values := item_values(group, name)) is not None}
    way = {name: getattr(group[0], name) for name in WAY}
    return [
        FigureRow(
            **way, continuation=group[0].continuation, figure=name, items=len(group), mean=estimate.value,
            low=None if len(group) < 2 else estimate.low, high=None if len(group) < 2 else estimate.high,
        )
        for name, estimate in mean_estimates(found).items()
    ]  # fmt: skip
