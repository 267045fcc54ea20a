"""Accuracies at chance are said to be at chance."""

import pytest
from memory_runs import make_accuracy

from experiments.statistics.chance import chance_sentence, chance_sentences


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.48, 0.38, 0.58), "novel: 48.0 % correct after 10 exposures is no better than guessing (50 %)"),
        ((0.30, 0.22, 0.40), "novel: 30.0 % correct after 10 exposures is worse than guessing (50 %)"),
        ((0.56, 0.46, 0.66), "not told apart from guessing (50 %): the 95 % interval over images is 46.0 to 66.0 %"),
    ],
)
def test_what_is_not_above_chance_is_said(values: tuple[float, float, float], expected: str) -> None:
    assert expected in (chance_sentence(make_accuracy(*values)) or "")


def test_of_what_is_above_chance_nothing_is_said() -> None:
    assert chance_sentence(make_accuracy(0.8, 0.7, 0.9)) is None


def test_before_study_chance_is_expected() -> None:
    assert chance_sentence(make_accuracy(0.5, 0.4, 0.6, exposure=0)) is None


def test_only_the_last_exposure_counts() -> None:
    early, late = make_accuracy(0.5, 0.4, 0.6, exposure=1), make_accuracy(0.9, 0.8, 0.95, exposure=2)
    assert chance_sentences([early, late]) == []


def test_every_condition_is_judged() -> None:
    results = [make_accuracy(0.5, 0.4, 0.6, condition=name) for name in ("novel", "state")]
    assert [sentence.split(":")[0] for sentence in chance_sentences(results)] == ["novel", "state"]


def test_ties_that_count_as_wrong_lower_what_guessing_reaches() -> None:
    assert chance_sentence(make_accuracy(0.26, 0.2, 0.32, chance=0.25)) is not None
    assert "not told apart from guessing (25 %)" in (chance_sentence(make_accuracy(0.26, 0.2, 0.32, chance=0.25)) or "")
    assert chance_sentence(make_accuracy(0.4, 0.3, 0.5, chance=0.25)) is None
