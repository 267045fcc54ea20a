"""Self-contained pages, and plots of recognition."""

from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from figure_files import beyond_axes, drawn_as
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from memory_runs import make_accuracy, make_trials
from PIL import Image

from experiments.memory.images import GAINS
from experiments.pages import Section, embed, prose, write_report
from experiments.plots import (
    contain,
    draw_changes,
    draw_forgetting,
    draw_memory_curve,
    draw_readouts,
    draw_roc,
    line_style,
)
from experiments.statistics.accuracy import Accuracy, accuracies
from experiments.statistics.outcomes import collect
from sampling.heat import HEAT
from sampling.pages import Fact
from sampling.panels import COLOURS as PANEL_COLOURS
from sampling.panels import GIVEN, IMAGINED
from training.curves import COLOURS, DASHES, MARKERS
from training.figures import save_figure


def point(condition: str, exposure: int) -> Accuracy:
    ends = {"low": 0.4, "high": 1.0, "runs": 2}
    return make_accuracy(0.5 + exposure / 4, 0.45, 0.95, condition=condition, exposure=exposure, **ends)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "image.png")
    return tmp_path / "image.png"


def test_images_are_inside_the_page(tmp_path: Path, image: Path) -> None:
    write_report(tmp_path / "page.html", "Title", "Lead.", [Section("Section", "Text.", (embed(image, "red"),))])
    image.unlink()
    page = (tmp_path / "page.html").read_text()
    assert '<img src="data:image/png;base64,' in page
    assert "http:" not in page
    assert "https:" not in page


def test_names_cannot_inject_markup(tmp_path: Path) -> None:
    write_report(tmp_path / "page.html", "<script>alert(1)</script>", "Lead.", [])
    assert "<script>" not in (tmp_path / "page.html").read_text()


def test_empty_lines_divide_the_lead_into_paragraphs(tmp_path: Path) -> None:
    write_report(tmp_path / "page.html", "Title", "First.\n\nSecond.", [])
    assert "<p>First.</p>\n\n<p>Second.</p>" in (tmp_path / "page.html").read_text()


def test_empty_lines_divide_the_text_of_a_section_into_paragraphs(tmp_path: Path) -> None:
    write_report(tmp_path / "page.html", "Title", "Lead.", [Section("Section", "First.\n\nSecond.")])
    assert "<p>First.</p>\n\n<p>Second.</p>" in (tmp_path / "page.html").read_text()


def test_what_stands_between_back_ticks_is_code() -> None:
    assert prose("`weights` judges, `a<b` too") == "<code>weights</code> judges, <code>a&lt;b</code> too"


def test_no_page_shows_a_back_tick(tmp_path: Path, image: Path) -> None:
    table = (("`head`",), ("`cell` of a file called a`b",))
    section = Section("`Title`", "`text`", (embed(image, "`caption`"),), table)
    write_report(tmp_path / "page.html", "`Title`", "`lead`", [section])
    page = (tmp_path / "page.html").read_text()
    assert "`" not in page
    assert page.count("<code>") == 7
    assert "a&#96;b" in page


def test_first_row_of_a_table_is_its_head(tmp_path: Path) -> None:
    table = (("condition", "accuracy"), ("novel", "93 %"))
    write_report(tmp_path / "page.html", "Title", "Lead.", [Section("Section", "Text.", table=table)])
    page = (tmp_path / "page.html").read_text()
    assert "<th>condition</th>" in page
    assert "<td>novel</td>" in page


def test_unknown_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.exe").write_bytes(b"")
    with pytest.raises(KeyError):
        embed(tmp_path / "page.exe", "")


def test_curve_has_a_panel_per_condition(tmp_path: Path) -> None:
    def width(conditions: tuple[str, ...]) -> int:
        results = [point(name, exposure) for name in conditions for exposure in (0, 1, 2)]
        draw_memory_curve(tmp_path / "curve.png", results)
        with Image.open(tmp_path / "curve.png") as drawn:
            return drawn.width

    assert width(("novel", "state")) == 2 * width(("novel",))


