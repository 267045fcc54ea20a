"""How much context half retrieval takes."""

import math
from dataclasses import replace

import numpy as np
import pytest
from diversity_tables import Simulated, items_of
from hypothesis import given
from hypothesis import strategies as st

from experiments.diversity.reporting.context import contexts, crossing

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
        items = [replace(row, retrieved=of_given[row.given]) for row in items_of(Simulated(given=tuple(of_given)))]
        return contexts(items)[0].text()

    assert text(0.0, 0.5, 1.0) == "50 %"
    assert text(0.75, 1.0, 1.0) == "at most 25 %"
    assert text(0.0, 0.0, 0.25) == "never"
    assert text(0.75) == "at most 25 %"
    assert text(0.25) == "more than 25 %"
