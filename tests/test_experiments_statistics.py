"""Accuracy and intervals from trials."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from experiments.human import human_figures
from experiments.statistics import (
    POOLED,
    TRIAL_COLUMNS,
    accuracies,
    correctness,
    pooled,
    read_trials,
    wilson_interval,
    write_accuracies,
    write_trials,
)


def make_trial(version: str, item: str, exposure: int, correct: float, condition: str = "novel") -> dict[str, str]:
    values = dict.fromkeys(TRIAL_COLUMNS, "0")
    return values | {
        "list": "list", "version": version, "item": item, "condition": condition,
        "exposure": str(exposure), "correct": str(correct),
    }  # fmt: skip


def test_lower_nll_of_the_studied_picture_is_correct() -> None:
    assert correctness(1.0, 2.0) == 1.0


def test_higher_nll_of_the_studied_picture_is_wrong() -> None:
    assert correctness(2.0, 1.0) == 0.0


def test_tie_counts_one_half() -> None:
    assert correctness(1.5, 1.5) == 0.5


@given(count=st.integers(1, 500), data=st.data())
def test_interval_agrees_with_scipy(count: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, count))
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    assert wilson_interval(hits / count, count) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_interval_has_width_at_one() -> None:
    low, high = wilson_interval(1.0, 20)
    assert low < 0.9
    assert math.isclose(high, 1.0)


def test_accuracy_is_the_mean_of_correctness() -> None:
    trials = [make_trial("as_given", str(item), 3, correct) for item, correct in enumerate((1.0, 0.5, 0.0, 1.0))]
    assert accuracies(trials)[0].accuracy == 0.625


def test_versions_are_pooled() -> None:
    trials = [make_trial("as_given", "a", 0, 1.0), make_trial("swapped", "a", 0, 0.0)]
    point = pooled(accuracies(trials))["novel"][0]
    assert (point.version, point.accuracy, point.trials) == (POOLED, 0.5, 2)


def test_interval_counts_items_not_trials() -> None:
    trials = [make_trial(version, "a", 0, 1.0) for version in ("as_given", "swapped")]
    point = pooled(accuracies(trials))["novel"][0]
    assert (point.low, point.high) == wilson_interval(1.0, 1)


def test_curve_is_in_order_of_exposure() -> None:
    trials = [make_trial("as_given", "a", exposure, 1.0) for exposure in (10, 2, 0)]
    assert [point.exposure for point in pooled(accuracies(trials))["novel"]] == [0, 2, 10]


def test_trials_survive_the_file(tmp_path: Path) -> None:
    trials = [make_trial("as_given", "a", 0, 1.0)]
    write_trials(tmp_path / "trials.csv", trials)
    assert read_trials(tmp_path / "trials.csv") == trials


def test_missing_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "trials.csv").write_text("list,version\n")
    with pytest.raises(ValueError, match=r"no column .*nll_foil"):
        read_trials(tmp_path / "trials.csv")


def test_accuracy_table_has_a_row_per_version_and_exposure(tmp_path: Path) -> None:
    results = accuracies([make_trial("as_given", "a", 0, 1.0), make_trial("swapped", "a", 0, 0.0)])
    write_accuracies(tmp_path / "accuracy.csv", results)
    lines = (tmp_path / "accuracy.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["version", "as_given", POOLED, "swapped"]


def test_human_figures_are_those_of_brady_2008() -> None:
    figures = {name: (figure.accuracy, figure.sem) for name, figure in human_figures().items()}
    assert figures["novel"] == pytest.approx((0.925, 0.016))
    assert figures["exemplar"] == pytest.approx((0.876, 0.018))
    assert figures["state"] == pytest.approx((0.872, 0.018))
