"""How much must be given until the right thing is retrieved, and whether that grows with what a model knows.

The interval of what must be given are all shares at which one half lies within the interval of the share retrieved:
from where the upper ends of these reach one half to where the lower ends do. Ends between two shares given are linear,
which is at least as wide as the interval of the retrieval in between.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import get_args

import numpy as np

from experiments.diversity.conditions import Group, Kind
from experiments.diversity.reporting.estimates import Estimate, Finding, bracketed
from experiments.diversity.reporting.runs import in_order, latest, main_setting, select, setting_columns, training
from experiments.diversity.tables import MODEL, ItemRow
from experiments.statistics.grouped import CONFIDENCE, Grouped, Grouping, share_of
from experiments.statistics.outcomes import Floats

HALF = 0.5
"""Share of the continuations that are to be retrieved."""
HALVINGS = 30
"""Of the range in which a p-value lies."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """The share of the grid that a model must be given until half of its continuations are retrieved."""

    kind: Kind
    """Images or clips."""
    model: str
    """Name of the run."""
    training_items: int
    """Items that its GPT was trained on."""
    exposures: float | None
    """Passes over them; None where it is not known."""
    group: Group
    """Of the items continued."""
    encoding: str
    """Of the prompts."""
    shares: tuple[float, ...]
    """Shares that were given, in order; linear in between, and nothing is said of what lies beyond."""
    needed: Estimate
    """Infinite if no share is enough; the smallest share if that is enough already."""
    retrieved: Grouped
    """Shares of the continuations that were retrieved, by share given."""

    @property
    def groups(self) -> int:
        """Groups of sources that the items are from."""
        return self.retrieved.groups

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Return the ends of the interval of the context needed; NaN where items are of one group."""
        # Ends beyond 0 and 1 are kept: cut off there, the lines between them would meet one half too late.
        lower, upper = replace(self.retrieved, lowest=-np.inf, highest=np.inf).interval(confidence)
        if np.isnan(lower).any():
            return math.nan, math.nan
        first, last = crossing(np.array(self.shares), np.stack([upper, lower])).tolist()
        return first, last

    def text(self) -> str:
        """Return the context needed for readers."""
        if len(self.shares) == 1:
            share = f"{100 * self.shares[0]:.0f} %"
            return f"more than {share}" if math.isinf(self.needed.value) else f"at most {share}"
        value, low, high = (self._end(share) for share in self.needed)
        return value if value == low == high else bracketed(value, low, high)

    def training(self) -> str:
        """Return how much the model was trained, for readers."""
        exposures = "" if self.exposures is None else f", {self.exposures:.3g} exposures"
        return f"{self.training_items} training items{exposures}"

    def _end(self, share: float) -> str:
        if math.isinf(share):
            return "never"
        if math.isnan(share):
            return ""
        return f"{'at most ' if share == self.shares[0] else ''}{100 * share:.0f} %"


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How much more context the largest training set needs than the smallest."""

    smallest: Context
    """Of the smallest training set."""
    largest: Context
    """Of the largest, with the same kind, group and encoding."""
    difference: Finding
    """Context of the largest minus that of the smallest, in shares of the grid."""


def contexts(items: Sequence[ItemRow]) -> list[Context]:
    """Return the context that each model needs, in each group and encoding, with its main setting."""
    found: list[Context] = []
    rows = select(items, continuation=MODEL)
    for model in in_order(row.model for row in sorted(rows, key=training)):
        of_model = select(rows, model=model)
        of_model = select(of_model, **setting_columns(main_setting(of_model)))
        for group, encoding in in_order((row.group, row.encoding) for row in of_model):
            found.append(_context(select(of_model, group=group, encoding=encoding)))
    return found


def explored(found: Sequence[Context]) -> list[Context]:
    """Return the contexts of models that were given the most prompt lengths of their kind, after most exposures.

    A single prompt length says no more than whether it is enough.
    """
    kept: list[Context] = []
    for kind in get_args(Kind):
        of_kind = select(found, kind=kind)
        most = max((len(context.shares) for context in of_kind), default=0)
        kept += latest([context for context in of_kind if len(context.shares) == most])
    return kept


def growths(found: Sequence[Context]) -> list[Growth]:
    """Compare the smallest and the largest training set, each after most exposures, where there are several."""
    compared: list[Growth] = []
    for kind, group in product(get_args(Kind), get_args(Group)):
        for encoding in in_order(context.encoding for context in found):
            last = select(explored(found), kind=kind, group=group, encoding=encoding)
            if len({context.training_items for context in last}) > 1:
                difference = _difference(last[0], last[-1])
                compared.append(Growth(smallest=last[0], largest=last[-1], difference=difference))
    return compared


def crossing(shares: Floats, retrieved: Floats) -> Floats:
    """Return where retrieval first reaches one half.

    Args:
        shares: (S,) that were given, in order.
        retrieved: (B, S) shares of continuations that were retrieved.

    Returns:
        (B,) shares, linear between those given; infinite where none is enough.
    """
    reached = retrieved >= HALF
    first = reached.argmax(axis=1)
    before = np.maximum(first - 1, 0)
    rows = np.arange(len(retrieved))
    gain = retrieved[rows, first] - retrieved[rows, before]
    fraction = np.divide(HALF - retrieved[rows, before], gain, out=np.zeros(len(rows)), where=first > 0)
    between = shares[before] + fraction * (shares[first] - shares[before])
    return np.where(reached.any(axis=1), between, np.inf)


def _context(rows: Sequence[ItemRow]) -> Context:
    """Return the context that a model needs in one group and encoding, of which `rows` are."""
    shares = sorted({row.given_share for row in rows})
    by_share = [{row.item: row for row in select(rows, given_share=share)} for share in shares]
    common = sorted(set.intersection(*(set(of_share) for of_share in by_share)))
    retrieved = np.array([[of_share[item].retrieved for of_share in by_share] for item in common])
    context = Context(
        kind=rows[0].kind,
        model=rows[0].model,
        training_items=rows[0].training_items,
        exposures=rows[0].exposures,
        group=rows[0].group,
        encoding=rows[0].encoding,
        shares=tuple(shares),
        needed=Estimate(float(crossing(np.array(shares), retrieved.mean(axis=0)[None])[0]), math.nan, math.nan),
        retrieved=share_of(retrieved, Grouping.of([by_share[0][item].group_name for item in common])),
    )
    return replace(context, needed=Estimate(context.needed.value, *context.interval()))


def _difference(smallest: Context, largest: Context) -> Finding:
    """Return the difference; that of two that never retrieve is zero, as none was seen."""
    needed = (smallest.needed.value, largest.needed.value)
    value = 0.0 if needed[0] == needed[1] else needed[1] - needed[0]
    ends = _ends_of_difference(smallest, largest, CONFIDENCE)
    p = None if math.isnan(ends[0]) else _p_of_zero(smallest, largest)
    return Finding(Estimate(value, *ends), min(smallest.groups, largest.groups), p)


def _ends_of_difference(smallest: Context, largest: Context, confidence: float) -> tuple[float, float]:
    """Return an interval of the difference: of all pairs out of the two intervals, each missed half as often.

    It holds whether or not both are of the same items.
    """
    of_each = 1 - (1 - confidence) / 2
    (low_small, high_small), (low_large, high_large) = (one.interval(of_each) for one in (smallest, largest))
    low = -math.inf if math.isinf(high_small) else low_large - high_small
    high = math.inf if math.isinf(high_large) else high_large - low_small
    return low, high


def _p_of_zero(smallest: Context, largest: Context) -> float:
    """Return 1 less the confidence at which the interval of the difference touches zero, found by halving."""
    touching, apart = 0.0, 1.0
    for _ in range(HALVINGS):
        p = (touching + apart) / 2
        low, high = _ends_of_difference(smallest, largest, 1 - p)
        if low <= 0 <= high:
            touching = p
        else:
            apart = p
    return apart
