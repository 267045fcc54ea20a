"""Metrics with intervals: means of every metric of items.csv, differences, ratios, and how they are written.

Intervals are over the groups of sources that items are from (`experiments.statistics.grouped`).

Axes: I and J items.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Literal, NamedTuple

import numpy as np

from experiments.diversity.conditions import ConditionColumns, ItemColumns
from experiments.diversity.tables import DISTANCES, BestRow, ItemRow, RedundancyRow
from experiments.pages import percent
from experiments.statistics.grouped import Grouped, Grouping, mean_of, ratio_of, share_of
from experiments.statistics.outcomes import Floats, known

Verdict = Literal["holds", "fails", "undecided"]

SHARES = ("identified", "retrieved", "exact", "truth_probability", "context", "copies", "near_copies")
"""Metrics whose names begin so are shares, and shown in percent."""
CONDITION = tuple(field.name for field in fields(ConditionColumns))
NO_METRICS = {field.name for field in fields(ItemColumns)} - {"prompt_tokens_changed"}
"""Columns of items.csv that say what was continued, and how; all others are metrics."""
PER_TOKEN = "_per_token"
PER_PIXEL = "_per_pixel"
METRICS = (
    *(field.name for field in fields(ItemRow) if field.name not in NO_METRICS),
    "entropy_bits_per_token",
    "truth_bits_per_token",
    "entropy_bits_per_pixel",
    "truth_bits_per_pixel",
    "truth_probability",
)


class Estimate(NamedTuple):
    """A metric and its 95 % interval, NaN where there is none."""

    value: float
    low: float
    high: float

    def text(self, metric: str, signed: bool = False) -> str:
        """Return the estimate as it is written for readers; shares are percentages."""
        return bracketed(*(written(number, metric, signed) for number in self))


@dataclass(frozen=True)
class Finding:
    """What a claim rests on: a metric, from how many groups of sources it is, and its p-value."""

    estimate: Estimate
    """The metric and its interval."""
    groups: int
    """Groups of sources, of two sides the fewer."""
    p: float | None = None
    """Of the threshold of the claim, two-sided; None without one, and where there is only one group."""

    @classmethod
    def of(cls, found: Grouped, threshold: float | None = None) -> Finding:
        """Return the first of several estimates."""
        low, high = found.interval()
        p = math.nan if threshold is None else float(found.p_values(threshold)[0])
        estimate = Estimate(float(found.value[0]), float(low[0]), float(high[0]))
        return cls(estimate=estimate, groups=found.groups, p=known(p))


@dataclass(frozen=True, kw_only=True)
class MetricRow(ConditionColumns):
    """The mean of a metric over the items of a group under one condition, with its interval: a row of metrics.csv."""

    continuation: str
    """Who continued the items: `model` or the name of a baseline."""
    metric: str
    """A column of items.csv; one of its bits `_per_token`, for each generated token, or `_per_pixel`, for each pixel of
    the original that these stand for; `best_<distance>_of_<n>`, of the best of n continuations; or `truth_probability`,
    the exact chance of regenerating the truth token by token."""
    items: int
    """Items that the mean is taken over."""
    groups: int
    """Groups of sources that the items are from, which the interval is over."""
    mean: float
    """Mean of the metric over the items."""
    low: float | None
    """Lower end of the 95 % interval; empty for a single group, and for groups that agree exactly."""
    high: float | None
    """Upper end of the 95 % interval; empty for a single group, and for groups that agree exactly."""

    @property
    def estimate(self) -> Estimate:
        """The mean and its interval."""
        low, high = (math.nan if end is None else end for end in (self.low, self.high))
        return Estimate(self.mean, low, high)


def metric_means(items: Sequence[ItemRow], best: Sequence[BestRow] = ()) -> list[MetricRow]:
    """Return the means of all metrics under all conditions, those left out that the items lack.

    Args:
        items: of items.csv.
        best: of best.csv; without it there is only the best of as many continuations as were drawn.
    """
    groups: dict[tuple[object, ...], list[ItemRow]] = {}
    for row in items:
        groups.setdefault(_continued(row), []).append(row)
    of_some: dict[tuple[object, ...], dict[int, dict[int, BestRow]]] = {}
    for one in best:
        of_some.setdefault(_continued(one), {}).setdefault(one.best_of, {})[one.item] = one
    return [row for key, group in groups.items() for row in _metric_means_of(group, of_some.get(key, {}))]


def redundancies(rows: Sequence[RedundancyRow]) -> dict[str, Estimate]:
    """Return what the rest of items takes on top of the given part, in what it takes alone: of pixels and of tokens."""
    names = [row.group_name for row in rows]
    return {
        "pixel": mean_finding(np.array([row.pixel_bits_given / row.pixel_bits_alone for row in rows]), names).estimate,
        "token": mean_finding(np.array([row.token_bits_given / row.token_bits_alone for row in rows]), names).estimate,
    }


def item_value(row: ItemRow, metric: str) -> float | None:
    """Return a metric of an item: a column of items.csv, bits by token or pixel, or the probability of the truth.

    That is the exact chance of regenerating it token by token, at temperature 1 without filters.
    """
    if metric == "truth_probability":
        return None if row.truth_bits is None else 2.0**-row.truth_bits
    if metric.endswith(PER_PIXEL):
        return _divided(getattr(row, metric.removesuffix(PER_PIXEL)), row.generated_pixels)
    if metric.endswith(PER_TOKEN):
        return _divided(getattr(row, metric.removesuffix(PER_TOKEN)), row.generated_tokens)
    value: float | None = getattr(row, metric)
    return value


def item_values(rows: Sequence[ItemRow], metric: str) -> Floats | None:
    """Return a metric of each item (I,); None where there is no item or one lacks the metric."""
    values = [item_value(row, metric) for row in rows]
    return np.array(values, dtype=np.float64) if values and None not in values else None


def mean_findings(values: Mapping[str, Floats], names: Sequence[str]) -> dict[str, Finding]:
    """Return the means of metrics over the items (I,) that they are of, by name.

    Args:
        values: by the name of the metric, which says whether they are shares; at least 0.
        names: of the group of each item.
    """
    grouping = Grouping.of(names)
    found: dict[str, Finding] = {}
    for of_kind, shares in ((share_of, True), (partial(mean_of, scale="log"), False)):
        of_this = [name for name in values if name.startswith(SHARES) == shares]
        if not of_this:
            continue
        means = of_kind(np.stack([values[name] for name in of_this], axis=1), grouping)
        ends = zip(of_this, means.value.tolist(), *(ends.tolist() for ends in means.interval()), strict=True)
        found |= {name: Finding(Estimate(*of_name), grouping.count) for name, *of_name in ends}
    return {name: found[name] for name in values}


def mean_finding(values: Floats, names: Sequence[str], threshold: float | None = None) -> Finding:
    """Return the mean over items (I,) of a metric of at least 0 that is no share."""
    return Finding.of(mean_of(values[:, None], Grouping.of(names), "log"), threshold)


def share_finding(values: Floats, names: Sequence[str], threshold: float | None = None) -> Finding:
    """Return the mean of shares over items (I,)."""
    return Finding.of(share_of(values[:, None], Grouping.of(names)), threshold)


def ratio_finding(
    a: Floats, names_of_a: Sequence[str], b: Floats, names_of_b: Sequence[str], threshold: float | None = None
) -> Finding:
    """Return mean(a) / mean(b) of different items (I,) and (J,); 1 where both are zero."""
    return Finding.of(ratio_of(a[:, None], Grouping.of(names_of_a), b[:, None], Grouping.of(names_of_b)), threshold)


def paired_finding(
    minuend: Sequence[ItemRow], subtrahend: Sequence[ItemRow], metric: str, threshold: float | None = 0.0
) -> Finding | None:
    """Return the mean difference over the items that both have; None where the metric is missing.

    A difference of shares lies between -1 and 1, and has an interval where all items have the same one.
    """
    others = {row.item: row for row in subtrahend}
    both = [row for row in minuend if row.item in others]
    a = item_values(both, metric)
    b = item_values([others[row.item] for row in both], metric)
    if a is None or b is None:
        return None
    difference = (a - b)[:, None]
    grouping = Grouping.of([row.group_name for row in both])
    shares = metric.startswith(SHARES)
    return Finding.of(share_of(difference, grouping, -1.0) if shares else mean_of(difference, grouping), threshold)


def bracketed(value: str, low: str, high: str) -> str:
    """Return a metric and its interval, if its ends are not empty, with their unit once."""
    unit = next((unit for unit in (" %", " points") if any(text.endswith(unit) for text in (value, low, high))), "")
    value, low, high = (text.removesuffix(unit) for text in (value, low, high))
    return f"{value} [{low} to {high}]{unit}" if low else f"{value}{unit}"


def written(number: float, metric: str, signed: bool = False) -> str:
    """Return a number for readers, or the difference of two: shares in percent, others with three digits.

    What is not a number is empty, and an infinite context is never enough.
    """
    if math.isnan(number):
        return ""
    if math.isinf(number):
        return f"{'-' if number < 0 else '+'}∞" if signed else "never"
    if not metric.startswith(SHARES):
        return f"{number:+.3g}" if signed else f"{number:.3g}"
    return f"{100 * number:+.1f} points" if signed else percent(number)


def _metric_means_of(group: Sequence[ItemRow], best: Mapping[int, Mapping[int, BestRow]]) -> list[MetricRow]:
    """Return the means of all metrics of items that were continued under one condition.

    Args:
        group: the items.
        best: rows of best.csv of the same items and condition, by how many they are the best of, then by item.
    """
    found = {_named(metric, group[0]): item_values(group, metric) for metric in METRICS}
    for size, rows in sorted(best.items()):
        if size < group[0].n and all(row.item in rows for row in group):
            of_size = [rows[row.item] for row in group]
            found |= {f"best_{name}_of_{size}": _values(of_size, f"best_{name}") for name in DISTANCES}
    measured = {metric: values for metric, values in found.items() if values is not None}
    condition = {name: getattr(group[0], name) for name in CONDITION}
    return [
        MetricRow(
            **condition,
            continuation=group[0].continuation,
            metric=metric,
            items=len(group),
            groups=finding.groups,
            mean=finding.estimate.value,
            low=known(finding.estimate.low),
            high=known(finding.estimate.high),
        )
        for metric, finding in mean_findings(measured, [row.group_name for row in group]).items()
    ]


def _continued(row: ItemRow | BestRow) -> tuple[object, ...]:
    """Return under which condition, and by whom, an item was continued."""
    return (*(getattr(row, name) for name in CONDITION), row.continuation)


def _named(metric: str, row: ItemRow) -> str:
    """Return the name of a metric, which says how many continuations the best of them is of."""
    return f"{metric}_of_{row.n}" if metric.startswith("best_") else metric


def _values(rows: Sequence[BestRow], column: str) -> Floats | None:
    """Return a column (I,) of best.csv; None where one lacks it."""
    values = [getattr(row, column) for row in rows]
    return None if None in values else np.array(values, dtype=np.float64)


def _divided(value: float | None, by: int | None) -> float | None:
    return None if value is None or by is None else value / by