def test_published_models_are_drawn_beside_where_asked_for(tmp_path: Path) -> None:
    results = accuracies(collect(make_trials()))
    draw_memory_curve(tmp_path / "alone.png", results)
    draw_memory_curve(tmp_path / "beside.png", results, published=True)
    assert (tmp_path / "alone.png").read_bytes() != (tmp_path / "beside.png").read_bytes()


def test_note_is_drawn(tmp_path: Path) -> None:
    results = accuracies(collect(make_trials(exposures=1)))
    draw_memory_curve(tmp_path / "plain.png", results)
    draw_memory_curve(tmp_path / "noted.png", results, note="2 files were left out")
    assert (tmp_path / "plain.png").read_bytes() != (tmp_path / "noted.png").read_bytes()


def test_what_was_not_tested_is_not_drawn(tmp_path: Path) -> None:
    results = accuracies(collect(make_trials(exposures=1)))
    draws = (draw_readouts, draw_changes, draw_forgetting)
    assert [draw(tmp_path / "plot.png", results) for draw in draws] == [False, False, False]
    assert list(tmp_path.iterdir()) == []


def test_what_was_tested_is_drawn(tmp_path: Path) -> None:
    trials = make_trials(exposures=1, readouts=("weights", "familiarity"), changes=("none", "mirror"), interference=1)
    results = accuracies(collect(trials))
    for draw in (draw_readouts, draw_changes, draw_forgetting):
        assert draw(tmp_path / f"{draw.__name__}.png", results)
    assert len(list(tmp_path.glob("*.png"))) == 3


def test_roc_has_a_panel_per_condition(tmp_path: Path) -> None:
    def width(conditions: tuple[str, ...]) -> int:
        draw_roc(tmp_path / "roc.png", make_trials(exposures=1, conditions=conditions))
        with Image.open(tmp_path / "roc.png") as drawn:
            return drawn.width

    assert width(("novel", "state")) == 2 * width(("novel",))


def test_bands_are_inside_the_axes(tmp_path: Path) -> None:
    results = [replace(point("novel", exposure), low=low, high=1.0) for exposure, low in enumerate((0.3, 0.05, 0.9))]
    with drawn_as("svg"):
        draw_memory_curve(tmp_path / "curve.png", results)
    assert beyond_axes(tmp_path / "curve.svg") == []


def test_a_band_beyond_the_axes_is_found(tmp_path: Path) -> None:
    figure = Figure()
    panel = figure.subplots()
    panel.fill_between([0, 1], [0.1, 0.2], 1)
    panel.set_ylim(0.3, 1)
    save_figure(figure, tmp_path / "plot.png", formats=("svg",))
    assert beyond_axes(tmp_path / "plot.svg") == ["FillBetweenPolyCollection_1"]


def test_axes_are_widened_as_far_as_error_bars_reach() -> None:
    panel = Figure().subplots()
    panel.errorbar([0, 1], [0.5, 0.6], 0.3)
    panel.set_ylim(0.4, 2)
    contain([panel])
    bottom, top = panel.get_ylim()
    assert bottom < 0.2
    assert top == 2


def test_axes_of_nothing_stay(tmp_path: Path) -> None:
    panel = Figure().subplots()
    panel.set_ylim(0.3, 1)
    contain([panel])
    assert panel.get_ylim() == (0.3, 1)


@pytest.mark.parametrize("name", ["$\\frac{$", "_hidden", "line\nbreak\x1b[31m", "\u202eright", "x" * 3000, "a\udcff"])
def test_plots_are_drawn_whatever_models_and_conditions_are_called(tmp_path: Path, name: str) -> None:
    trials = make_trials(2, 2, (name, "novel"), readouts=("weights", "familiarity"), changes=("none", "mirror"))
    results = [replace(result, model=name) for result in accuracies(collect(trials))]
    with drawn_as():
        for draw in (draw_memory_curve, draw_readouts, draw_changes):
            draw(tmp_path / f"{draw.__name__}.png", results, note=name)
        draw_roc(tmp_path / "roc.png", [replace(trial, model=name) for trial in trials], name)
    assert len(list(tmp_path.glob("*.svg"))) == 4


