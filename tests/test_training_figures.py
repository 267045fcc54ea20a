"""Figures as PNG, PDF and SVG that look the same everywhere."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from figure_files import drawn_as, fonts_of, pdf_objects
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from PIL import Image

from storage.terminal import visible
from training.figures import FORMATS, LONGEST, literal, save_figure


def draw() -> Figure:
    figure = Figure(figsize=(3, 2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label="weights")
    axes.fill_between([0, 1], [0, 0.5], [0.5, 1], alpha=0.2)
    axes.imshow(np.eye(3), extent=(0, 1, 0, 1))
    axes.set(title="95 % ± s.e.m.", xlabel="exposures")
    axes.legend()
    return figure


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with drawn_as():
        return save_figure(draw(), tmp_path_factory.mktemp("figures") / "new" / "plot.png")


def test_three_files_have_one_name(saved: Path) -> None:
    assert saved.name == "plot.png"
    assert {path.name for path in saved.parent.iterdir()} == {f"plot.{ending}" for ending in FORMATS}


@pytest.mark.parametrize(
    ("asked", "endings"), [("png", {"png"}), ("svg", {"png", "svg"}), ("none", {"png"}), ("jpg", {"png", "pdf", "svg"})]
)
def test_beside_the_png_lie_the_files_that_are_asked_for_and_none_of_before(
    asked: str, endings: set[str], tmp_path: Path
) -> None:
    save_figure(draw(), tmp_path / "plot.png", formats=FORMATS)
    with drawn_as(asked):
        save_figure(draw(), tmp_path / "plot.png")
    assert {path.name for path in tmp_path.iterdir()} == {f"plot.{ending}" for ending in endings}


def test_the_png_has_the_size_that_was_asked_for(saved: Path) -> None:
    with Image.open(saved) as image:
        assert image.size == (360, 240)


def test_fonts_are_inside_the_pdf_as_truetype(saved: Path) -> None:
    pdf = saved.with_suffix(".pdf")
    fonts = fonts_of(pdf)
    assert fonts.count("Type0") == fonts.count("CIDFontType2") == pdf_objects(pdf).count("/FontFile2 ") >= 1


def test_no_font_of_the_pdf_is_of_type_3(saved: Path) -> None:
    assert "Type3" not in fonts_of(saved.with_suffix(".pdf"))


def test_the_svg_is_valid_and_needs_no_font(saved: Path) -> None:
    tags = {element.tag.split("}")[1] for element in ElementTree.parse(saved.with_suffix(".svg")).iter()}
    assert "path" in tags
    assert "text" not in tags


def test_the_svg_names_nothing_outside_of_it(saved: Path) -> None:
    text = saved.with_suffix(".svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    links = [value for element in root.iter() for name, value in element.attrib.items() if name.endswith("href")]
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "<!DOCTYPE" not in text
    assert "url(" not in text.replace("url(#", "")


def test_a_figure_drawn_anew_has_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    again = save_figure(draw(), tmp_path / "plot.png", formats=FORMATS)
    for ending in FORMATS:
        assert again.with_suffix(f".{ending}").read_bytes() == saved.with_suffix(f".{ending}").read_bytes()


# Names of files and folders


HOSTILE = [
    "$\\frac{$",
    "costs $5 and $6",
    r"a\$b\\$",
    "_hidden",
    "line\nbreak\r\0\x1b[31m",
    "\u202eright to left",
    "a\udcff",
    "<script>alert(1)</script>--><svg onload=alert(1)>",
    "x" * 5000,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_figure_with_any_name_is_drawn(name: str, tmp_path: Path) -> None:
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label=literal(name))
    axes.set(title=literal(name), xlabel=literal(name))
    axes.set_xticks([0, 1], [literal(name), "b"])
    axes.legend()
    save_figure(figure, tmp_path / "plot.png", formats=("svg",))
    root = ElementTree.fromstring((tmp_path / "plot.svg").read_bytes())
    tags = {element.tag.split("}")[1] for element in root.iter()}
    assert not tags & {"script", "foreignObject", "a", "text"}
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]


@pytest.mark.parametrize("name", HOSTILE[:6])
def test_a_name_is_in_the_legend(name: str) -> None:
    axes = Figure().subplots()
    axes.plot([0, 1], [0, 1], label=literal(name))
    assert len(axes.get_legend_handles_labels()[1]) == 1


@given(st.text(max_size=30))
@settings(deadline=None)
def test_no_dollar_is_mathematics(name: str) -> None:
    drawn = literal(name)
    assert not is_math_text(drawn)
    assert drawn.replace(r"\$", "$").removeprefix("\N{ZERO WIDTH SPACE}") == visible(name)


def test_a_long_name_keeps_its_ends() -> None:
    drawn = literal("begin" + "x" * 5000 + "end")
    assert len(drawn) == LONGEST
    assert drawn.startswith("begin")
    assert drawn.endswith("end")
    assert "\N{HORIZONTAL ELLIPSIS}" in drawn
