"""Figures with intervals over items."""

import numpy as np
import pytest

from experiments.diversity.reporting.estimates import mean_estimates, share_estimate


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


def test_other_figures_are_resampled() -> None:
    found = mean_estimates({"truth_pixel": np.full(8, 0.25), "retrieved": np.full(8, 1.0)})
    assert found["truth_pixel"] == pytest.approx((0.25, 0.25, 0.25))
    assert found["retrieved"].low < 0.8
