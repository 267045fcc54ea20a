"""Resampling runs and items, and the intervals made from it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binomtest

from experiments.statistics import bootstrap
from experiments.statistics.bootstrap import (
    quantile_interval,
    resampled_shares,
    share_interval,
    wilson_interval,
)
from experiments.statistics.outcomes import Floats

outcomes = arrays(np.float64, (1, 3, 10), elements=st.sampled_from([0.0, 0.5, 1.0]))


def interval(correct: Floats) -> tuple[float, float]:
    """The interval of the first moment."""
    variance = float(resampled_shares(correct, resamples=200).var(axis=0)[0])
    return share_interval(float(np.nanmean(correct[0])), variance, correct.shape[2])


@given(outcomes)
def test_interval_contains_the_share(correct: Floats) -> None:
    low, high = interval(correct)
    assert 0 <= low <= correct.mean() <= high <= 1


@given(outcomes)
def test_interval_has_width(correct: Floats) -> None:
    low, high = interval(correct)
    assert high - low > 0.01


@given(outcomes)
def test_same_seed_same_resamples(correct: Floats) -> None:
    first = resampled_shares(correct, 50, seed=1)
    bootstrap._draws.cache_clear()
    assert np.array_equal(resampled_shares(correct, 50, seed=1), first)


@given(arrays(np.float64, (1, 1, 10), elements=st.sampled_from([0.0, 1.0])))
def test_interval_narrows_with_more_items(correct: Floats) -> None:
    low, high = interval(np.tile(correct, (1, 1, 8)))
    low_of_fewer, high_of_fewer = interval(correct)
    assert high - low < high_of_fewer - low_of_fewer


def test_interval_without_an_error_is_that_of_its_items() -> None:
    assert interval(np.ones((1, 4, 20))) == pytest.approx(wilson_interval(1.0, 20))


def test_interval_of_one_run_is_about_that_of_independent_trials() -> None:
    correct = (np.arange(200) < 150).astype(float)[None, None]
    variance = float(resampled_shares(correct).var(axis=0)[0])
    assert share_interval(0.75, variance, 200) == pytest.approx(wilson_interval(0.75, 200), abs=0.005)


def test_runs_that_differ_widen_the_interval() -> None:
    alike = np.zeros((1, 4, 40))
    apart = np.zeros((1, 4, 40))
    alike[:, :, ::2] = 1
    apart[:, ::2] = 1
    alike_low, alike_high = interval(alike)
    apart_low, apart_high = interval(apart)
    assert apart_high - apart_low > 1.5 * (alike_high - alike_low)


def test_trials_that_were_not_taken_do_not_count() -> None:
    correct = np.full((1, 2, 6), np.nan)
    correct[0, 0, :3] = correct[0, 1, 3:] = 1.0
    assert (resampled_shares(correct, 100) == 1).all()


def test_moments_share_their_draws() -> None:
    correct = np.random.default_rng(0).integers(0, 2, (1, 2, 8)).astype(float)
    shares = resampled_shares(np.repeat(correct, 2, axis=0), 100)
    assert np.array_equal(shares[:, 0], shares[:, 1])


@given(count=st.integers(1, 500), data=st.data())
def test_score_interval_agrees_with_scipy(count: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, count))
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    assert wilson_interval(hits / count, count) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_quantiles_may_be_infinite() -> None:
    values = np.array([1.0] * 10 + [np.inf] * 90)
    assert quantile_interval(values) == (1.0, np.inf)
