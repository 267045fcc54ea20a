"""Pages as a browser lays them out, on a telephone and on a screen, and what it makes of hostile names in them."""

from pathlib import Path
from typing import Any

import pytest
from browser import KINDS, find_browser, laid_out, opened
from completions import first_half, make_completion
from diversity_tables import Simulated, make_run
from made_pages import demo_page, diversity_page, memory_page
from memory_runs import make_run as make_memory_run
from memory_runs import make_trials
from scaling_points import log_linear, write_points

from experiments.diversity.options import DiversityReportOptions
from experiments.diversity.reporting.report import report_diversity
from experiments.memory.options import ReportOptions
from experiments.memory.report import report_memory
from experiments.scaling.extrapolate import extrapolate
from experiments.scaling.options import ScalingExtrapolateOptions
from experiments.scaling.report import report_scaling
from experiments.scaling.report_options import ScalingReportOptions
from sampling.gallery import GalleryItem, show_item, write_gallery

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


# Names of files, folders, models and conditions are the work of others

MARKUP = "".join(
    (
        "<script>top.executed = 1</script>",
        "\"><img src=x onerror='top.executed = 1'>",
        "' onmouseover='top.executed = 1' x='",
        "</title></style><script>top.executed = 1</script>",
        "<img src=http://elsewhere.example/a.png><base href=http://elsewhere.example/>",
        "<style>body{background:url(http://elsewhere.example/b.png)}</style>",
        "<meta http-equiv=refresh content='0;url=http://elsewhere.example/c'>",
    )
)
OTHERS = (
    "javascript:top.executed = 1 {{ 7 * 7 }}{% raw %} &lt;b&gt;&amp; $\\frac{$ _x ~a* \x1b[31m\u202egnp "
    "<svg onload=top.executed=1>"
)
"""Without a slash, so that a folder can be called so."""
HOSTILE = (MARKUP, OTHERS)

LOOK = """
const attributes = [...page.querySelectorAll("*")].flatMap(element => [...element.attributes]);
return {
  executed: top.executed ?? 0,
  handlers: attributes.filter(each => each.name.startsWith("on")).map(each => each.value),
  links: attributes.filter(each => ["href", "src"].includes(each.name)).map(each => each.value.slice(0, 60)),
  policy: page.querySelector("meta[http-equiv=Content-Security-Policy]").content,
  fetched: frame.contentWindow.performance.getEntriesByType("resource").map(each => each.name.slice(0, 60)),
  text: page.body.textContent,
  broken: [...page.images].filter(each => each.hasAttribute("src") && each.complete && !each.naturalWidth).length,
  count: page.getElementById("count")?.textContent ?? null,
};
"""


def hostile_memory(folder: Path) -> dict[str, Path]:
    """The report of runs, conditions, lists and models with such names, with images and maps."""
    tested: dict[str, Any] = {"readouts": ("weights", "familiarity"), "changes": ("none", "mirror")}
    trials = make_trials(2, 1, HOSTILE, list_name=MARKUP, **tested)
    runs = [make_memory_run(folder / f"{OTHERS}{rate}", trials, learning_rate=rate) for rate in (0.001, 0.0003)]
    return {"/index.html": report_memory(ReportOptions(tuple(runs), folder / OTHERS)) / "report.html"}


class HostileSources(Simulated):
    """A run on items whose files have such names."""

    def origin(self, item: int) -> dict[str, Any]:
        """The columns that say which item it is."""
        return {**super().origin(item), "source": f"{MARKUP}{item}", "source_group": f"{OTHERS}{item}"}


def hostile_diversity(folder: Path) -> dict[str, Path]:
    """The report of models with such names on items with such names."""
    small: dict[str, Any] = {"items": 3, "given": (2,)}
    runs = (HostileSources(model=OTHERS, **small), HostileSources(kind="image", model=f"{OTHERS}2", **small))
    folders = tuple(make_run(folder / "runs", run) for run in runs)
    return {"/index.html": report_diversity(DiversityReportOptions(folders, folder / OTHERS)) / "report.html"}


def hostile_scaling(folder: Path) -> dict[str, Path]:
    """The report of a curve of a group with such a name, in a folder with such a name."""
    table = write_points(folder / "curve.csv", log_linear, group=MARKUP)
    asked = ScalingExtrapolateOptions.of(table=table, target=(0.9,), draws=200, out=folder / OTHERS)
    return {"/index.html": report_scaling(ScalingReportOptions((extrapolate(asked),), folder / "out")) / "index.html"}


def hostile_demo(folder: Path) -> dict[str, Path]:
    """The demo's page with such conditions."""
    return {"/index.html": demo_page(folder, Path(MARKUP), HOSTILE)}


def hostile_gallery(folder: Path) -> dict[str, Path]:
    """The page of completed items with such names."""
    show_item(make_completion(first_half(), grid=(2, 2, 2)), MARKUP, 8.0, folder / "items", "item_0")
    entries = [
        GalleryItem(
            name=name,
            stem="item_0",
            video=True,
            distance_to_truth=0.5,
            best_distance=0.5,
            entropy_bits=1.0,
            source=name,
        )
        for name in HOSTILE
    ]
    write_gallery(folder, entries, MARKUP)
    return {f"/{path.relative_to(folder)}": path for path in folder.rglob("*") if path.suffix in KINDS}


@pytest.fixture(
    scope="module",
    params=[hostile_memory, hostile_diversity, hostile_scaling, hostile_demo, hostile_gallery],
    ids=["memory", "diversity", "scaling", "demo", "gallery"],
)
def hostile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[str]]:
    """What a browser makes of a page with such names, and what it asked for besides the page's files."""
    find_browser()
    files = request.param(tmp_path_factory.mktemp("hostile"))
    return opened(files, "/index.html", LOOK, tmp_path_factory.mktemp("browser"))


def test_nothing_of_a_name_is_executed(hostile: tuple[Any, list[str]]) -> None:
    page, _ = hostile
    assert page["executed"] == 0
    assert page["handlers"] == []


def test_nothing_is_loaded_from_a_network(hostile: tuple[Any, list[str]]) -> None:
    page, asked = hostile
    assert asked == []
    assert [address for address in page["links"] if not address.startswith(("data:", "items/"))] == []
    assert [address for address in page["fetched"] if not address.startswith(("data:", "http://127.0.0.1"))] == []


def test_a_page_says_that_it_needs_nothing_else(hostile: tuple[Any, list[str]]) -> None:
    page, _ = hostile
    assert page["policy"].startswith("default-src 'none'; ")
    assert "http" not in page["policy"]
    assert page["broken"] == 0


def test_names_are_text(hostile: tuple[Any, list[str]]) -> None:
    page, _ = hostile
    assert "{{ 7 * 7 }}{% raw %} &lt;b&gt;&amp; $\\frac{$ _x ~a*" in page["text"]
    assert "\x1b" not in page["text"]
    assert "\u202e" not in page["text"]


def test_a_browser_runs_what_is_not_escaped(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        f"<meta http-equiv=Content-Security-Policy content='img-src *'><body>{MARKUP.split('<base')[0]}"
    )
    page, asked = opened({"/index.html": tmp_path / "page.html"}, "/index.html", LOOK, tmp_path)
    assert page["executed"] == 1
    assert any("elsewhere.example" in address for address in asked)


def test_the_script_of_the_gallery_runs_under_its_policy(tmp_path: Path) -> None:
    files = hostile_gallery(tmp_path)
    page, _ = opened(files, "/index.html", LOOK, tmp_path)
    assert page["count"] == "2 of 2"
