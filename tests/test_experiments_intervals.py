"""Intervals and tests over images and runs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t, ttest_1samp

from experiments.statistics.intervals import CrossedMean, crossed_mean
from experiments.statistics.outcomes import Floats

outcomes = arrays(
    np.float64, st.tuples(st.just(1), st.integers(1, 5), st.integers(1, 12)), elements=st.sampled_from([0.0, 0.5, 1.0])
)


def shares(correct: object) -> CrossedMean:
    """The share of correct trials (R, I) at one moment."""
    return crossed_mean(np.array(correct, dtype=np.float64)[None], 0.0, 1.0)


def ends(interval: tuple[Floats, Floats]) -> tuple[float, float]:
    """Both ends at the first moment."""
    low, high = interval
    return float(low[0]), float(high[0])


def with_errors(errors: int, runs: int = 1, images: int = 100) -> Floats:
    """Correct trials (R, I) but for so many, all of different images and in the first run."""
    correct = np.ones((runs, images))
    correct[0, :errors] = 0.0
    return correct


@given(outcomes)
def test_interval_contains_the_share_and_stays_within_its_values(correct: Floats) -> None:
    mean = crossed_mean(correct, 0.0, 1.0)
    low, high = ends(mean.over_images())
    assert 0 <= low <= correct.mean() <= high <= 1


@given(outcomes)
def test_interval_has_width(correct: Floats) -> None:
    low, high = ends(crossed_mean(correct, 0.0, 1.0).over_images())
    assert high - low > 0.1


@given(outcomes.filter(lambda correct: correct.shape[1] > 1))
def test_interval_over_runs_is_no_narrower_than_over_images_alone(correct: Floats) -> None:
    mean = crossed_mean(correct, 0.0, 1.0)
    low_images, high_images = ends(mean.over_images())
    low, high = ends(mean.over_images_and_runs())
    assert low <= low_images + 1e-12
    assert high >= high_images - 1e-12


def test_interval_over_images_is_students_with_two_images_added() -> None:
    values = np.random.default_rng(0).random(20)
    longer = np.concatenate([values, [0.0, 1.0]])
    expected = t.interval(0.95, 21, longer.mean(), longer.std(ddof=1) / np.sqrt(22))
    assert ends(shares([values]).over_images()) == pytest.approx(expected)


def test_p_over_images_is_students_with_two_images_added() -> None:
    values = np.random.default_rng(0).random(20)
    expected = ttest_1samp(np.concatenate([values, [0.0, 1.0]]), 0.4).pvalue
    assert float(shares([values]).p_over_images(0.4)[0]) == pytest.approx(expected)


def test_something_rare_that_is_seen_widens_the_interval() -> None:
    none_seen = ends(shares(np.zeros((8, 20))).over_images())
    one_seen = ends(shares(1 - with_errors(1, runs=8, images=20)).over_images())
    assert none_seen[1] <= one_seen[1]
    assert none_seen[1] == pytest.approx(0.14, abs=0.005)


@given(st.integers(0, 100))
def test_lower_end_falls_with_every_error(errors: int) -> None:
    fewer = ends(shares(with_errors(max(0, errors - 1))).over_images())
    more = ends(shares(with_errors(errors)).over_images())
    assert more[0] <= fewer[0]


def test_perfect_score_has_a_higher_lower_end_than_one_with_a_tie() -> None:
    with_tie = np.ones((1, 100))
    with_tie[0, 0] = 0.5
    assert ends(shares(np.ones((1, 100))).over_images())[0] > ends(shares(with_tie).over_images())[0]


def test_one_run_says_nothing_about_runs() -> None:
    mean = shares(with_errors(10))
    assert np.isnan(mean.over_images_and_runs()).all()
    assert np.isnan(mean.p_over_images_and_runs(0.5)).all()
    assert np.isfinite(mean.p_over_images(0.5)).all()


def test_two_runs_have_one_degree_of_freedom() -> None:
    """The images agree, so that only runs differ: .6 and .8, a standard error of .1 and Student's 12.7 of it."""
    runs = np.stack([np.full(400, 0.6), np.full(400, 0.8)])
    low, high = ends(crossed_mean(runs[None], -1e6, 1e6 + 1.4).over_images_and_runs())
    assert high - low > 2 * t.ppf(0.975, 1) * 0.1


def test_runs_that_belong_together_count_as_one() -> None:
    correct = np.random.default_rng(3).random((1, 4, 30)) < 0.7
    pairs = correct.astype(float)
    together = crossed_mean(pairs, 0.0, 1.0, np.array([0, 0, 1, 1]))
    halves = pairs.reshape(1, 2, 2, 30).mean(axis=2)
    alone = crossed_mean(halves, 0.0, 1.0)
    assert float(together.run_freedom[0]) == 1
    assert float(together.means[0]) == pytest.approx(float(alone.means[0]))
    assert np.isnan(crossed_mean(pairs, 0.0, 1.0, np.zeros(4, dtype=np.int64)).over_images_and_runs()).all()


