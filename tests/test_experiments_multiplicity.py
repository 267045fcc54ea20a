"""Correction of p-values for their number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.statistics.multiplicity import holm

P_VALUES = st.lists(st.floats(min_value=0, max_value=1), max_size=20)


def test_holm_of_a_worked_example() -> None:
    """By hand: .005 x 4, .01 x 3, then .03 x 2 and .04 x 1, which may not fall below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_one_test_is_not_corrected() -> None:
    assert holm([0.04]) == [0.04]


def test_no_tests_give_none() -> None:
    assert holm([]) == []


@given(P_VALUES)
def test_adjusted_values_are_between_the_raw_ones_and_those_of_bonferroni(p_values: list[float]) -> None:
    for raw, adjusted in zip(p_values, holm(p_values), strict=True):
        assert raw <= adjusted <= min(1.0, len(p_values) * raw)


@given(P_VALUES)
def test_order_is_kept(p_values: list[float]) -> None:
    ranked = [adjusted for _, adjusted in sorted(zip(p_values, holm(p_values), strict=True))]
    assert ranked == sorted(ranked)
