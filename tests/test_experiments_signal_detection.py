"""d', ROC, areas, judgements by likelihood ratio, and the table of items."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_runs import make_trials

from experiments.statistics.items import items
from experiments.statistics.outcomes import collect
from experiments.statistics.signal_detection import (
    Sensitivity,
    area_under_roc,
    corrected_rate,
    forced_choice_d_prime,
    old_new_d_prime,
    roc,
    sensitivities,
)
from experiments.statistics.trials import TrialRow, correctness, likelihood_ratio_trials


def measured(trials: list[TrialRow]) -> list[Sensitivity]:
    return sensitivities(trials, collect(trials))


scores = st.lists(st.integers(0, 9).map(float), min_size=1, max_size=12).map(np.array)


@given(count=st.integers(1, 1000))
def test_chance_has_no_sensitivity(count: int) -> None:
    assert forced_choice_d_prime(count / 2, count) == pytest.approx(0.0)
    assert old_new_d_prime(count / 2, count / 2, count) == 0.0


def test_d_prime_of_a_known_case() -> None:
    # Macmillan and Creelman's table for two alternatives: 76 % correct is d' = 1.
    assert forced_choice_d_prime(7600, 10_000) == pytest.approx(1.0, abs=0.01)


@given(count=st.integers(1, 1000))
def test_perfect_scores_have_a_finite_d_prime(count: int) -> None:
    assert math.isfinite(forced_choice_d_prime(count, count))
    assert forced_choice_d_prime(count, count) == pytest.approx(-forced_choice_d_prime(0, count))


def test_every_rate_gets_half_a_success_and_half_a_failure() -> None:
    """Hautus (1995) adds to all rates: of 99 correct choices in 100, d' is 3.075, not 3.290."""
    assert (corrected_rate(99, 100), corrected_rate(100, 100)) == (99.5 / 101, 100.5 / 101)
    assert forced_choice_d_prime(99, 100) == pytest.approx(3.075, abs=0.0005)


@given(studied=scores, foils=scores)
def test_area_is_the_accuracy_over_all_pairs(studied: np.ndarray, foils: np.ndarray) -> None:
    pairs = [correctness(float(one), float(other)) for one in studied for other in foils]
    assert area_under_roc(studied, foils) == pytest.approx(np.mean(pairs))


@given(studied=scores, foils=scores)
def test_area_is_that_under_the_roc(studied: np.ndarray, foils: np.ndarray) -> None:
    false_alarms, hits = roc(studied, foils)
    assert np.trapezoid(hits, false_alarms) == pytest.approx(area_under_roc(studied, foils))


@given(studied=scores, foils=scores)
def test_roc_goes_from_corner_to_corner(studied: np.ndarray, foils: np.ndarray) -> None:
    false_alarms, hits = roc(studied, foils)
    assert (false_alarms[0], hits[0], false_alarms[-1], hits[-1]) == (0, 0, 1, 1)


def test_judge_calls_as_many_images_old_as_new() -> None:
    assert all(line.hits + line.false_alarms == pytest.approx(1) for line in measured(make_trials()))


def test_d_prime_lies_in_its_intervals() -> None:
    for line in measured(make_trials(items=40, exposures=3)):
        assert line.d_prime_low_images is not None
        assert line.d_prime_high_images is not None
        assert line.d_prime_low_images <= line.d_prime <= line.d_prime_high_images


def test_perfect_recognition_has_no_upper_end_of_d_prime() -> None:
    line = measured([replace(trial, correct=1.0) for trial in make_trials(exposures=1, seeds=(0, 1))])[-1]
    assert line.d_prime_high is None
    assert line.d_prime_low is not None


def test_one_run_is_tested_over_images_alone() -> None:
    line = measured(make_trials())[-1]
    assert (line.p_chance, line.p_people, line.d_prime_low) == (None, None, None)
    assert line.p_people_images is not None


def test_accuracy_is_tested_against_chance_and_against_people() -> None:
    """Of 400 trials 92.5 % are correct, which is what people reach."""
    trials = make_trials(items=400, exposures=1, versions=("as_given",))
    judged = [replace(trial, correct=float(int(trial.item.split("/")[1]) >= 30)) for trial in trials]
    line = next(line for line in measured(judged) if line.condition == "novel")
    assert line.p_chance_images < 1e-6
    assert line.people == 0.925
    assert line.p_people_images is not None
    assert line.p_people_images > 0.8


