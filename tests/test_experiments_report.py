"""Self-contained pages and the figure of the memory curve."""

from pathlib import Path

import pytest
from PIL import Image

from experiments.plots import draw_memory_curve
from experiments.report import Section, embed, write_report
from experiments.statistics import POOLED, Accuracy


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_pictures_are_inside_the_page(tmp_path: Path, picture: Path) -> None:
    write_report(tmp_path / "page.html", "Title", "Lead.", [Section("Part", "Text.", (embed(picture, "red"),))])
    picture.unlink()
    page = (tmp_path / "page.html").read_text()
    assert '<img src="data:image/png;base64,' in page
    assert "http" not in page


def test_names_cannot_inject_markup(tmp_path: Path) -> None:
    write_report(tmp_path / "page.html", "<script>alert(1)</script>", "Lead.", [])
    assert "<script>" not in (tmp_path / "page.html").read_text()


def test_first_row_of_a_table_is_its_head(tmp_path: Path) -> None:
    table = (("condition", "accuracy"), ("novel", "93 %"))
    write_report(tmp_path / "page.html", "Title", "Lead.", [Section("Part", "Text.", table=table)])
    page = (tmp_path / "page.html").read_text()
    assert "<th>condition</th>" in page
    assert "<td>novel</td>" in page


def test_unknown_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.exe").write_bytes(b"")
    with pytest.raises(KeyError):
        embed(tmp_path / "page.exe", "")


def test_curve_has_a_panel_per_condition(tmp_path: Path) -> None:
    def width(conditions: tuple[str, ...]) -> int:
        results = [Accuracy(POOLED, name, k, 0.5 + k / 4, 0.4, 1.0, 8) for name in conditions for k in (0, 1, 2)]
        draw_memory_curve(tmp_path / "curve.png", results)
        with Image.open(tmp_path / "curve.png") as drawn:
            return drawn.width

    assert width(("novel", "state")) == 2 * width(("novel",))
