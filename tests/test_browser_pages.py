"""Reports as a browser lays them out, on a telephone and on a screen."""

from pathlib import Path
from typing import Any

import pytest
from browser import laid_out
from diversity_tables import Simulated, make_run
from memory_runs import make_run as make_memory_run
from memory_runs import make_trials

from experiments.diversity.options import DiversityReportOptions
from experiments.diversity.reporting.report import report_diversity
from experiments.memory.options import ReportOptions
from experiments.memory.report import report_memory

pytestmark = pytest.mark.timeout(240)

TELEPHONE = 390
"""CSS pixels."""
SCRIPT = """
const width = element => element.getBoundingClientRect().width;
const boxes = [...page.querySelectorAll(".table")].map(box => {
  const cell = box.querySelector("tr:last-child td");
  box.scrollLeft = box.scrollWidth;
  return {
    box: width(box),
    table: box.scrollWidth,
    first: width(cell),
    shift: cell.getBoundingClientRect().left - box.getBoundingClientRect().left,
    lone: page.querySelectorAll("table").length,
  };
});
return {page: page.documentElement.scrollWidth, boxes};
"""


def memory_page(folder: Path) -> Path:
    trials = make_trials(exposures=1, readouts=("weights", "familiarity"), changes=("none", "mirror"))
    runs = [make_memory_run(folder / f"run{rate}", trials, learning_rate=rate) for rate in (0.001, 0.0003)]
    return report_memory(ReportOptions(tuple(runs), folder / "out")) / "report.html"


def diversity_page(folder: Path) -> Path:
    small: dict[str, Any] = {"items": 3, "given": (2,)}
    runs = (Simulated(**small), Simulated(kind="image", model="image", **small))
    folders = tuple(make_run(folder / "runs", run) for run in runs)
    return report_diversity(DiversityReportOptions(folders, folder / "report")) / "report.html"


@pytest.fixture(scope="module", params=[memory_page, diversity_page], ids=["memory", "diversity"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a report."""
    return request.param(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def narrow(page: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """How it is laid out on a telephone, with every table scrolled to its end."""
    return laid_out(page, TELEPHONE, SCRIPT, tmp_path_factory.mktemp("narrow"))


def test_a_telephone_need_not_scroll_the_page_sideways(narrow: dict[str, Any]) -> None:
    assert narrow["page"] == TELEPHONE


def test_wide_tables_scroll_in_a_box_of_their_own(narrow: dict[str, Any]) -> None:
    assert all(box["box"] < TELEPHONE for box in narrow["boxes"])
    assert any(box["table"] > box["box"] for box in narrow["boxes"])


def test_every_table_has_its_box(narrow: dict[str, Any]) -> None:
    assert {box["lone"] for box in narrow["boxes"]} == {len(narrow["boxes"])}


def test_the_first_column_stays_in_sight_and_leaves_room_for_others(narrow: dict[str, Any]) -> None:
    assert all(abs(box["shift"]) < 1 for box in narrow["boxes"])
    assert all(40 < box["first"] < 0.5 * TELEPHONE for box in narrow["boxes"])


def test_a_screen_shows_tables_whole(page: Path, tmp_path: Path) -> None:
    wide = laid_out(page, 1200, SCRIPT, tmp_path)
    assert wide["page"] == 1200
    assert all(box["table"] <= box["box"] + 1 for box in wide["boxes"])
