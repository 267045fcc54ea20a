"""Metrics with intervals over items."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from diversity_tables import Simulated, items_of, make_best

from experiments.diversity.reporting.estimates import (
    Estimate,
    MetricRow,
    bracketed,
    item_values,
    mean_finding,
    mean_findings,
    metric_means,
    paired_finding,
    ratio_finding,
    share_finding,
    written,
)
from experiments.diversity.reporting.runs import select
from experiments.diversity.tables import BASELINES, MODEL
from experiments.statistics.outcomes import Floats
from storage.tables import read_rows, write_rows


def the_mean(rows: list[MetricRow], name: str, **columns: object) -> MetricRow:
    """The one row of a metric."""
    (row,) = select(rows, metric=name, group="studied", encoding="alone", given=2, **columns)
    return row


def names(count: int) -> list[str]:
    """Groups of one item each."""
    return [str(index) for index in range(count)]


def share(values: Floats) -> Estimate:
    """The estimate of shares of items that have groups of their own."""
    return share_finding(values, names(len(values))).estimate


def test_a_share_of_all_items_still_has_an_interval() -> None:
    found = share(np.ones(24))
    assert (found.value, found.high) == (1.0, 1.0)
    assert 0.8 < found.low < 0.9


def test_more_items_make_a_share_surer() -> None:
    assert share(np.ones(48)).low > share(np.ones(24)).low


def test_shares_that_differ_between_items_are_less_sure() -> None:
    half = np.full(24, 0.5)
    assert share(np.repeat([0.0, 1.0], 12)).low < share(half + np.tile([0.1, -0.1], 12)).low


def test_a_single_item_has_no_interval() -> None:
    assert np.isnan(share(np.ones(1)).low)


def test_shares_have_an_interval_where_all_agree_and_means_have_none() -> None:
    found = mean_findings({"truth_pixel": np.full(8, 0.25), "retrieved": np.full(8, 1.0)}, names(8))
    assert np.isnan(found["truth_pixel"].estimate[1:]).all()
    assert found["retrieved"].estimate.low < 0.8


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


def test_bits_are_also_counted_for_each_pixel() -> None:
    found = metric_means(items_of(Simulated()))
    total = the_mean(found, "truth_bits", continuation=MODEL)
    assert the_mean(found, "truth_bits_per_pixel", continuation=MODEL).mean == pytest.approx(total.mean / (8 * 64 * 64))


def test_the_best_is_named_by_how_many_it_is_of() -> None:
    rows = items_of(Simulated())
    found = metric_means(rows, make_best(rows))
    one = the_mean(found, "best_pixel_of_1", continuation=MODEL)
    assert one.mean == pytest.approx(the_mean(found, "truth_pixel", continuation=MODEL).mean)
    wanted = select(rows, group="studied", encoding="alone", given=2, continuation=MODEL)
    best = the_mean(found, "best_pixel_of_4", continuation=MODEL)
    assert best.mean == pytest.approx(np.mean([row.best_pixel for row in wanted]))
    assert not select(found, metric="best_pixel")


def test_means_say_how_many_groups_they_are_over() -> None:
    found = the_mean(metric_means(items_of(Simulated(items=6, videos=2))), "truth_pixel", continuation=MODEL)
    assert (found.items, found.groups) == (6, 2)


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


def test_difference_is_paired_by_item() -> None:
    rows = select(items_of(Simulated()), group="studied", encoding="alone", given=2, continuation=MODEL)
    nearer = [replace(row, truth_pixel=row.truth_pixel - 0.25) for row in reversed(rows)]
    found = paired_finding(nearer, rows, "truth_pixel")
    assert found is not None
    assert found.estimate.value == pytest.approx(-0.25)


def test_differences_of_shares_have_an_interval_where_all_agree() -> None:
    rows = select(items_of(Simulated(items=12)), group="studied", encoding="alone", given=2, continuation=MODEL)
    found = paired_finding(rows, rows, "retrieved")
    assert found is not None
    assert found.estimate.low == pytest.approx(-found.estimate.high)
    assert 0.05 < found.estimate.high < 0.4
    assert found.p == pytest.approx(1.0)


def test_items_that_only_one_side_has_are_not_compared() -> None:
    rows = select(items_of(Simulated()), group="studied", encoding="alone", given=2, continuation=MODEL)
    found = paired_finding(rows, [replace(rows[0], truth_pixel=0.0), replace(rows[1], item=99)], "truth_pixel")
    assert found is not None
    assert found.estimate.value == rows[0].truth_pixel
    assert np.isnan(found.estimate.low)
    assert paired_finding(rows, [], "truth_pixel") is None


def test_a_missing_metric_has_no_values() -> None:
    assert item_values([], "truth_pixel") is None
    assert item_values(items_of(Simulated(n=1)), "pairwise_pixel") is None


def test_ratio_to_no_distance_is_infinite() -> None:
    assert ratio_finding(np.ones(3), names(3), np.zeros(3), names(3)).estimate.value == np.inf
    found = ratio_finding(np.zeros(3), names(3), np.zeros(3), names(3)).estimate
    assert found.value == 1.0
    assert np.isnan(found.low)


def test_numbers_are_written_with_their_unit_once() -> None:
    assert Estimate(0.5, 0.25, 0.75).text("identified_pixel") == "50.0 [25.0 to 75.0] %"
    assert mean_finding(np.full(1, 0.5), names(1)).estimate.text("truth_pixel") == "0.5"
    assert bracketed("+∞", "+28.4 points", "+∞") == "+∞ [+28.4 to +∞] points"
    assert written(-0.05, "retrieved", signed=True) == "-5.0 points"
    assert written(np.inf, "context") == "never"