def test_conditions_that_no_people_saw_are_not_tested_against_people() -> None:
    line = measured(make_trials(conditions=("noise",)))[-1]
    assert (line.people, line.p_people, line.p_people_images) == (None, None, None)


def test_ties_that_count_as_wrong_are_no_evidence_against_memory() -> None:
    trials = [replace(t, nll_studied=1.0, nll_foil=1.0, correct=0.0) for t in make_trials(items=40, exposures=1)]
    line = measured(trials)[-1]
    assert (line.accuracy, line.d_prime, line.p_chance_images) == (0.0, 0.0, 1.0)


def test_sensitivity_grows_with_study() -> None:
    lines = [line for line in measured(make_trials(items=40, exposures=8)) if line.condition == "novel"]
    assert lines[-1].d_prime > lines[4].d_prime > lines[0].d_prime
    assert lines[-1].auc > lines[0].auc


def test_likelihood_ratio_removes_that_images_are_simple() -> None:
    base = make_trials(items=2, exposures=1, conditions=("novel",), versions=("as_given",))
    simple_foil = [
        replace(trial, nll_studied=4.0 if trial.exposure else 5.0, nll_foil=1.0, correct=0.0) for trial in base
    ]
    judged = likelihood_ratio_trials(simple_foil)
    assert [trial.correct for trial in judged] == [0.5, 0.5, 1.0, 1.0]
    assert [(line.accuracy, line.likelihood_ratio_accuracy) for line in measured(simple_foil)] == [
        (0, 0.5),
        (0, 1),
    ]


def test_without_a_test_before_study_there_is_no_likelihood_ratio() -> None:
    after = [trial for trial in make_trials() if trial.exposure]
    assert likelihood_ratio_trials(after) == []
    assert {line.likelihood_ratio_auc for line in measured(after)} == {None}


def test_items_have_a_row_for_every_image_that_was_studied() -> None:
    trials = make_trials(items=3, seeds=(0, 1))
    table = items(trials)
    assert len(table) == 2 * 3 * 2  # conditions, items, and both images of a pair
    assert {line.runs for line in table} == {2}
    assert {line.path for line in table} == {trial.studied for trial in trials}


def test_likelihood_ratio_of_an_item_is_nll_before_minus_after() -> None:
    trials = make_trials(items=1, exposures=2, conditions=("novel",), versions=("as_given",))
    line = items(trials)[0]
    before = trials[0].nll_studied
    after = trials[-1].nll_studied
    assert (line.nll_before, line.nll_after, line.exposure) == (before, after, 2)
    assert line.likelihood_ratio == before - after


def test_items_have_bits_per_pixel_before_and_after_study() -> None:
    trials = [
        replace(trial, bits_per_pixel_studied=2 * trial.nll_studied, bits_per_pixel_foil=2 * trial.nll_foil)
        for trial in make_trials(items=2, seeds=(0, 1))
    ]
    for line in items(trials):
        assert line.bits_per_pixel_before == pytest.approx(2 * (line.nll_before or math.nan))
        assert line.bits_per_pixel_after == pytest.approx(2 * line.nll_after)


def test_items_have_no_bits_per_pixel_where_a_run_has_none() -> None:
    some, others = make_trials(items=1, seeds=(0,)), make_trials(items=1, seeds=(1,))
    mixed = [replace(trial, bits_per_pixel_studied=1.0, bits_per_pixel_foil=1.0) for trial in some] + others
    assert {(line.bits_per_pixel_before, line.bits_per_pixel_after) for line in items(mixed)} == {(None, None)}


def test_trials_judged_by_likelihood_ratio_have_its_bits_per_pixel() -> None:
    trials = [
        replace(trial, bits_per_pixel_studied=2 * trial.nll_studied, bits_per_pixel_foil=2 * trial.nll_foil)
        for trial in make_trials(items=1)
    ]
    for trial in likelihood_ratio_trials(trials):
        assert trial.bits_per_pixel_studied == pytest.approx(2 * trial.nll_studied)
        assert trial.bits_per_pixel_foil == pytest.approx(2 * trial.nll_foil)


def test_items_are_those_of_the_weights_on_unchanged_images() -> None:
    plain = make_trials(items=2)
    more = [replace(trial, readout="familiarity", correct=0.0) for trial in plain]
    more += [replace(trial, change="mirror", correct=0.0) for trial in plain]
    assert items(plain + more) == items(plain)
