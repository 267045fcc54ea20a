"""Means of the figures of items, with intervals."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from diversity_tables import Simulated, make_items
from PIL import Image

from experiments.diversity.reporting.bars import draw_distances, draw_settings
from experiments.diversity.reporting.drawing import error
from experiments.diversity.reporting.estimates import (
    Estimate,
    bracketed,
    item_values,
    mean_estimate,
    paired_estimate,
    ratio_estimate,
    written,
)
from experiments.diversity.reporting.figures import FigureRow, figures
from experiments.diversity.reporting.selection import PLAIN, choose, describe_setting, latest, select
from experiments.diversity.tables import BASELINES, MODEL, SPACES, ItemRow
from storage.tables import read_rows, write_rows


def items(**changes: object) -> list[ItemRow]:
    """Items of one run."""
    return make_items(Simulated(**changes), np.random.default_rng(0))  # type: ignore[arg-type]


def figure(rows: list[FigureRow], name: str, **columns: object) -> FigureRow:
    """The one row of a figure."""
    (row,) = select(rows, figure=name, group="studied", encoding="alone", given=2, **columns)
    return row


def test_figure_is_the_mean_over_items_within_its_interval() -> None:
    rows = items()
    found = figure(figures(rows), "truth_pixel", continuation=MODEL)
    wanted = select(rows, group="studied", encoding="alone", given=2, continuation=MODEL)
    assert found.items == len(wanted) == 4
    assert found.mean == pytest.approx(np.mean([row.truth_pixel for row in wanted]))
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.mean < found.high


def test_bits_are_also_counted_for_each_token() -> None:
    found = figures(items())
    total = figure(found, "entropy_bits", continuation=MODEL)
    assert figure(found, "entropy_bits_per_token", continuation=MODEL).mean == pytest.approx(total.mean / 32)


def test_every_way_and_baseline_has_its_figures() -> None:
    found = select(figures(items()), figure="retrieved")
    assert len(found) == 2 * 2 * 3 * (1 + len(BASELINES))


def test_figures_that_items_lack_are_left_out() -> None:
    found = figures(items(n=1, spaces=()))
    assert not {row.figure for row in found} & {"pairwise_pixel", "truth_perceptual", "identified_feature"}
    assert "truth_pixel" in {row.figure for row in found}
    assert not select(found, figure="truth_bits", continuation="copy")


def test_one_item_has_no_interval() -> None:
    found = figure(figures(items(items=1)), "truth_pixel", continuation=MODEL)
    assert (found.items, found.low, found.high) == (1, None, None)


def test_figures_are_the_same_every_time_and_read_back_equal(tmp_path: Path) -> None:
    found = figures(items())
    write_rows(tmp_path / "figures.csv", found, FigureRow)
    assert read_rows(tmp_path / "figures.csv", FigureRow) == figures(items()) == found


@pytest.mark.parametrize(
    ("low", "high", "at_least", "at_most"),
    [
        (0.5, 0.7, "holds", "undecided"), (0.3, 0.49, "fails", "holds"), (0.4, 0.6, "undecided", "undecided"),
        (0.51, 0.6, "holds", "fails"), (np.nan, np.nan, "undecided", "undecided"), (0.6, np.inf, "holds", "fails"),
    ],
)  # fmt: skip
def test_verdict_takes_the_whole_interval(low: float, high: float, at_least: str, at_most: str) -> None:
    found = Estimate(0.5, low, high)
    assert (found.at_least(0.5), found.at_most(0.5)) == (at_least, at_most)


@pytest.mark.parametrize(
    ("low", "high", "above", "below"),
    [
        (0.1, 0.2, "holds", "fails"), (-0.2, -0.1, "fails", "holds"), (-0.1, 0.1, "undecided", "undecided"),
        (0.0, 0.0, "undecided", "undecided"), (np.nan, np.nan, "undecided", "undecided"),
    ],
)  # fmt: skip
def test_no_difference_decides_nothing(low: float, high: float, above: str, below: str) -> None:
    found = Estimate(0.0, low, high)
    assert (found.above_zero(), found.below_zero()) == (above, below)


def test_difference_is_paired_by_item() -> None:
    rows = select(items(), group="studied", encoding="alone", given=2, continuation=MODEL)
    nearer = [replace(row, truth_pixel=row.truth_pixel - 0.25) for row in reversed(rows)]
    found = paired_estimate(nearer, rows, "truth_pixel")
    assert found == pytest.approx((-0.25, -0.25, -0.25))


def test_items_that_only_one_side_has_are_not_compared() -> None:
    rows = select(items(), group="studied", encoding="alone", given=2, continuation=MODEL)
    found = paired_estimate(rows, [replace(rows[0], truth_pixel=0.0), replace(rows[1], item=99)], "truth_pixel")
    assert found is not None
    assert found.value == rows[0].truth_pixel
    assert np.isnan(found.low)
    assert paired_estimate(rows, [], "truth_pixel") is None


def test_missing_figure_has_no_values() -> None:
    assert item_values([], "truth_pixel") is None
    assert item_values(items(n=1), "pairwise_pixel") is None


def test_ratio_to_no_distance_is_infinite() -> None:
    assert ratio_estimate(np.ones(3), np.zeros(3)).value == np.inf
    assert ratio_estimate(np.zeros(3), np.zeros(3)) == (1.0, 1.0, 1.0)


def test_numbers_are_written_with_their_unit_once() -> None:
    assert mean_estimate(np.full(4, 0.5)).text("identified_pixel") == "50.0 [50.0 to 50.0] %"
    assert mean_estimate(np.full(1, 0.5)).text("truth_pixel") == "0.5"
    assert bracketed("+∞", "+28.4 points", "+∞") == "+∞ [+28.4 to +∞] points"
    assert written(-0.05, "retrieved", signed=True) == "-5.0 points"
    assert written(np.inf, "context") == "never"


def test_main_comparison_takes_the_best_trained_model_and_half_of_the_tokens() -> None:
    hot = (0.8, 0, 1.0, 0.0)
    rows = items(model="small", training_items=16, settings=(hot,))
    rows += items(model="early", training_items=64, exposures=None, settings=(hot,))
    rows += items(model="late", training_items=64, exposures=25.0, settings=(hot, PLAIN))
    choice = choose(rows)["clip"]
    assert (choice.model, choice.given_share, choice.setting) == ("late", 0.5, PLAIN)
    assert choose([row for row in rows if row.model == "early"])["clip"].setting == hot


def test_smaller_share_is_taken_of_two_as_near_to_one_half() -> None:
    assert choose(items(given=(3, 1)))["clip"].given == 1


def test_each_training_set_is_shown_after_most_exposures() -> None:
    rows = items(exposures=5.0) + items(exposures=50.0) + items(training_items=64, exposures=None)
    assert {(row.training_items, row.exposures) for row in latest(rows)} == {(16, 50.0), (64, None)}


def test_settings_are_described_by_what_they_do() -> None:
    assert describe_setting(PLAIN) == "temperature 1"
    assert describe_setting((0.8, 100, 0.9, 0.05)) == "temperature 0.8, top-k 100, top-p 0.9, min-p 0.05"


def width(path: Path) -> int:
    """Of an image, in pixels."""
    with Image.open(path) as drawn:
        return drawn.width


def test_distances_have_a_column_for_each_space(tmp_path: Path) -> None:
    for name, spaces in (("two", ()), ("four", SPACES)):
        rows = items(items=2, given=(2,), encodings=("alone",), spaces=spaces)
        draw_distances(tmp_path / f"{name}.png", figures(rows), choose(rows))
    assert width(tmp_path / "four.png") == 2 * width(tmp_path / "two.png")


def test_one_setting_is_not_drawn(tmp_path: Path) -> None:
    rows = items(items=2, given=(2,))
    assert not draw_settings(tmp_path / "settings.png", figures(rows), choose(rows))
    assert not list(tmp_path.iterdir())


def test_missing_interval_has_no_length() -> None:
    assert error(Estimate(1.0, np.nan, np.nan)).tolist() == [[0.0], [0.0]]
    assert error(Estimate(1.0, 0.5, 3.0)).tolist() == [[0.5], [2.0]]
