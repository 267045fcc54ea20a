"""Paired comparisons of readouts, models and changes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_runs import make_trials
from scipy.stats import binomtest, permutation_test

from experiments.statistics import trials as rows
from experiments.statistics.comparison import compare, compare_all, corrected, incomparable, sign_flip_p
from experiments.statistics.multiplicity import holm
from experiments.statistics.outcomes import Outcomes, collect


def change_readout(trials: list[rows.TrialRow], readout: str, correct: float) -> list[rows.TrialRow]:
    """The same trials judged by another readout, all with one outcome."""
    return [replace(trial, readout=readout, correct=correct) for trial in trials]


def two_readouts(first: float = 1.0, second: float = 0.0) -> tuple[Outcomes, Outcomes]:
    trials = make_trials(conditions=("novel",), exposures=1)
    one, other = collect(change_readout(trials, "a", first) + change_readout(trials, "b", second))
    return one, other


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=40))
def test_one_run_without_ties_gives_the_exact_mcnemar_test(differences: list[float]) -> None:
    better = differences.count(1.0)
    worse = differences.count(-1.0)
    expected = binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert sign_flip_p(np.array(differences)) == pytest.approx(expected)


@given(st.lists(st.sampled_from([-2.0, -1.5, -0.5, 0.0, 1.0, 2.0]), min_size=2, max_size=8))
def test_p_agrees_with_scipy_over_all_sign_flips(differences: list[float]) -> None:
    values = np.array(differences)
    expected = permutation_test((values,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_p(values) == pytest.approx(expected.pvalue)


def test_difference_is_first_minus_second() -> None:
    assert {line.difference for line in compare(*two_readouts())} == {1.0}


def test_readouts_that_never_differ_may_still_do_so_on_other_items() -> None:
    line = compare(*two_readouts(1.0, 1.0))[0]
    assert (line.difference, line.p_images) == (0.0, 1.0)
    assert line.low_images < 0 < line.high_images


def test_two_runs_that_disagree_say_nothing_about_other_runs() -> None:
    """One run finds a difference in every image, the other none: clear of these runs, anything goes for others."""
    trials = make_trials(items=40, conditions=("novel",), exposures=1, seeds=(0, 1))
    other = [replace(trial, readout="b", correct=float(trial.seed)) for trial in trials]
    line = compare(*collect(change_readout(trials, "a", 1.0) + other))[0]
    assert line.p_images < 1e-6
    assert line.p is not None
    assert line.p > 0.2


def test_one_run_has_no_interval_over_runs() -> None:
    trials = make_trials(conditions=("novel",), exposures=1)  # both versions of one seed are one run
    line = compare(*collect(change_readout(trials, "a", 1.0) + change_readout(trials, "b", 0.0)))[0]
    assert (line.low, line.high, line.p, line.p_holm) == (None, None, None, None)
    assert line.low_images > 0


def test_only_items_and_runs_that_both_have_count() -> None:
    trials = make_trials(conditions=("novel",), exposures=1)
    fewer = [trial for trial in trials if trial.item != "novel/0" and trial.version == "as_given"]
    one, other = collect(change_readout(trials, "a", 1.0) + change_readout(fewer, "b", 1.0))
    assert {(line.images, line.runs, line.left_out) for line in compare(one, other)} == {(5, 1, 7)}


def test_readouts_without_a_common_run_are_not_compared() -> None:
    first = change_readout(make_trials(seeds=(0,), conditions=("novel",)), "a", 1.0)
    second = change_readout(make_trials(seeds=(1,), conditions=("novel",)), "b", 1.0)
    assert compare(*collect(first + second)) == []


def test_models_without_a_common_trial_are_named() -> None:
    first = [replace(trial, model="a") for trial in make_trials(seeds=(0,), conditions=("novel",))]
    second = [replace(trial, model="b") for trial in make_trials(seeds=(1,), conditions=("novel",))]
    pairs = incomparable(collect(first + second))
    assert [(one.tested.model, other.tested.model) for one, other in pairs] == [("b", "a")]


def test_p_values_are_corrected_within_a_respect_and_a_moment() -> None:
    trials = make_trials(items=20, exposures=2, changes=("none", "mirror", "jpeg-50"), seeds=(0, 1))
    lines = compare_all(collect(trials))
    family = [line for line in lines if line.exposure == 2]
    assert [line.p_images_holm for line in family] == holm([line.p_images for line in family])
    assert [line.p_holm for line in family] == holm([line.p for line in family if line.p is not None])


def test_correcting_twice_changes_nothing() -> None:
    lines = compare_all(collect(make_trials(exposures=1, changes=("none", "mirror"))))
    assert corrected(lines) == lines


def test_pairs_differ_in_one_respect_and_changes_are_compared_with_none() -> None:
    trials = make_trials(
        conditions=("novel",), exposures=1, readouts=("weights", "familiarity"), changes=("none", "mirror", "jpeg-50")
    )
    pairs = {
        (line.respect, line.readout, line.change, line.first, line.second) for line in compare_all(collect(trials))
    }
    readouts = {("readout", "", change, "weights", "familiarity") for change in ("none", "mirror", "jpeg-50")}
    changes = {
        ("change", readout, "", *pair)
        for readout in ("weights", "familiarity")
        for pair in (("none", "mirror"), ("none", "jpeg-50"))
    }
    assert pairs == readouts | changes


def test_outcomes_are_named_by_what_is_tested() -> None:
    assert [outcomes.tested for outcomes in collect(make_trials())] == [
        rows.TestCondition(model="", readout="weights", change="none", condition="novel"),
        rows.TestCondition(model="", readout="weights", change="none", condition="state"),
    ]
