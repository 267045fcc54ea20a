"""How much context half retrieval takes."""

import math
from dataclasses import replace

import numpy as np
import pytest
from diversity_tables import Simulated, items_of
from hypothesis import given
from hypothesis import strategies as st

from experiments.diversity.reporting.context import Growth, contexts, crossing, growths

SHARES = np.array([0.25, 0.5, 0.75])


@pytest.mark.parametrize(
    ("retrieved", "share"),
    [
        ((0.0, 0.25, 0.75), 0.625),
        ((0.0, 0.5, 1.0), 0.5),
        ((0.5, 0.0, 1.0), 0.25),
        ((0.0, 0.4, 0.4), math.inf),
        ((0.0, 1.0, 0.0), 0.375),
    ],
)
def test_context_is_linear_between_the_shares_given(retrieved: tuple[float, ...], share: float) -> None:
    assert crossing(SHARES, np.array([retrieved])) == pytest.approx([share])


@given(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5))
def test_context_lies_within_the_shares_given(retrieved: list[list[float]]) -> None:
    found = crossing(SHARES, np.array(retrieved))
    assert ((found == math.inf) | ((found >= 0.25) & (found <= 0.75))).all()


def test_context_is_told_as_far_as_it_was_measured() -> None:
    def text(*retrieved: float) -> str:
        of_given = dict(zip((1, 2, 3), retrieved, strict=False))
        rows = items_of(Simulated(given=tuple(of_given), videos=1))
        return contexts([replace(row, retrieved=of_given[row.given]) for row in rows])[0].text()

    assert text(0.0, 0.5, 1.0) == "50 %"
    assert text(0.75, 1.0, 1.0) == "at most 25 %"
    assert text(0.0, 0.0, 0.25) == "never"
    assert text(0.75) == "at most 25 %"
    assert text(0.25) == "more than 25 %"


def test_interval_of_context_is_where_one_half_may_be_retrieved() -> None:
    rows = items_of(Simulated(items=24))
    (found, *_) = contexts([replace(row, retrieved=float(row.given >= 2)) for row in rows])
    low, high = found.interval()
    assert 0.25 < low < found.needed.value < high < 0.5
    assert found.needed == (0.375, low, high)


def test_more_groups_make_the_context_surer() -> None:
    widths = []
    for videos in (6, 24):
        rows = items_of(Simulated(items=24, videos=videos))
        low, high = contexts([replace(row, retrieved=float(row.given >= 2)) for row in rows])[0].interval()
        widths.append(high - low)
    assert widths[0] > widths[1]


def test_difference_of_contexts_has_the_p_value_that_its_interval_says() -> None:
    def growth(share: float) -> Growth:
        small = items_of(Simulated(items=12))
        large = items_of(Simulated(items=12, model="large", training_items=64))
        rows = [replace(row, retrieved=float(row.given >= 2)) for row in small]
        rows += [replace(row, retrieved=share if row.given == 2 else float(row.given > 2)) for row in large]
        return growths(contexts(rows))[0]

    for share in (0.0, 0.2, 0.4, 0.9):
        found = growth(share).difference
        assert found.p is not None
        assert (found.p <= 0.05) == (not found.estimate.low <= 0 <= found.estimate.high)
