"""Figures with intervals over items, and what they say of a threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from experiments.diversity.tables import ItemRow
from experiments.pages import percent
from experiments.statistics.bootstrap import mean_intervals, ratio_interval, share_interval
from experiments.statistics.outcomes import Floats

Verdict = Literal["holds", "fails", "undecided"]

SHARES = ("identified", "retrieved", "exact", "truth_probability", "context", "copies", "near_copies")
"""Figures whose names begin so are shares, and shown in percent."""


class Estimate(NamedTuple):
    """A figure and its 95 % bootstrap interval over items, NaN where that takes more items than there are."""

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
        return "holds" if self.low > 0 else "fails" if self.high < 0 else "undecided"

    def below_zero(self) -> Verdict:
        """Return whether the whole interval lies below zero, or the whole interval above it."""
        return "holds" if self.high < 0 else "fails" if self.low > 0 else "undecided"

    def text(self, figure: str, signed: bool = False) -> str:
        """Return the estimate as it is written for readers; shares are percentages."""
        return bracketed(*(written(number, figure, signed) for number in self))


def bracketed(value: str, low: str, high: str) -> str:
    """Return a figure and its interval, if its ends are not empty, with their unit once."""
    unit = next((unit for unit in (" %", " points") if any(text.endswith(unit) for text in (value, low, high))), "")
    value, low, high = (text.removesuffix(unit) for text in (value, low, high))
    return f"{value} [{low} to {high}]{unit}" if low else f"{value}{unit}"


def written(number: float, figure: str, signed: bool = False) -> str:
    """Return a number for readers, or the difference of two: shares in percent, others with three digits.

    What is not a number is empty, and an infinite context is never enough.
    """
    if math.isnan(number):
        return ""
    if math.isinf(number):
        return f"{'-' if number < 0 else '+'}∞" if signed else "never"
    if not figure.startswith(SHARES):
        return f"{number:+.3g}" if signed else f"{number:.3g}"
    return f"{100 * number:+.1f} points" if signed else percent(number)


def item_value(row: ItemRow, figure: str) -> float | None:
    """Return a figure of an item: a column of items.csv, bits `_per_token`, or the probability of the truth.

    That is the exact chance of regenerating it token by token, at temperature 1 without filters.
    """
    if figure == "truth_probability":
        return None if row.truth_bits is None else 2.0**-row.truth_bits
    value = getattr(row, figure.removesuffix("_per_token"))
    return value / row.generated_tokens if value is not None and figure.endswith("_per_token") else value


def item_values(rows: Sequence[ItemRow], figure: str) -> Floats | None:
    """Return a figure of each item (I,); None where there is no item or one lacks the figure."""
    values = [item_value(row, figure) for row in rows]
    return np.array(values, dtype=np.float64) if values and None not in values else None


def mean_estimates(values: Mapping[str, Floats]) -> dict[str, Estimate]:
    """Return the means of figures over the items (I,) that they are of, by name.

    Of shares the interval is Wilson's, which has width where all items have the same share.
    """
    low, high = mean_intervals(np.stack(list(values.values()), axis=1))
    ends = zip(values.items(), low.tolist(), high.tolist(), strict=True)
    return {
        name: share_estimate(of_name) if name.startswith(SHARES) else Estimate(float(of_name.mean()), *interval)
        for (name, of_name), *interval in ends
    }


def mean_estimate(values: Floats) -> Estimate:
    """Return the mean over items (I,) of a figure that is no share."""
    (low,), (high,) = mean_intervals(values[:, None])
    return Estimate(float(values.mean()), float(low), float(high))


def share_estimate(values: Floats) -> Estimate:
    """Return the mean of shares over items (I,), with the interval of `bootstrap.share_interval`."""
    share, items = float(values.mean()), len(values)
    ends = share_interval(share, float(values.var()) / items, items) if items > 1 else (math.nan, math.nan)
    return Estimate(share, *ends)


def ratio_estimate(a: Floats, b: Floats) -> Estimate:
    """Return mean(a) / mean(b) of different items (I,) and (J,); 1 where both are zero."""
    above, below = float(a.mean()), float(b.mean())
    ratio = above / below if below else (np.inf if above else 1.0)
    return Estimate(ratio, *ratio_interval(a, b))


def paired_estimate(minuend: Sequence[ItemRow], subtrahend: Sequence[ItemRow], figure: str) -> Estimate | None:
    """Return the mean difference over the items that both have; None where the figure is missing."""
    others = {row.item: row for row in subtrahend}
    both = [row for row in minuend if row.item in others]
    a, b = item_values(both, figure), item_values([others[row.item] for row in both], figure)
    return None if a is None or b is None else mean_estimate(a - b)
