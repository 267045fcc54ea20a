"""The page of `data look` in a real browser where it is otherwise: files missing, hostile names, little in it."""

import functools
import shutil
import threading
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from browser import PATIENCE
from browsing import Chromium
from look_pages import make_contents, make_look
from look_visits import items, picture, rises, tags_of
from playwright.sync_api import expect

from viewing.look.contents import Contents

pytestmark = pytest.mark.timeout(300)
expect.set_options(timeout=1000 * PATIENCE)

VIEWS = ("duplicates", "training", "skipped", "about", "items")
HOSTILE = "<img src=x onerror='top.executed=1'></script><script>top.executed=1</script>\u202e=1+1,\";"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("look")


@pytest.fixture(scope="module")
def contents(folder: Path) -> Contents:
    """What the page shows: nine films, with everything that there can be."""
    return make_look(folder, 9)


def test_a_page_without_its_files_says_which_are_missing(
    chromium: Chromium, folder: Path, contents: Contents, tmp_path: Path
) -> None:
    page_file = Path(shutil.copy(folder / "index.html", tmp_path))
    with chromium.visit(page_file) as visit:
        page = visit.page
        expect(page.locator("#missing")).to_contain_text(
            "“sprites” are missing beside this page. Copy the whole folder"
        )
        page.evaluate("viewer.open(3, list.items)")
        expect(page.locator("#missing")).to_contain_text("“films”, “sprites”, “surprise”, “tokens”")
        page.keyboard.press("Escape")
        page.select_option("#sort", "brightness")
        assert rises([contents.numbers[1].values[item] for item in items(page)])


@pytest.mark.parametrize(
    ("count", "stills", "model"), [(0, False, False), (1, False, True), (1, True, False), (9, True, True)]
)
def test_pages_with_little_are_whole(
    count: int, stills: bool, model: bool, chromium: Chromium, tmp_path: Path, axe_script: str
) -> None:
    none = {"flags": (), "duplicates": (), "skipped": (), "notes": ()} if count < 2 else {}
    make_look(tmp_path, count, stills=stills, model=model, **none)
    with chromium.visit(tmp_path / "index.html") as visit:
        page = visit.page
        for view in ("duplicates", "skipped", "about", "items"):
            page.click(f"#to-{view}")
        expect(page.locator("#count")).to_have_text(f"{count} item{'' if count == 1 else 's'}")
        if count:
            page.click(picture(page, 0))
            expect(page.locator("#item-overlay button")).to_have_count(16 if model else 0)
            expect(page.locator("#item-films")).to_be_visible(visible=not stills)
        assert visit.violations(axe_script) == []
        assert visit.complaints == []


def test_hostile_names_are_text_and_nothing_in_them_is_hidden(chromium: Chromium, tmp_path: Path) -> None:
    names = (HOSTILE, f"={HOSTILE}", "c.mp4\udcff", "d.mp4")
    word = replace(make_contents(4).words[0], choices=(HOSTILE, "b"))
    pairs = ((HOSTILE, HOSTILE),)
    make_look(tmp_path, 4, names=names, title=HOSTILE, header=pairs, notes=(HOSTILE,), words=(word,), skipped=pairs)
    with chromium.visit(tmp_path / "index.html") as visit:
        page = visit.page
        page.focus(picture(page, 1))
        page.keyboard.press("x")
        for view in VIEWS:
            page.click(f"#to-{view}")
        page.click(picture(page, 0))
        expect(page.locator("#item-title")).to_have_text(HOSTILE.replace("\u202e", "\\u202e"))
        page.keyboard.press("Escape")
        assert page.evaluate("top.executed ?? 0") == 0
        assert "\u202e" not in page.evaluate("document.body.innerText")
        assert page.locator("img, iframe").count() == 0
        assert [row[0] for row in tags_of(page)] == [f"'={HOSTILE}"]
        assert visit.elsewhere(tmp_path.as_uri()) == []
        assert visit.complaints == []


def test_ends_of_long_names_are_seen_and_frames_of_films_have_a_length(chromium: Chromium, tmp_path: Path) -> None:
    names = tuple(f"{'a_long_folder/' * 4}frame_{item:04d}.mp4" for item in range(2))
    make_look(tmp_path, 2, stills=True, names=names, starts=(0.0, 0.125))
    with chromium.visit(tmp_path / "index.html") as visit:
        page = visit.page
        ending = page.locator("#cells .cell[data-item='1'] .name :last-child")
        expect(ending).to_have_text("e_0001.mp4")
        assert ending.evaluate("(each) => each.scrollWidth <= each.clientWidth")
        page.focus(picture(page, 1))
        page.keyboard.press("x")
        assert tags_of(page) == [(names[1], "0.125", "0.125", "exclude")]


def test_a_page_works_from_a_server_too(chromium: Chromium, folder: Path, contents: Contents) -> None:
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        with chromium.visit(address) as visit:
            visit.page.click(picture(visit.page, 0))
            expect(visit.page.locator("#item-overlay button")).to_have_count(16)
            assert visit.elsewhere(address) == []
            assert visit.complaints == []
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