def test_runs_that_happen_to_agree_are_not_taken_to_be_equal() -> None:
    one = np.arange(100) % 5 > 0
    mean = shares([one, one])
    assert float(mean.run_variances[0]) == pytest.approx(0.8 * 0.2 / 200)
    assert np.ptp(ends(mean.over_images_and_runs())) > 2 * np.ptp(ends(mean.over_images()))


def test_runs_that_differ_widen_the_interval_over_runs_alone() -> None:
    alike = np.tile(np.arange(40) % 2, (4, 1))
    apart = np.tile(np.arange(4)[:, None] % 2, (1, 40))
    width = {
        name: np.ptp(ends(shares(runs).over_images_and_runs())) for name, runs in (("alike", alike), ("apart", apart))
    }
    assert width["apart"] > 2 * width["alike"]


def test_three_runs_have_two_degrees_of_freedom() -> None:
    of_runs = np.array([0.4, 0.5, 0.6])
    mean = crossed_mean(np.repeat(of_runs[:, None], 5000, axis=1)[None], 0.0, 1.0)
    expected = t.interval(0.95, 2, 0.5, 0.1 / np.sqrt(3))
    assert ends(mean.over_images_and_runs()) == pytest.approx(expected, abs=0.001)


def test_many_runs_that_vary_alone_give_students_interval_of_runs() -> None:
    of_runs = np.random.default_rng(1).normal(0.5, 0.1, 8)
    mean = crossed_mean(np.repeat(of_runs[:, None], 5000, axis=1)[None], 0.0, 1.0)
    expected = t.interval(0.95, 7, of_runs.mean(), of_runs.std(ddof=1) / np.sqrt(8))
    assert ends(mean.over_images_and_runs()) == pytest.approx(expected, abs=0.001)


@given(st.floats(0.01, 0.99), st.integers(1, 5))
def test_p_is_the_level_at_which_the_interval_reaches_the_value(value: float, runs: int) -> None:
    correct = np.random.default_rng(runs).random((1, runs, 30)) < 0.7
    mean = crossed_mean(correct.astype(float), 0.0, 1.0)
    pairs = [(mean.over_images(), mean.p_over_images(value))]
    if runs > 1:
        pairs.append((mean.over_images_and_runs(), mean.p_over_images_and_runs(value)))
    for interval, p in pairs:
        low, high = ends(interval)
        assert (float(p[0]) < 0.05) == (not low <= value <= high)


def test_uncertain_value_is_farther_from_being_refuted() -> None:
    mean = shares(with_errors(20))
    assert mean.p_over_images(0.9, error=0.05)[0] > mean.p_over_images(0.9)[0]


def test_p_of_the_centre_is_one() -> None:
    assert shares([[0.0, 1.0]]).p_over_images(0.5)[0] == 1.0


def test_p_against_nothing_known_is_not_known() -> None:
    assert np.isnan(shares(with_errors(3)).p_over_images(np.nan)).all()


def test_all_ties_are_at_chance() -> None:
    mean = shares(np.full((4, 30), 0.5))
    assert (float(mean.means[0]), float(mean.p_over_images_and_runs(0.5)[0])) == (0.5, 1.0)


def test_trials_that_were_not_taken_do_not_count() -> None:
    correct = np.full((2, 6), np.nan)
    correct[0, :3] = 1.0
    correct[1, 3:] = 0.0
    mean = shares(correct)
    assert float(mean.means[0]) == 0.5
    assert float(mean.run_variances[0]) == pytest.approx(0.25)


def test_each_moment_has_the_interval_that_it_has_alone() -> None:
    correct = (np.random.default_rng(2).random((3, 4, 10)) < 0.8).astype(float)
    together = crossed_mean(correct, 0.0, 1.0).over_images_and_runs()
    for moment in range(3):
        alone = crossed_mean(correct[moment : moment + 1], 0.0, 1.0).over_images_and_runs()
        assert np.allclose([end[moment] for end in together], [end[0] for end in alone], rtol=1e-12)


@pytest.mark.parametrize("runs", [1, 3, 8])
def test_intervals_hold_the_truth(runs: int) -> None:
    """500 simulated experiments of 40 images, in each of which run and image shift the chance of being correct."""
    generator = np.random.default_rng(runs)
    of_runs = generator.normal(0, 0.05, (500, runs, 1))
    of_images = generator.normal(0, 0.1, (500, 1, 40))
    correct = (generator.random((500, runs, 40)) < 0.75 + of_runs + of_images).astype(float)
    mean = crossed_mean(correct, 0.0, 1.0)
    truth = 0.75 + (of_runs[:, 0, 0] if runs == 1 else 0.0)
    low, high = mean.over_images() if runs == 1 else mean.over_images_and_runs()
    assert ((low <= truth) & (truth <= high)).mean() > 0.92
