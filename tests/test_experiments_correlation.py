"""Correlations by weights agree with those of scipy; intervals and halves behave as they should."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from experiments.statistics.correlation import (
    Coefficient,
    Measure,
    correlation_matrices,
    draw_item_weights,
    draw_weights,
    estimate,
    midranks,
    partial_correlations,
)
from experiments.statistics.reliability import draw_halves, split_half, whole_from_halves

ONE_STRATUM = np.zeros(40, dtype=np.int64)
VALUES = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=5, max_size=30)


def matrix(values: list[list[float]], coefficient: Coefficient, strata: list[int] | None = None) -> np.ndarray:
    array = np.array(values, dtype=float)
    numbers = np.array(strata or [0] * array.shape[1], dtype=np.int64)
    return correlation_matrices(array[None], np.ones((1, array.shape[1])), numbers, coefficient)[0]


@given(VALUES)
def test_spearman_agrees_with_scipy_also_with_ties(pairs: list[tuple[int, int]]) -> None:
    first, second = ([float(pair[side]) for pair in pairs] for side in (0, 1))
    found = matrix([first, second], "spearman")[0, 1]
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-9)


@given(VALUES)
def test_midranks_are_scipys_average_ranks(pairs: list[tuple[int, int]]) -> None:
    values = np.array([[float(pair[0]) for pair in pairs]])
    assert midranks(values, np.ones_like(values)) + 0.5 == pytest.approx(stats.rankdata(values, axis=1))


def test_a_weight_of_two_counts_an_item_twice() -> None:
    values = np.random.default_rng(0).standard_normal((1, 2, 8))
    weights = np.array([[1.0, 2, 1, 1, 3, 1, 1, 1]])
    repeated = np.repeat(values, weights[0].astype(int), axis=2)
    for coefficient in ("spearman", "pearson"):
        found = correlation_matrices(values, weights, ONE_STRATUM[:8], coefficient)
        expected = correlation_matrices(repeated, np.ones((1, 11)), ONE_STRATUM[:11], coefficient)
        assert found == pytest.approx(expected)


def test_differences_between_strata_count_for_nothing() -> None:
    """Both variables are higher in the second stratum, and independent within each."""
    first = [0.0, 1, 0, 1, 10, 11, 10, 11]
    second = [0.0, 0, 1, 1, 10, 10, 11, 11]
    assert matrix([first, second], "pearson", [0] * 4 + [1] * 4)[0, 1] == pytest.approx(0)


def test_partial_correlation_is_that_of_residuals() -> None:
    generator = np.random.default_rng(1)
    covariate = generator.standard_normal(40)
    first = covariate + generator.standard_normal(40)
    second = covariate + generator.standard_normal(40)
    found = partial_correlations(matrix([first, second, covariate], "pearson")[None], 0, 1, (2,))[0]
    residuals = [values - np.polyval(np.polyfit(covariate, values, 1), covariate) for values in (first, second)]
    assert found == pytest.approx(np.corrcoef(residuals)[0, 1])


def test_nothing_is_left_of_a_variable_that_is_the_covariate() -> None:
    values = np.random.default_rng(2).standard_normal((2, 20))
    matrices = matrix([values[0], values[1], values[0]], "spearman")[None]
    assert math.isnan(partial_correlations(matrices, 0, 1, (2,))[0])


@pytest.mark.parametrize("units", [2, 3, 10])
def test_random_weights_give_the_unbiased_variance_of_a_mean(units: int) -> None:
    values = np.random.default_rng(3).standard_normal(units)
    weights = draw_weights(40_000, units, np.random.default_rng(0))
    means = weights @ values / weights.sum(axis=1)
    assert means.var() == pytest.approx(values.var(ddof=1) / units, rel=0.05)


def test_items_of_a_cluster_have_one_weight() -> None:
    clusters = np.array([0, 0, 1, 1, 2, 2])
    weights = draw_item_weights(5, np.zeros(6, dtype=np.int64), clusters, np.random.default_rng(0))
    assert (weights[:, ::2] == weights[:, 1::2]).all()
    assert len(np.unique(weights[0])) == 3


def test_an_interval_over_units_too_is_no_narrower() -> None:
    generator = np.random.default_rng(4)
    draws = 0.3 + generator.standard_normal((3, 500)) * [[0.1], [0.2], [0.17]]
    found = estimate(0.3, draws[0], draws[1], 50, [(draws[2], 4)])
    assert found.low < found.low_items < 0.3 < found.high_items < found.high


def test_of_what_does_not_vary_nothing_is_estimated() -> None:
    found = estimate(math.nan, np.full(9, math.nan), np.full(9, math.nan), 9, [])
    assert math.isnan(found.correlation)
    assert math.isnan(found.p)


def test_few_units_that_hardly_matter_leave_the_interval_as_it_is() -> None:
    """Two runs have one degree of freedom, which widens what they contribute and nothing else."""
    generator = np.random.default_rng(6)
    draws = 0.3 + generator.standard_normal((4, 2000)) * [[0.1], [0.14], [0.001], [0.1]]
    many = estimate(0.3, draws[0], draws[1], 50, [(draws[3], 50)])
    both = estimate(0.3, draws[0], draws[1], 50, [(draws[2], 2), (draws[3], 50)])
    assert both.high == pytest.approx(many.high, abs=0.01)


def test_a_measure_of_differences_of_means() -> None:
    hits = np.array([[1.0, 0.0], [1.0, np.nan]])
    false_alarms = np.array([[0.0, np.nan], [1.0, 1.0]])
    assert Measure(((1.0, hits), (-1.0, false_alarms))).values.tolist() == [0.5, -1.0]


def test_halves_divide_each_group() -> None:
    halves = draw_halves(("a", "a", "a", "b", "b", "b"), 50, np.random.default_rng(0))
    assert set(halves[:, :3].sum(axis=1)) | set(halves[:, 3:].sum(axis=1)) == {1.0, 2.0}
    assert (halves.sum(axis=1) == 3).all()


@given(st.floats(0.05, 10), st.integers(1, 9), st.integers(1, 9))
def test_reliability_of_the_whole_follows_from_any_two_parts(noise: float, first: int, second: int) -> None:
    """Of parts whose means are the truth, of variance 1, and noise by the number of units."""
    between = 1 / math.sqrt((1 + noise / first) * (1 + noise / second))
    assert whole_from_halves(between, first, second) == pytest.approx(1 / (1 + noise / (first + second)))


def test_split_half_finds_the_reliability_of_noisy_units() -> None:
    generator = np.random.default_rng(5)
    truth = generator.standard_normal(2000)
    measure = Measure(((1.0, truth + 2 * generator.standard_normal((10, 2000))),))
    found = split_half(measure, np.zeros(2000, dtype=np.int64), [0] * 10, "pearson", 20, np.random.default_rng(0))
    assert found.whole == pytest.approx(1 / 1.4, abs=0.03)


def test_one_unit_has_no_reliability() -> None:
    measure = Measure(((1.0, np.arange(40.0)[None]),))
    assert math.isnan(split_half(measure, ONE_STRATUM, [0], "spearman", 10, np.random.default_rng(0)).ceiling)
