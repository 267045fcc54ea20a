"""Metrics with intervals over items: means of every metric of items.csv, differences, ratios, and how they are written.

Axes: I and J items.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple

import numpy as np

from experiments.diversity.tables import ConditionColumns, ItemColumns, ItemRow, RedundancyRow
from experiments.pages import percent
from experiments.statistics.bootstrap import mean_intervals, ratio_interval, share_interval
from experiments.statistics.outcomes import Floats

Verdict = Literal["holds", "fails", "undecided"]

SHARES = ("identified", "retrieved", "exact", "truth_probability", "context", "copies", "near_copies")
"""Metrics whose names begin so are shares, and shown in percent."""
CONDITION = tuple(field.name for field in fields(ConditionColumns))
NO_METRICS = {field.name for field in fields(ItemColumns)} - {"prompt_tokens_changed"}
"""Columns of items.csv that say what was continued, and how; all others are metrics."""
METRICS = (
    *(field.name for field in fields(ItemRow) if field.name not in NO_METRICS),
    "entropy_bits_per_token",
    "truth_bits_per_token",
    "truth_probability",
)


class Estimate(NamedTuple):
    """A metric and its 95 % bootstrap interval over items, NaN where that takes more items than there are."""

    value: float
    low: float
    high: float

    def at_least(self, threshold: float) -> Verdict:
        """Return whether the whole interval lies at or above the threshold, or the whole interval below it."""
        if self.low >= threshold:
            return "holds"
        return "fails" if self.high < threshold else "undecided"

    def at_most(self, threshold: float) -> Verdict:
        """Return whether the whole interval lies at or below the threshold, or the whole interval above it."""
        if self.high <= threshold:
            return "holds"
        return "fails" if self.low > threshold else "undecided"

    def above_zero(self) -> Verdict:
        """Return whether the whole interval lies above zero, or the whole interval below it."""
        if self.low > 0:
            return "holds"
        return "fails" if self.high < 0 else "undecided"

    def below_zero(self) -> Verdict:
        """Return whether the whole interval lies below zero, or the whole interval above it."""
        if self.high < 0:
            return "holds"
        return "fails" if self.low > 0 else "undecided"

    def text(self, metric: str, signed: bool = False) -> str:
        """Return the estimate as it is written for readers; shares are percentages."""
        return bracketed(*(written(number, metric, signed) for number in self))


@dataclass(frozen=True, kw_only=True)
class MetricRow(ConditionColumns):
    """The mean of a metric over the items of a group under one condition, with its interval: a row of metrics.csv."""

    continuation: str
    """Who continued the items: `model` or the name of a baseline."""
    metric: str
    """A column of items.csv, one of its bits `_per_token`, for each generated token, or `truth_probability`, the exact
    chance of regenerating the truth token by token."""
    items: int
    """Items that the mean is taken over."""
    mean: float
    """Mean of the metric over the items."""
    low: float | None
    """Lower end of the 95 % interval; empty for a single item."""
    high: float | None
    """Upper end of the 95 % interval; empty for a single item."""

    @property
    def estimate(self) -> Estimate:
        """The mean and its interval."""
        low, high = (math.nan if end is None else end for end in (self.low, self.high))
        return Estimate(self.mean, low, high)


def metric_means(items: Sequence[ItemRow]) -> list[MetricRow]:
    """Return the means of all metrics under all conditions, those left out that the items lack."""
    groups: dict[tuple[object, ...], list[ItemRow]] = {}
    for row in items:
        condition = tuple(getattr(row, name) for name in CONDITION)
        groups.setdefault((*condition, row.continuation), []).append(row)
    return [row for group in groups.values() for row in _metric_means_of(group)]


def redundancies(rows: Sequence[RedundancyRow]) -> dict[str, Estimate]:
    """Return what the rest of items takes on top of the given part, in what it takes alone: of pixels and of tokens."""
    return {
        "pixel": mean_estimate(np.array([row.pixel_bits_given / row.pixel_bits_alone for row in rows])),
        "token": mean_estimate(np.array([row.token_bits_given / row.token_bits_alone for row in rows])),
    }


def item_value(row: ItemRow, metric: str) -> float | None:
    """Return a metric of an item: a column of items.csv, bits `_per_token`, or the probability of the truth.

    That is the exact chance of regenerating it token by token, at temperature 1 without filters.
    """
    if metric == "truth_probability":
        return None if row.truth_bits is None else 2.0**-row.truth_bits
    value = getattr(row, metric.removesuffix("_per_token"))
    return value / row.generated_tokens if value is not None and metric.endswith("_per_token") else value


def item_values(rows: Sequence[ItemRow], metric: str) -> Floats | None:
    """Return a metric of each item (I,); None where there is no item or one lacks the metric."""
    values = [item_value(row, metric) for row in rows]
    return np.array(values, dtype=np.float64) if values and None not in values else None


def mean_estimates(values: Mapping[str, Floats]) -> dict[str, Estimate]:
    """Return the means of metrics over the items (I,) that they are of, by name.

    Of shares the interval is Wilson's, which has width where all items have the same share.
    """
    low, high = mean_intervals(np.stack(list(values.values()), axis=1))
    ends = zip(values.items(), low.tolist(), high.tolist(), strict=True)
    return {
        name: share_estimate(of_name) if name.startswith(SHARES) else Estimate(float(of_name.mean()), *interval)
        for (name, of_name), *interval in ends
    }


def mean_estimate(values: Floats) -> Estimate:
    """Return the mean over items (I,) of a metric that is no share."""
    (low,), (high,) = mean_intervals(values[:, None])
    return Estimate(float(values.mean()), float(low), float(high))


def share_estimate(values: Floats) -> Estimate:
    """Return the mean of shares over items (I,), with the interval of `bootstrap.share_interval`."""
    share = float(values.mean())
    items = len(values)
    ends = share_interval(share, float(values.var()) / items, items) if items > 1 else (math.nan, math.nan)
    return Estimate(share, *ends)


def ratio_estimate(a: Floats, b: Floats) -> Estimate:
    """Return mean(a) / mean(b) of different items (I,) and (J,); 1 where both are zero."""
    above = float(a.mean())
    below = float(b.mean())
    without_below = np.inf if above else 1.0
    return Estimate(above / below if below else without_below, *ratio_interval(a, b))


def paired_estimate(minuend: Sequence[ItemRow], subtrahend: Sequence[ItemRow], metric: str) -> Estimate | None:
    """Return the mean difference over the items that both have; None where the metric is missing."""
    others = {row.item: row for row in subtrahend}
    both = [row for row in minuend if row.item in others]
    a = item_values(both, metric)
    b = item_values([others[row.item] for row in both], metric)
    return None if a is None or b is None else mean_estimate(a - b)


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


def _metric_means_of(group: Sequence[ItemRow]) -> list[MetricRow]:
    """Return the means of all metrics of items that were continued under one condition."""
    found = {metric: values for metric in METRICS if (values := item_values(group, metric)) is not None}
    condition = {name: getattr(group[0], name) for name in CONDITION}
    several = len(group) > 1
    return [
        MetricRow(
            **condition,
            continuation=group[0].continuation,
            metric=metric,
            items=len(group),
            mean=estimate.value,
            low=estimate.low if several else None,
            high=estimate.high if several else None,
        )
        for metric, estimate in mean_estimates(found).items()
    ]