def test_a_page_shows_what_is_hidden_in_a_name(tmp_path: Path) -> None:
    write_report(tmp_path / "page.html", "a\x1b\udcff", "lead \u202e", [Section("s", "t", table=(("a\0b",), ("c",)))])
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert r"<title>a\x1b\udcff</title>" in page
    assert r"<p>lead \u202e</p>" in page
    assert r"<th>a\x00b</th>" in page


def test_lines_of_many_models_stay_apart() -> None:
    assert len({tuple(line_style(index).items()) for index in range(28)}) == 28


def lightness(colour: str) -> float:
    """L* of CIELAB, 0 to 100: how light a colour is, also in grey."""
    channels = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


def test_lines_in_grey_differ_in_dashes_or_in_how_light_they_are() -> None:
    styles = [line_style(index) for index in range(len(COLOURS))]
    for one, other in combinations(styles, 2):
        apart = abs(lightness(one["color"]) - lightness(other["color"]))
        assert one["linestyle"] != other["linestyle"] or apart > 15


def test_every_colour_has_marks_of_its_own_and_the_dashes_of_its_line() -> None:
    assert len(set(MARKERS.values())) == len(COLOURS)
    assert {colour: line_style(index)["linestyle"] for index, colour in enumerate(COLOURS)} == DASHES


def test_given_and_imagined_stay_apart_in_grey() -> None:
    given, imagined = (to_hex(PANEL_COLOURS[mark] / 255) for mark in (GIVEN, IMAGINED))
    assert lightness(imagined) - lightness(given) > 15


def test_heat_grows_lighter_from_end_to_end() -> None:
    lights = [lightness(to_hex(colour / 255)) for colour in HEAT]
    assert all(high > low - 0.2 for low, high in pairwise(lights))
    assert lights[-1] - lights[0] > 90


def test_maps_grow_lighter_from_losses_over_grey_to_gains() -> None:
    scale = colormaps[GAINS](np.linspace(0, 1, 65))
    lights = [lightness(to_hex(colour)) for colour in scale]
    assert all(high > low - 0.2 for low, high in pairwise(lights))
    assert min(lights[32] - lights[0], lights[-1] - lights[32]) > 30
    assert np.ptp(scale[32][:3]) < 0.05


def test_a_plot_is_described_by_its_values_and_a_picture_by_its_caption(tmp_path: Path, image: Path) -> None:
    draw_memory_curve(tmp_path / "curve.png", [point("novel", exposure) for exposure in (0, 1, 2)])
    words = embed(tmp_path / "curve.png", "Accuracy").words
    assert words.startswith(
        "Accuracy. novel: recognition accuracy against exposures: this model: from 0.5 at 0 to 1 at 2"
    )
    assert embed(image, "red").words == "red."
    assert embed(image, "red", words="A square.").words == "A square."


def test_what_made_a_page_stands_under_its_title(tmp_path: Path) -> None:
    write_report(tmp_path / "page.html", "Title", "Lead.", [], facts=[Fact("model", "a <b>")])
    assert "<dt>model</dt><dd>a &lt;b&gt;</dd>" in (tmp_path / "page.html").read_text()


def test_a_film_waits_until_it_is_started(tmp_path: Path, image: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"film")
    media = (embed(tmp_path / "film.mp4", "moves", image), embed(tmp_path / "film.mp4", "moves"))
    write_report(tmp_path / "page.html", "Title", "Lead.", [Section("Section", "Text.", media)])
    page = (tmp_path / "page.html").read_text()
    assert "autoplay" not in page
    assert page.count(" controls") == 2
    assert page.count('poster="data:image/png') == 1
