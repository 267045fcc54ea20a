"""Figures in words: axes, and the values of what the legend names."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from training.figure_words import MOST_IN_ALL, MOST_PANELS, describe_figure
from training.figures import literal, read_description, save_figure


@pytest.fixture
def panel() -> Axes:
    panel = Figure().subplots()
    panel.set(title="novel", xlabel="exposures", ylabel="accuracy")
    return panel


def words(panel: Axes) -> str:
    return describe_figure(panel.get_figure(root=True))


def test_a_line_is_told_by_its_ends_under_title_and_axes(panel: Axes) -> None:
    panel.plot([0, 1, 3], [0.5, 0.75, 0.93], label="this model")
    assert words(panel) == "novel: accuracy against exposures: this model: from 0.5 at 0 to 0.93 at 3."


def test_what_lies_beyond_the_ends_is_told(panel: Axes) -> None:
    panel.plot([0, 1, 2, 3], [0.5, 0.2, 0.95, 0.9], label="a")
    assert "a: from 0.5 at 0 to 0.9 at 3, least 0.2 at 1, most 0.95 at 2." in words(panel)


def test_a_level_line_has_one_value(panel: Axes) -> None:
    panel.plot([0, 1], [0.75, 0.75], label="a")
    assert "a: 0.75 throughout." in words(panel)


def test_what_is_missing_is_passed_over(panel: Axes) -> None:
    panel.plot([0, 1, 2], [np.nan, 0.25, 0.5], label="a")
    assert "a: from 0.25 at 1 to 0.5 at 2." in words(panel)


def test_a_region_is_told_by_its_middle(panel: Axes) -> None:
    panel.axhspan(0.9, 0.96, label="people")
    assert "people: 0.93 throughout." in words(panel)


def test_bars_and_error_bars_belong_to_the_names_on_their_axis(panel: Axes) -> None:
    panel.bar([0, 1], [0.25, 0.5], label="bits")
    panel.errorbar([0.2], [0.75], [[0.1], [0.1]], fmt="o", label="people")
    panel.set_xticks([0, 1], ["new\nclips", "studied\nclips"])
    assert "bits: 0.25 at new clips, 0.5 at studied clips; people: 0.75 at new clips." in words(panel)


def test_names_may_stand_below_one_another(panel: Axes) -> None:
    panel.plot([0.25, 0.5], [0.1, 0.9], "o", label="visible")
    panel.set_yticks([0, 1], ["gpt", "copy"])
    assert "visible: 0.25 at gpt, 0.5 at copy." in words(panel)


def test_places_with_a_blank_name_have_none(panel: Axes) -> None:
    panel.plot([0, 1], [0.25, 0.5], label="bits")
    panel.set_xticks([0, 1], [" ", "b"])
    assert "bits: 0.25 at 0, 0.5 at b." in words(panel)


def test_a_cloud_of_points_is_counted(panel: Axes) -> None:
    panel.scatter([3, 1, 2], [0.5, 0.25, 1.0], label="runs")
    assert "runs: 3 points, from 0.25 to 1." in words(panel)


def test_logarithmic_axes_are_told(panel: Axes) -> None:
    panel.plot([1, 1000], [1, 2], label="a")
    panel.set_xscale("log")
    assert "accuracy against exposures (logarithmic): a: from 1 at 1 to 2 at 1,000." in words(panel)


def test_lines_that_no_legend_names_are_counted(panel: Axes) -> None:
    panel.plot([0, 1], [0, 1])
    panel.plot([0, 1], [1, 0])
    assert "accuracy against exposures: 2 lines." in words(panel)


def test_pictures_have_their_titles() -> None:
    figure = Figure()
    for number, axes in enumerate(figure.subplots(1, 2)):
        axes.imshow(np.zeros((2, 2)))
        axes.set_title(f"picture {number}")
        axes.axis("off")
    assert describe_figure(figure) == "2 pictures. picture 0. picture 1."


def test_an_empty_figure_has_no_words() -> None:
    figure = Figure()
    figure.subplots()
    assert describe_figure(figure) == ""


def test_of_many_panels_and_lines_the_first_are_told_and_the_others_counted() -> None:
    figure = Figure()
    panels = figure.subplots(3, 4).ravel()
    for axes in panels:
        for number in range(8):
            axes.plot([0, 1], [0, number], label=f"line {number}")
    described = describe_figure(figure)
    assert described.count("line 0: ") == MOST_PANELS
    assert described.count("line ") <= MOST_IN_ALL
    assert "and 7 more." in described
    assert described.endswith("And 4 more panels.")


@pytest.mark.parametrize("name", ["$\\frac{$", "_hidden", "\u202eright", "a\udcff", "<b>", "中"])
def test_names_of_any_characters_are_kept_in_the_file(panel: Axes, tmp_path: Path, name: str) -> None:
    panel.plot([0, 1], [0, 1], label=literal(name))
    path = save_figure(panel.get_figure(root=True), tmp_path / "figure.png", formats=("png",))
    assert literal(name).replace("\u200b", "").replace(r"\$", "$") in read_description(path)


def test_files_without_words_have_none(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "picture.png")
    assert read_description(tmp_path / "picture.png") == ""
    assert read_description(tmp_path / "film.mp4") == ""
