"""Metrics with intervals over items."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from diversity_tables import Simulated, items_of

from experiments.diversity.reporting.estimates import (
    Estimate,
    MetricRow,
    bracketed,
    item_values,
    mean_estimate,
    mean_estimates,
    metric_means,
    paired_estimate,
    ratio_estimate,
    share_estimate,
    written,
)
from experiments.diversity.reporting.runs import select
from experiments.diversity.tables import BASELINES, MODEL
from storage.tables import read_rows, write_rows


def the_mean(rows: list[MetricRow], name: str, **columns: object) -> MetricRow:
    """The one row of a metric."""
    (row,) = select(rows, metric=name, group="studied", encoding="alone", given=2, **columns)
    return row


def test_a_share_of_all_items_still_has_an_interval() -> None:
    found = share_estimate(np.ones(24))
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.8 < found.low < 0.9


def test_more_items_make_a_share_surer() -> None:
    assert share_estimate(np.ones(48)).low > share_estimate(np.ones(24)).low


def test_shares_that_differ_between_items_are_less_sure() -> None:
    half = np.full(24, 0.5)
    assert share_estimate(np.repeat([0.0, 1.0], 12)).low < share_estimate(half + np.tile([0.1, -0.1], 12)).low


def test_a_single_item_has_no_interval() -> None:
    assert np.isnan(share_estimate(np.ones(1)).low)


def test_other_metrics_are_resampled() -> None:
    found = mean_estimates({"truth_pixel": np.full(8, 0.25), "retrieved": np.full(8, 1.0)})
    assert found["truth_pixel"] == pytest.approx((0.25, 0.25, 0.25))
    assert found["retrieved"].low < 0.8


def test_a_metric_is_the_mean_over_items_within_its_interval() -> None:
    rows = items_of(Simulated())
    found = the_mean(metric_means(rows), "truth_pixel", continuation=MODEL)
    wanted = select(rows, group="studied", encoding="alone", given=2, continuation=MODEL)
    assert found.items == len(wanted) == 4
    assert found.mean == pytest.approx(np.mean([row.truth_pixel for row in wanted]))
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.mean < found.high


def test_bits_are_also_counted_for_each_token() -> None:
    found = metric_means(items_of(Simulated()))
    total = the_mean(found, "entropy_bits", continuation=MODEL)
    assert the_mean(found, "entropy_bits_per_token", continuation=MODEL).mean == pytest.approx(total.mean / 32)


def test_every_condition_and_baseline_has_its_metrics() -> None:
    found = select(metric_means(items_of(Simulated())), metric="retrieved")
    assert len(found) == 2 * 2 * 3 * (1 + len(BASELINES))


def test_metrics_that_items_lack_are_left_out() -> None:
    found = metric_means(items_of(Simulated(n=1, distances=())))
    assert not {row.metric for row in found} & {"pairwise_pixel", "truth_perceptual", "identified_feature"}
    assert "truth_pixel" in {row.metric for row in found}
    assert not select(found, metric="truth_bits", continuation="copy")


def test_one_item_has_no_interval() -> None:
    found = the_mean(metric_means(items_of(Simulated(items=1))), "truth_pixel", continuation=MODEL)
    assert (found.items, found.low, found.high) == (1, None, None)


def test_metrics_are_the_same_every_time_and_read_back_equal(tmp_path: Path) -> None:
    found = metric_means(items_of(Simulated()))
    write_rows(tmp_path / "metrics.csv", found, MetricRow)
    assert read_rows(tmp_path / "metrics.csv", MetricRow) == metric_means(items_of(Simulated())) == found


@pytest.mark.parametrize(
    ("low", "high", "at_least", "at_most"),
    [
        (0.5, 0.7, "holds", "undecided"),
        (0.3, 0.49, "fails", "holds"),
        (0.4, 0.6, "undecided", "undecided"),
        (0.51, 0.6, "holds", "fails"),
        (np.nan, np.nan, "undecided", "undecided"),
        (0.6, np.inf, "holds", "fails"),
    ],
)
def test_verdict_takes_the_whole_interval(low: float, high: float, at_least: str, at_most: str) -> None:
    found = Estimate(0.5, low, high)
    assert (found.at_least(0.5), found.at_most(0.5)) == (at_least, at_most)


@pytest.mark.parametrize(
    ("low", "high", "above", "below"),
    [
        (0.1, 0.2, "holds", "fails"),
        (-0.2, -0.1, "fails", "holds"),
        (-0.1, 0.1, "undecided", "undecided"),
        (0.0, 0.0, "undecided", "undecided"),
        (np.nan, np.nan, "undecided", "undecided"),
    ],
)
def test_no_difference_decides_nothing(low: float, high: float, above: str, below: str) -> None:
    found = Estimate(0.0, low, high)
    assert (found.above_zero(), found.below_zero()) == (above, below)


def test_difference_is_paired_by_item() -> None:
    rows = select(items_of(Simulated()), group="studied", encoding="alone", given=2, continuation=MODEL)
    nearer = [replace(row, truth_pixel=row.truth_pixel - 0.25) for row in reversed(rows)]
    found = paired_estimate(nearer, rows, "truth_pixel")
    assert found == pytest.approx((-0.25, -0.25, -0.25))


def test_items_that_only_one_side_has_are_not_compared() -> None:
    rows = select(items_of(Simulated()), group="studied", encoding="alone", given=2, continuation=MODEL)
    found = paired_estimate(rows, [replace(rows[0], truth_pixel=0.0), replace(rows[1], item=99)], "truth_pixel")
    assert found is not None
    assert found.value == rows[0].truth_pixel
    assert np.isnan(found.low)
    assert paired_estimate(rows, [], "truth_pixel") is None


def test_a_missing_metric_has_no_values() -> None:
    assert item_values([], "truth_pixel") is None
    assert item_values(items_of(Simulated(n=1)), "pairwise_pixel") is None


def test_ratio_to_no_distance_is_infinite() -> None:
    assert ratio_estimate(np.ones(3), np.zeros(3)).value == np.inf
    assert ratio_estimate(np.zeros(3), np.zeros(3)) == (1.0, 1.0, 1.0)


def test_numbers_are_written_with_their_unit_once() -> None:
    assert mean_estimate(np.full(4, 0.5)).text("identified_pixel") == "50.0 [50.0 to 50.0] %"
    assert mean_estimate(np.full(1, 0.5)).text("truth_pixel") == "0.5"
    assert bracketed("+∞", "+28.4 points", "+∞") == "+∞ [+28.4 to +∞] points"
    assert written(-0.05, "retrieved", signed=True) == "-5.0 points"
    assert written(np.inf, "context") == "never"
