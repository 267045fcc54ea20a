"""Plots of the report."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from diversity_tables import BOTH, Simulated, items_of
from figure_files import beyond_axes, drawn_as
from PIL import Image

from experiments.diversity.reporting.estimates import Estimate, metric_means
from experiments.diversity.reporting.plots import draw_context, draw_distances, draw_settings, draw_training, error
from experiments.diversity.reporting.runs import choose
from experiments.diversity.tables import DISTANCES


def width(path: Path) -> int:
    """Of an image, in pixels."""
    with Image.open(path) as drawn:
        return drawn.width


def test_distances_have_a_column_for_each_distance(tmp_path: Path) -> None:
    for name, distances in (("two", ()), ("four", DISTANCES)):
        rows = items_of(Simulated(items=2, given=(2,), encodings=("alone",), distances=distances))
        draw_distances(tmp_path / f"{name}.png", metric_means(rows), choose(rows))
    assert width(tmp_path / "four.png") == 2 * width(tmp_path / "two.png")


def test_one_setting_is_not_drawn(tmp_path: Path) -> None:
    rows = items_of(Simulated(items=2, given=(2,)))
    assert not draw_settings(tmp_path / "settings.png", metric_means(rows), choose(rows))
    assert not list(tmp_path.iterdir())


def test_missing_interval_has_no_length() -> None:
    assert error(Estimate(1.0, np.nan, np.nan)).tolist() == [[0.0], [0.0]]
    assert error(Estimate(1.0, 0.5, 3.0)).tolist() == [[0.5], [2.0]]


def test_error_bars_below_zero_and_above_one_are_inside_the_axes(tmp_path: Path) -> None:
    rows = items_of(*BOTH)
    means = [replace(row, low=min(row.mean, 0) - 0.2, high=max(row.mean, 1) + 0.4) for row in metric_means(rows)]
    with drawn_as("svg"):
        draw_distances(tmp_path / "distances.png", means, choose(rows))
        draw_context(tmp_path / "context.png", means, choose(rows))
        draw_training(tmp_path / "training.png", means, choose(rows))
    assert {path.name: beyond_axes(path) for path in tmp_path.glob("*.svg")} == {
        f"{name}.svg": [] for name in ("distances", "context", "training")
    }
