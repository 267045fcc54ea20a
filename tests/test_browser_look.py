"""The page of `data look` in a real browser, as people use it: with a mouse, a finger, the keyboard alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import PATIENCE
from browsing import TELEPHONE, Chromium, Visit
from look_pages import FRAMES, make_look
from look_visits import items, picture, rises, tags_of
from playwright.sync_api import Page, expect

from viewing.look.contents import Batch, Contents, Training

pytestmark = pytest.mark.timeout(300)
expect.set_options(timeout=1000 * PATIENCE)

VIEWS = ("duplicates", "training", "skipped", "about", "items")
SHOWS = "(selector) => document.querySelector(selector).style.backgroundImage"
PLAYS = f"(selector) => ({SHOWS})(selector).includes('films/') && playing?.progress.style.width !== '0'"
RESTS = f"(selector) => ({SHOWS})(selector).includes('sprites/')"
REFUSED = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('refused'); }})"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("look")


@pytest.fixture(scope="module")
def contents(folder: Path) -> Contents:
    """What the page shows: 40 films, with everything that there can be."""
    return make_look(folder, 40)


@pytest.fixture
def visit(chromium: Chromium, folder: Path, contents: Contents) -> Iterator[Visit]:
    """Somebody who has opened the page on a screen."""
    with chromium.visit(folder / "index.html") as visit:
        yield visit
        assert visit.complaints == []
        assert visit.elsewhere(folder.as_uri()) == []


@pytest.fixture
def page(visit: Visit) -> Page:
    return visit.page


# What somebody does in the first five minutes


def test_five_minutes_with_a_mouse(page: Page, contents: Contents) -> None:
    expect(page.locator("#count")).to_have_text("40 items")
    page.fill("#name", "child1/")
    expect(page.locator("#count")).to_have_text("10 of 40 items")
    page.click("#all")
    page.select_option("#sort", "motion")
    page.click("#direction")
    motion = contents.numbers[2].values
    assert rises([value and -value for value in (motion[item] for item in items(page))])
    page.select_option("#flag", "black")
    assert items(page) == list(contents.flags[0].items)
    page.click(picture(page, 5))
    expect(page.locator("#item-title")).to_have_text(contents.names[5])
    expect(page.locator("#item-facts")).to_contain_text("black")
    page.click("#item-overlay button >> nth=5")
    expect(page.locator("#item-code h3")).to_contain_text("Code")
    page.locator("#item-code .picture >> nth=1").click()
    expect(page.locator("#item-overlay [aria-pressed=true]")).to_have_count(1)
    page.keyboard.press("x")
    tagged = page.locator("#item-title").text_content()
    page.keyboard.press("Escape")
    assert [row[0] for row in tags_of(page)] == [tagged]


def test_five_minutes_with_a_finger(chromium: Chromium, folder: Path, contents: Contents, axe_script: str) -> None:
    with chromium.visit(folder / "index.html", TELEPHONE, touch=True) as visit:
        page = visit.page
        page.tap(picture(page, 0))
        page.wait_for_function(PLAYS, arg=picture(page, 0))
        expect(page.locator("#item")).to_be_hidden()
        page.tap(picture(page, 0))
        expect(page.locator("#item-title")).to_have_text(contents.names[0])
        expect(page.locator("#item-overlay button")).to_have_count(16)
        assert visit.sideways() == 0
        assert visit.violations(axe_script) == []
        page.tap("#item-next")
        expect(page.locator("#item-title")).to_have_text(contents.names[1])
        page.tap("#item-tags button >> nth=1")
        page.tap("#item-close")
        for view in VIEWS:
            page.tap(f"#to-{view}")
            assert (view, visit.sideways()) == (view, 0)
        for panel in ("#filters", "#tagging"):
            page.tap(f"{panel} summary")
        assert visit.sideways() == 0
        assert visit.violations(axe_script) == []
        assert tags_of(page) == [(contents.names[1], "0", "1", "keep")]
        assert visit.complaints == []


def test_the_keyboard_alone_reaches_everything(page: Page) -> None:
    page.locator("#tagging summary").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.cell').dataset.item") == "0"
    page.wait_for_function(PLAYS, arg=picture(page, 0))
    for key in ("ArrowDown", "ArrowRight", "k", "Enter"):
        page.keyboard.press(key)
    opened = page.locator("#item-title").text_content()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#item-title")).not_to_have_text(opened or "")
    page.keyboard.press("ArrowLeft")
    page.locator("#item-overlay button >> nth=0").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#item-code h3")).to_contain_text("Code")
    expect(page.locator("#item-title")).to_have_text(opened or "")
    page.keyboard.press("Escape")
    focused = "document.activeElement.closest('.cell')?.querySelector('.name').textContent"
    assert page.evaluate(focused) == opened
    assert [(row[0], row[3]) for row in tags_of(page)] == [(opened, "keep")]


def test_every_view_is_accessible(page: Page, visit: Visit, axe_script: str) -> None:
    for panel in ("#made", "#filters", "#tagging"):
        page.click(f"{panel} summary")
    for view in VIEWS:
        page.click(f"#to-{view}")
        assert (view, visit.violations(axe_script)) == (view, [])
    page.evaluate("viewer.open(3, list.items)")
    for mode in ("codes", "colours", "surprise"):
        page.check(f"#item-modes [value={mode}]")
        expect(page.locator("#item-overlay")).to_be_visible()
    page.click("#item-overlay button >> nth=0")
    assert visit.violations(axe_script) == []
    page.emulate_media(color_scheme="dark")
    assert visit.violations(axe_script) == []
    page.keyboard.press("Escape")
    for view in ("duplicates", "training", "items"):
        page.click(f"#to-{view}")
    assert visit.violations(axe_script) == []


# Films


def test_films_play_under_the_pointer_and_rest_when_it_leaves(page: Page) -> None:
    page.hover(picture(page, 3))
    page.wait_for_function(PLAYS, arg=picture(page, 3))
    page.hover("h1")
    page.wait_for_function(RESTS, arg=picture(page, 3))


def test_films_of_who_prefers_no_motion_wait_for_a_key(chromium: Chromium, folder: Path) -> None:
    with chromium.visit(folder / "index.html", still=True) as visit:
        page = visit.page
        page.wait_for_function(RESTS, arg=picture(page, 0))
        page.hover(picture(page, 0))
        page.focus(picture(page, 0))
        page.keyboard.press("ArrowRight")
        assert page.evaluate("playing") is None
        page.keyboard.press(" ")
        page.wait_for_function(PLAYS, arg=picture(page, 1))


def test_frames_of_an_item_are_shown_one_after_another(page: Page) -> None:
    page.click(picture(page, 2))
    expect(page.locator("#item-strip button")).to_have_count(FRAMES)
    page.locator("#item-strip button >> nth=6").click()
    expect(page.locator("#item-at")).to_have_text(f"frame 7 of {FRAMES}, 0.75 s")
    label = page.locator("#item-overlay button >> nth=0").get_attribute("aria-label")
    page.locator("#item-strip button >> nth=0").click()
    assert page.locator("#item-overlay button >> nth=0").get_attribute("aria-label") != label
    page.click("#item-play")
    page.wait_for_function("() => document.getElementById('item-slider').value !== '0'")


# Choosing


def test_numbers_sort_in_both_directions_with_missing_ones_last(page: Page, contents: Contents) -> None:
    page.select_option("#size", "80")
    for number in contents.numbers[1:4]:
        page.select_option("#sort", number.key)
        assert rises([number.values[item] for item in items(page)])
        page.click("#direction")
        assert rises([value and -value for value in (number.values[item] for item in items(page))])
        page.click("#direction")


def test_items_are_filtered_by_numbers_words_and_tags(page: Page, contents: Contents) -> None:
    page.click("#filters summary")
    page.fill("#least-brightness", "0.5")
    page.select_option("#word-split", label="validation (13)")
    brightness, split = contents.numbers[1].values, contents.words[0].values
    wanted = [item for item in range(40) if (brightness[item] or 0) >= 0.5 and split[item] == 1]
    assert items(page) == wanted
    page.focus(picture(page, wanted[0]))
    page.keyboard.press("1")
    page.select_option("#tag", "hands")
    assert items(page) == wanted[:1]


def test_the_address_keeps_what_is_shown(page: Page, contents: Contents) -> None:
    page.select_option("#sort", "brightness")
    page.click("#direction")
    page.fill("#name", "child2")
    page.evaluate("viewer.open(list.items[1], list.items)")
    before, title = items(page), page.locator("#item-title").text_content()
    page.reload()
    assert items(page) == before
    expect(page.locator("#item-title")).to_have_text(title or "")
    page.goto(f"{page.url.split('#')[0]}#flag=frozen&sort=nothing&w.split=none&n.motion=a..b&item=999&view=x")
    assert items(page) == list(contents.flags[1].items)


def test_only_thumbnails_in_sight_are_in_the_document(chromium: Chromium, tmp_path: Path) -> None:
    make_look(tmp_path, 1500, stills=True, model=False)
    with chromium.visit(tmp_path / "index.html") as visit:
        page = visit.page
        assert len(items(page)) < 150
        page.focus(picture(page, 0))
        page.keyboard.press("End")
        expect(page.locator(picture(page, 1499))).to_be_focused()
        expect(page.locator(picture(page, 1499))).to_be_in_viewport()
        assert page.locator("#cells .cell").count() < 200
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        assert items(page)[:120] == list(range(120))
        expect(page.locator("#paper")).to_have_text("1,500 items; the first 120 are printed")
        expect(page.locator("#controls")).to_be_hidden()


# Duplicates, and what a training was trained on


def test_leaks_are_the_first_duplicates(page: Page) -> None:
    page.click("#to-duplicates")
    groups = page.locator("#view-duplicates .group")
    expect(groups).to_have_count(2)
    expect(groups.first).to_contain_text("Leak")
    expect(groups.first).to_contain_text("in train and validation")
    assert groups.first.locator(".cell").evaluate_all("each => each.map((one) => one.dataset.item)") == ["1", "2"]


def test_a_click_on_the_curve_shows_what_was_trained_on_before(page: Page, contents: Contents) -> None:
    page.click("#to-training")
    assert contents.training is not None
    expect(page.locator("#step-at")).to_contain_text("step 25, ")
    box = page.locator("#curve svg").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 60, box["y"] + 100)
    expect(page.locator("#step-at")).to_contain_text("step 1, ")
    batch = page.locator("#before section >> nth=0")
    shown = batch.locator(".cell").evaluate_all("each => each.map((one) => Number(one.dataset.item))")
    bits = contents.numbers[3].values
    assert sorted(shown) == sorted(contents.training.batches[0].items)
    assert rises([-(bits[item] or 0) for item in shown])
    expect(batch).to_contain_text("1 elsewhere")
    page.click("text=Jump at step 25")
    assert page.locator("#before h3").all_text_contents() == [f"Step {step}" for step in range(25, 20, -1)]


def test_at_a_jump_all_steps_since_the_point_before_are_shown(chromium: Chromium, tmp_path: Path) -> None:
    curve = tuple((step, 5.0 + 2.0 * (step == 59)) for step in range(9, 100, 10))
    batches = tuple(Batch(step, tuple(range(40)), 0) for step in (*range(5, 10), *range(45, 60), *range(95, 100)))
    make_look(tmp_path, 40, training=Training(curve, (), "nats per token", batches, (59,)))
    with chromium.visit(f"{(tmp_path / 'index.html').as_uri()}#view=training") as visit:
        page = visit.page
        assert page.locator("#before h3").all_text_contents() == [f"Step {step}" for step in range(59, 49, -1)]
        page.fill("#step", "9")
        assert page.locator("#before h3").all_text_contents() == [f"Step {step}" for step in range(99, 94, -1)]
        assert visit.complaints == []


# Tags


def test_tags_stay_after_a_reload_and_are_undone(page: Page, contents: Contents) -> None:
    page.focus(picture(page, 4))
    page.keyboard.press("x")
    page.reload()
    assert tags_of(page) == [(contents.names[4], "2", "1", "exclude")]
    page.focus(picture(page, 4))
    page.keyboard.press("x")
    assert tags_of(page) == []
    page.click("#undo")
    assert [row[3] for row in tags_of(page)] == ["exclude"]


def test_tags_for_all_shown_are_asked_about_and_undone(page: Page) -> None:
    page.select_option("#flag", "black")
    page.click("#tagging summary")
    page.fill("#tag-name", "too dark")
    page.keyboard.press("Enter")
    page.select_option("#which-tag", "too dark")
    page.click("#give-all")
    expect(page.locator("#sure-text")).to_have_text("Give the tag “too dark” to all 2 items that are shown?")
    page.click("#sure-no")
    assert tags_of(page) == []
    page.click("#give-all")
    page.click("#sure-yes")
    assert [row[3] for row in tags_of(page)] == ["too dark"] * 2
    page.click("#undo")
    assert tags_of(page) == []


TABLES = {
    b"source,start,tag\r\nchild1/walk_0.mp4,0,keep\r\n": "1 row read, 1 tag new.",
    b"source,start,seconds,tag\nchild1/walk_3.mp4,6.5,0.25,Keep \n": "1 row read, 1 tag new.",
    b"\xef\xbb\xbftag;source;start\nkeep;child1/walk_1.mp4;2,0\n": "1 row read, 1 tag new.",
    "source\ttag\nchild1/walk_2.mp4\tkeep\n".encode("utf-16"): "1 row read, 1 tag new.",
    "\ufeffsource\ttag\nchild2/walk_1.mp4\tkeep\n".encode("utf-16-be"): "1 row read, 1 tag new.",
    b"source,start,tag\rchild2/walk_0.mp4,0,keep\r\r": "1 row read, 1 tag new.",
    b'"source","start","seconds","tag"\nchild2/walk_2.mp4,NA,NA,keep\n,,,\n': "1 row read, 1 tag new.",
    b"source,start,tag\n'=gone.mp4,0,keep\nchild1/walk_0.mp4,99,keep\n": (
        "2 rows name nothing on this page, or no tag, and were left out: “=gone.mp4”, “child1/walk_0.mp4”."
    ),
    b"name,label\na,b\n": "no columns “source” and “tag”",
    b"": "no columns “source” and “tag”",
}
"""Tables as people have edited them, and what is said of them."""


def test_a_table_of_tags_is_read_as_people_edit_it(page: Page) -> None:
    page.click("#tagging summary")
    for table, said in TABLES.items():
        page.set_input_files("#load", {"name": "tags.csv", "mimeType": "text/csv", "buffer": table})
        expect(page.locator("#said")).to_contain_text(said)


def test_who_keeps_nothing_is_told_so(chromium: Chromium, folder: Path) -> None:
    with chromium.visit(folder / "index.html", before=REFUSED) as visit:
        visit.page.click("#tagging summary")
        expect(visit.page.locator("#not-kept")).to_be_visible()
        visit.page.focus(picture(visit.page, 0))
        visit.page.keyboard.press("x")
        assert len(tags_of(visit.page)) == 1


def test_the_keyboard_stays_where_an_item_leaves_the_list(page: Page) -> None:
    page.click("#filters summary")
    page.select_option("#tag", label="no tag")
    page.focus(picture(page, 2))
    page.keyboard.press("x")
    expect(page.locator(picture(page, 2))).to_have_count(0)
    expect(page.locator(picture(page, 3))).to_be_focused()
