"""How much people remember, and repeats by lag: of participants who were scripted."""

from dataclasses import replace

import numpy as np
import pytest
from people_responses import make_choices, make_repeats
from scipy.special import ndtri

from experiments.people.accuracy import PeopleAccuracy, measured, people_accuracies
from experiments.people.lags import rates_by_lag
from experiments.people.sessions import Session, repeat_d_prime


def pooled(share: float, participants: int, items: int, seed: int = 0) -> PeopleAccuracy:
    rows = make_choices(share, participants, items, conditions=("novel",), seed=seed)
    return people_accuracies(rows)[0]


def test_perfect_participants_have_all_and_d_prime_at_its_bound() -> None:
    result = pooled(1.0, participants=3, items=50)
    assert (result.accuracy, result.remembered, result.high) == (1.0, 1.0, 1.0)
    assert result.d_prime == pytest.approx(np.sqrt(2) * ndtri(150.5 / 151))
    assert result.d_prime_high is None
    assert result.low is not None
    assert 0.9 < result.low < 1


@pytest.mark.parametrize("participants", [1, 20])
def test_guessing_participants_are_at_chance(participants: int) -> None:
    result = pooled(0.0, participants, items=100)
    low, high = (result.low_images, result.high_images) if participants == 1 else (result.low, result.high)
    assert low is not None
    assert high is not None
    assert low < 0.5 < high
    assert (result.p_chance or result.p_chance_images) > 0.05


@pytest.mark.parametrize(("share", "participants"), [(0.3, 20), (0.8, 8)])
def test_share_that_is_remembered_lies_in_the_interval(share: float, participants: int) -> None:
    results = [pooled(share, participants, items=100, seed=seed) for seed in range(20)]
    held = [(line.remembered_low or 0) <= share <= (line.remembered_high or 0) for line in results]
    assert sum(held) >= 18
    assert np.mean([line.remembered for line in results]) == pytest.approx(share, abs=0.02)


def test_one_participant_says_nothing_of_others() -> None:
    result = pooled(0.8, participants=1, items=30)
    assert (result.low, result.high, result.sem, result.p_chance, result.remembered_low) == (None,) * 5
    landmark = measured([result], "people.csv")["novel"]
    assert (landmark.low, landmark.high) == (result.low_images, result.high_images)


def test_choices_that_were_not_made_are_counted_and_in_no_accuracy() -> None:
    rows = make_choices(1.0, participants=2, items=5, conditions=("novel",))
    rows[0] = replace(rows[0], response="", correct=None, reaction_time=None)
    result = people_accuracies(rows)[0]
    assert (result.accuracy, result.trials, result.unanswered) == (1.0, 9, 1)


def test_condition_without_answers_has_no_accuracy() -> None:
    rows = [replace(row, response="", correct=None) for row in make_choices(conditions=("novel",))]
    assert people_accuracies(rows) == []


def test_lists_are_pooled_and_kept_apart() -> None:
    rows = make_choices(1.0, conditions=("novel",)) + make_choices(0.0, conditions=("novel",), list_name="other")
    results = {line.list: line for line in people_accuracies(rows)}
    assert set(results) == {"pooled", "list", "other"}
    assert (results["pooled"].images, results["pooled"].participants) == (20, 4)
    assert results["pooled"].accuracy == (results["list"].accuracy + results["other"].accuracy) / 2


def test_order_of_rows_does_not_matter() -> None:
    rows = make_choices()
    assert people_accuracies(rows) == people_accuracies(rows[::-1])


def test_hit_rates_are_by_lag_and_false_alarms_beside_them() -> None:
    rows = make_repeats(hits=1.0, false_alarms=0.0, lags=(1, 8, 64))
    found = [(rate.measure, rate.lag, rate.rate, rate.trials) for rate in rates_by_lag(rows)]
    assert found == [("hit rate", lag, 1.0, 16) for lag in (1, 8, 64)] + [("false alarm rate", None, 0.0, 96)]


def test_guessed_repeats_have_no_sensitivity() -> None:
    rates = rates_by_lag(make_repeats(hits=0.5, false_alarms=0.5, participants=20, per_lag=20))
    assert all(rate.d_prime == pytest.approx(0, abs=0.3) for rate in rates[:-1])
    assert all((rate.low or 0) <= 0.5 <= (rate.high or 0) for rate in rates)


def test_many_lags_are_put_together() -> None:
    rates = rates_by_lag(make_repeats(lags=range(1, 40), per_lag=1))
    spans = [(rate.least_lag, rate.most_lag) for rate in rates if rate.lag is not None]
    assert spans == [(1, 1), (2, 2), (3, 5), (6, 11), (12, 22), (23, 39)]


def test_repeats_without_a_lag_have_a_rate_of_their_own() -> None:
    rows = [replace(row, lag=None) for row in make_repeats()]
    assert [(rate.measure, rate.lag) for rate in rates_by_lag(rows)] == [("hit rate", None), ("false alarm rate", None)]


def test_tasks_are_kept_apart() -> None:
    rows = make_repeats() + make_repeats(task="continuous")
    assert {rate.task for rate in rates_by_lag(rows)} == {"vigilance", "continuous"}


def test_pictures_without_an_answer_are_left_out() -> None:
    rows = [replace(row, response="", correct=None) for row in make_repeats()]
    assert rates_by_lag(rows) == []


def test_sensitivity_needs_repeats_and_new_pictures() -> None:
    assert repeat_d_prime([row for row in make_repeats() if row.condition == "new"]) is None
    assert Session.of(make_choices(participants=1)).vigilance_d_prime is None
