"""The psychometric function and the exposures to the human level."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_runs import make_trials

from experiments.human import human_results
from experiments.published import published_curves
from experiments.statistics.outcomes import collect
from experiments.statistics.psychometric import Psychometric, fit_psychometric
from experiments.statistics.thresholds import first_exposure_at_or_above, thresholds

EXPOSURES = range(1, 31)
BRADY = ("novel", "exemplar", "state")


@settings(max_examples=30)
@given(scale=st.floats(2, 20), slope=st.floats(0.8, 4), lapse=st.floats(0, 0.2))
def test_fit_recovers_the_function_that_made_the_accuracies(scale: float, slope: float, lapse: float) -> None:
    truth = Psychometric(scale, slope, lapse)
    fit = fit_psychometric(EXPOSURES, [truth(k) for k in EXPOSURES], [400] * 30)
    assert [fit(k) for k in EXPOSURES] == pytest.approx([truth(k) for k in EXPOSURES], abs=0.01)


def test_fit_recovers_parameters_from_simulated_trials() -> None:
    truth = Psychometric(scale=6.0, slope=2.0, lapse=0.05)
    right = np.random.default_rng(0).binomial(2000, [truth(k) for k in EXPOSURES]) / 2000
    fit = fit_psychometric(EXPOSURES, right, [2000] * 30)
    assert (fit.scale, fit.slope, fit.lapse) == pytest.approx((6.0, 2.0, 0.05), rel=0.1)


@given(accuracy=st.floats(0.55, 0.9), scale=st.floats(1, 50), slope=st.floats(0.5, 5))
def test_exposures_at_an_accuracy_give_that_accuracy(accuracy: float, scale: float, slope: float) -> None:
    function = Psychometric(scale, slope, lapse=0.05)
    assert function(function.exposures_at(accuracy)) == pytest.approx(accuracy)


def test_accuracy_above_the_lapse_rate_is_never_reached() -> None:
    assert Psychometric(5.0, 2.0, lapse=0.1).exposures_at(0.9) == math.inf


def test_function_begins_at_chance() -> None:
    assert Psychometric(5.0, 2.0, 0.0)(0) == 0.5


def test_a_test_before_study_does_not_matter() -> None:
    shares = [Psychometric(5.0, 2.0, 0.0)(k) for k in range(10)]
    assert fit_psychometric(range(10), shares, [10] * 10) == fit_psychometric(range(1, 10), shares[1:], [10] * 9)


def test_fit_without_exposures_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one exposure"):
        fit_psychometric([0], [0.5], [100])


@pytest.mark.parametrize(
    ("pretraining", "expected"),
    [("ImageNet", (14, 9, 8)), ("SAYCam", (13, 9, 8)), ("from scratch", (76, 59, 56))],
)
def test_published_curves_reach_people_where_published(pretraining: str, expected: tuple[int, ...]) -> None:
    curves = {curve.condition: curve for curve in published_curves() if curve.pretraining == pretraining}
    people = human_results(BRADY)
    found = [
        first_exposure_at_or_above(
            zip(curves[name].exposures, curves[name].accuracies, strict=True), people[name].accuracy
        )
        for name in BRADY
    ]
    assert tuple(found) == expected


def test_fit_to_a_published_curve_crosses_where_the_curve_does() -> None:
    people = human_results(BRADY)["novel"].accuracy
    curve = next(c for c in published_curves() if (c.pretraining, c.condition) == ("ImageNet", "novel"))
    fit = fit_psychometric(curve.exposures, curve.accuracies, [400] * len(curve.exposures))
    assert 13 <= fit.exposures_at(people) <= 14


def test_first_exposure_is_none_where_people_are_not_reached() -> None:
    assert first_exposure_at_or_above([(0, 0.5), (1, 0.8)], 0.9) is None


def test_level_of_people_counts_as_reached() -> None:
    assert first_exposure_at_or_above([(1, 0.5), (2, 0.875), (3, 0.9)], 0.875) == 2


def test_interval_surrounds_the_fitted_exposures() -> None:
    lines = thresholds(collect(make_trials(items=150, exposures=10, seeds=(0, 1))))
    assert [line.condition for line in lines] == ["novel", "state"]
    for line in lines:
        assert line.fitted is not None
        assert line.low_images is not None
        assert line.high_images is not None
        assert line.low is not None
        assert line.low <= line.low_images <= line.fitted <= line.high_images


def test_ends_are_where_the_intervals_of_accuracies_reach_people() -> None:
    """A straight line from .5 by .05 an exposure, of 1,000 images: .872 lies between the 7th and the 8th."""
    trials = make_trials(items=1000, exposures=10, conditions=("state", "novel"), versions=("as_given",))
    judged = [
        replace(trial, correct=float(int(trial.item.split("/")[1]) < 500 + 50 * trial.exposure)) for trial in trials
    ]
    line = next(line for line in thresholds(collect(judged)) if line.condition == "state")
    half = 1.96 * np.sqrt(0.872 * 0.128 / 1000) / 0.05
    assert line.low_images == pytest.approx(7.44 - half, abs=0.2)
    assert line.high_images == pytest.approx(7.44 + half, abs=0.2)


def test_one_run_has_no_interval_over_runs() -> None:
    line = thresholds(collect(make_trials(items=40, exposures=10)))[0]
    assert (line.runs, line.low, line.high) == (1, None, None)
    assert line.low_images is not None


def test_nothing_is_claimed_beyond_the_exposures_that_were_made() -> None:
    trials = make_trials(items=50, exposures=5)
    right = [25, 26, 27, 29, 32, 36]  # of 50 after each exposure, rising ever faster
    judged = [replace(trial, correct=float(int(trial.item.split("/")[1]) < right[trial.exposure])) for trial in trials]
    line = thresholds(collect(judged))[0]
    assert 5 < Psychometric(line.scale, line.slope, line.lapse).exposures_at(line.people) < 20
    assert (line.first, line.fitted, line.high, line.exposures) == (None, None, None, 5)


def test_conditions_that_people_were_not_tested_on_have_no_threshold() -> None:
    assert thresholds(collect(make_trials(conditions=("noise",)))) == []


def test_same_trials_same_thresholds() -> None:
    trials = make_trials(exposures=3)
    assert thresholds(collect(trials)) == thresholds(collect(trials))


def test_published_noise_has_a_curve_for_each_model() -> None:
    noise = [curve for curve in published_curves() if curve.condition == "noise"]
    assert {(curve.pretraining, len(curve.exposures)) for curve in noise} == {
        ("ImageNet", 50),
        ("SAYCam", 50),
        ("from scratch", 50),
    }


@pytest.mark.parametrize(("pretraining", "expected"), [("SAYCam", 19), ("from scratch", 25), ("ImageNet", 39)])
def test_published_noise_is_known_by_heart_when_published(pretraining: str, expected: int) -> None:
    curve = next(c for c in published_curves() if (c.pretraining, c.condition) == (pretraining, "noise"))
    assert first_exposure_at_or_above(zip(curve.exposures, curve.accuracies, strict=True), 0.9) == expected


def test_curve_that_is_up_at_the_first_exposure_crosses_there() -> None:
    trials = [replace(trial, correct=1.0) for trial in make_trials(items=60) if trial.exposure]
    line = thresholds(collect(trials))[0]
    assert (line.first, line.fitted, line.low_images, line.high_images) == (1, 1.0, 1.0, 1.0)
