"""Self-contained pages, and plots of recognition."""

from dataclasses import replace
from pathlib import Path

import pytest
from figure_files import beyond_axes
from matplotlib.figure import Figure
from memory_runs import make_accuracy, make_trials
from PIL import Image

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
        draw_memory_curve(tmp_path / "curve.png", results, formats=["png"])
        with Image.open(tmp_path / "curve.png") as drawn:
            return drawn.width

    assert width(("novel", "state")) == 2 * width(("novel",))


def test_published_models_are_drawn_beside_where_asked_for(tmp_path: Path) -> None:
    results = accuracies(collect(make_trials()))
    draw_memory_curve(tmp_path / "alone.png", results, formats=["png"])
    draw_memory_curve(tmp_path / "beside.png", results, published=True, formats=["png"])
    assert (tmp_path / "alone.png").read_bytes() != (tmp_path / "beside.png").read_bytes()


def test_note_is_drawn(tmp_path: Path) -> None:
    results = accuracies(collect(make_trials(exposures=1)))
    draw_memory_curve(tmp_path / "plain.png", results, formats=["png"])
    draw_memory_curve(tmp_path / "noted.png", results, note="2 files were left out", formats=["png"])
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
    draw_memory_curve(tmp_path / "curve.png", results)
    assert beyond_axes(tmp_path / "curve.svg") == []


def test_a_band_beyond_the_axes_is_found(tmp_path: Path) -> None:
    figure = Figure()
    panel = figure.subplots()
    panel.fill_between([0, 1], [0.1, 0.2], 1)
    panel.set_ylim(0.3, 1)
    save_figure(figure, tmp_path / "plot.png")
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
