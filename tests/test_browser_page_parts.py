"""Every kind of page: what all share is on it, and people who see, hear, move or print otherwise can use it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from browsing import TELEPHONE, WIDE, Chromium, Visit
from made_pages import PAGES

pytestmark = pytest.mark.timeout(600)

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
CONTRAST = """() => [...document.querySelectorAll("figure > img, figure > video, .card img, .card video")].map(
  element => getComputedStyle(element).backgroundColor)"""
FILMS = """() => [...document.querySelectorAll("video")].map(film => ({
  paused: film.paused, controls: film.controls, poster: film.poster !== "", automatic: film.autoplay}))"""
PLAYS = """film => new Promise(done => {
  const wait = () => film.paused ? setTimeout(wait, 20) : done(true);
  wait();
})"""
PAPER = 680
"""CSS pixels of a sheet of A4 between margins of 15 mm."""
OF_TABLES = ("scaling", "fit", "tasks", "live")
"""Pages that are made of tables or trainings, and not with a model."""
WORDS = """() => [...document.querySelectorAll("img[src]")].map(image => image.alt)"""
HEADER = """() => Object.fromEntries([...document.querySelectorAll(".made > div")].map(
  line => [line.children[0].textContent, line.children[1].textContent]))"""


@pytest.fixture(scope="module", params=list(PAGES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def made(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of each kind."""
    return PAGES[kind](tmp_path_factory.mktemp(kind))


@pytest.fixture(scope="module")
def visit(made: Path, chromium: Chromium) -> Iterator[Visit]:
    """It, open in front of somebody who prefers reduced motion."""
    with chromium.visit(made, still=True) as visit:
        yield visit


@pytest.mark.parametrize("size", [WIDE, TELEPHONE], ids=["wide", "telephone"])
def test_people_with_disabilities_can_use_it_in_light_and_dark(
    visit: Visit, size: tuple[int, int], axe_script: str
) -> None:
    visit.page.set_viewport_size({"width": size[0], "height": size[1]})
    for scheme in SCHEMES:
        visit.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert visit.violations(axe_script) == [], scheme
    assert visit.sideways() == 0


def test_it_says_who_made_it_and_by_which_command(visit: Visit, kind: str) -> None:
    header = visit.page.evaluate(HEADER)
    assert header["command"].startswith("secondsight ")
    assert "--out OUT" in header["command"]
    assert kind in OF_TABLES or any(name.startswith(("model", "observer")) for name in header)


def test_it_loads_nothing_but_its_own_files_and_nothing_is_refused(visit: Visit, made: Path) -> None:
    assert visit.elsewhere(made.parent.as_uri()) == []
    assert visit.complaints == []


def test_films_wait_with_a_poster_until_they_are_started(visit: Visit, kind: str) -> None:
    films = visit.page.evaluate(FILMS)
    resting = {"paused": True, "controls": True, "poster": True, "automatic": False}
    assert films == [resting] * len(films)
    assert (len(films) > 0) == (kind in ("demo", "gallery"))


def test_figures_have_a_white_mat_in_the_dark(visit: Visit) -> None:
    visit.page.emulate_media(color_scheme="dark")
    assert set(visit.page.evaluate(CONTRAST)) == {"rgb(255, 255, 255)"}
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(23, 24, 26)"


def test_what_stands_for_a_picture_says_what_is_in_it(visit: Visit) -> None:
    words = visit.page.evaluate(WORDS)
    assert words
    assert all(len(each) > 40 for each in words), words
    assert [each for each in words if "1 line." in each or re.search("at (visible|hidden)|-0.17 at", each)] == []
    assert [each for each in words if re.fullmatch(r"[\w/]+\.(png|mp4|gif)", each)] == []


def test_on_paper_it_is_light_and_whole_and_nothing_sticks(visit: Visit) -> None:
    visit.page.emulate_media(media="print", color_scheme="dark")
    visit.page.set_viewport_size({"width": PAPER, "height": 980})
    try:
        assert visit.sideways() == 0
        assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        stuck = visit.page.evaluate(
            """() => [...document.querySelectorAll("body *")].filter(element => {
            const style = getComputedStyle(element);
            return style.position === "sticky" && style.display !== "none"; }).map(element => element.className)"""
        )
        assert stuck == []
        assert visit.page.pdf().startswith(b"%PDF")
    finally:
        visit.page.emulate_media(media="screen")


def test_a_page_that_follows_a_ladder_is_loaded_anew_until_somebody_stops_it(
    chromium: Chromium, tmp_path: Path, axe_script: str
) -> None:
    page = PAGES["live"](tmp_path)
    page.write_text(re.sub(r'data-seconds="\d+"', 'data-seconds="0.3"', page.read_text()))
    with chromium.visit(page) as visit:
        follow = visit.page.get_by_label("load this page anew")
        for _ in range(2):
            visit.page.wait_for_event("load")
        assert follow.is_checked()
        follow.uncheck()
        before = len(visit.requests)
        visit.page.evaluate("() => new Promise(done => setTimeout(done, 1000))")
        assert len(visit.requests) == before
        visit.page.reload()
        assert not follow.is_checked()
        assert visit.violations(axe_script) == []
        follow.check()
        visit.page.wait_for_event("load")
        assert visit.complaints == []


def test_films_of_a_gallery_play_under_the_pointer_only_where_motion_is_welcome(
    chromium: Chromium, tmp_path: Path
) -> None:
    page = PAGES["gallery"](tmp_path)
    for still in (False, True):
        with chromium.visit(page, still=still) as visit:
            film = visit.page.locator("video").first
            film.hover()
            if still:
                assert film.evaluate("film => film.paused && film.controls")
            else:
                assert film.evaluate(PLAYS)
