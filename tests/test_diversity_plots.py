"""Plots of the report."""

from pathlib import Path

import numpy as np
from diversity_tables import Simulated, items_of
from PIL import Image

from experiments.diversity.reporting.estimates import Estimate, metric_means
from experiments.diversity.reporting.plots import draw_distances, draw_settings, error
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
