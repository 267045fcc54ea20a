"""The test for people, sat by scripted participants in a real browser: they know nothing but what is on the screen."""

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe import npm, without_registry
from browser import find_browser
from browsing import TELEPHONE, WIDE, Chromium, Visit
from memory_lists import make_list
from people_tasks import make_small_task, perfect_answers
from playwright.sync_api import Page, Route

from experiments.people.table import Response, read_responses, write_responses
from experiments.people.task.content import Design
from experiments.people.task.libraries import Library, install_libraries
from experiments.people.task.serve import TaskServer, make_server

pytestmark = pytest.mark.timeout(240)

QUICK: dict[str, Any] = {"show": 0.03, "blank": 0.02}
STILL: dict[str, Any] = {"show": 600.0}
"""The first picture stays until the end of the test."""

PARTICIPANT = """
const seen = new Set(JSON.parse(sessionStorage.seen ?? "[]"));
window.shown = JSON.parse(sessionStorage.shown ?? "[]");
window.rests ??= false;
let last = null;
let pressed = null;
const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", {key}));
new MutationObserver(() => {
  const picture = document.querySelector(".stage img");
  if (picture && picture !== last) {
    last = picture;
    shown.push(picture.src);
    const known = seen.has(picture.src);
    seen.add(picture.src);
    sessionStorage.seen = JSON.stringify([...seen]);
    const two = document.querySelectorAll(".answers button").length === 2;
    if (known || two) press(known ? (two ? "ArrowRight" : " ") : "ArrowLeft");
  }
  const pair = [...document.querySelectorAll(".pair img")];
  if (pair.length === 2 && pair[0] !== last) {
    last = pair[0];
    shown.push(...pair.map((each) => each.src));
    press(seen.has(pair[0].src) ? "ArrowLeft" : "ArrowRight");
  }
  sessionStorage.shown = JSON.stringify(shown);
  const button = document.querySelector("#jspsych-html-button-response-btngroup button:enabled");
  if (button && button !== pressed && !(rests && document.querySelector("h1").textContent === "Have a break")) {
    pressed = button;
    button.click();
  }
}).observe(document.body, {subtree: true, childList: true, attributes: true});
document.querySelector("#jspsych-html-button-response-btngroup button").click();
"""
"""Somebody who remembers everything, and goes on wherever that is possible, or never after a break."""
UNDECIDED = PARTICIPANT.replace('press(seen.has(pair[0].src) ? "ArrowLeft" : "ArrowRight");', "")
"""The same until the test, where it is left to others."""
TIRED = f"window.rests = true; {PARTICIPANT}"
STARTS = {"2afc": "Look at the pictures", "continuous": "New, or seen before?"}
GO_ON = "#jspsych-html-button-response-btngroup button"
PICTURE = ".stage img"
DONE = "#answers[href]"


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> list[Library]:
    """What npm installs for a task."""
    find_browser()
    npm()
    try:
        return install_libraries(tmp_path_factory.mktemp("libraries"))
    except ValueError as error:
        without_registry(str(error))
        raise


@pytest.fixture(scope="module")
def made(libraries: list[Library], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Design]:
    """A task that is soon over, with a break."""
    return make_small_task(tmp_path_factory.mktemp("task"), libraries, break_every=15, **QUICK)


def address(folder: Path, query: str) -> str:
    """Of a task on a disk."""
    return f"{(folder / 'index.html').as_uri()}?{query}"


@contextmanager
def opened(chromium: Chromium, where: str, **how: Any) -> Iterator[Visit]:
    """A task, opened by somebody who was never there."""
    with chromium.visit(where, **how) as visit:
        visit.page.locator(GO_ON).wait_for()
        yield visit


def act(page: Page, script: str) -> None:
    """Run the statements of a script in a page."""
    page.evaluate(f"() => {{ {script} }}")


def wait(page: Page, condition: str) -> None:
    """Wait until an expression is true in a page; its policy forbids what Playwright would do by itself."""
    again = "requestAnimationFrame(look)"
    page.evaluate(f"() => new Promise((done) => {{ const look = () => ({condition}) ? done() : {again}; look(); }})")


def heading(page: Page) -> str:
    return page.locator("h1").inner_text()


def saved(page: Page, folder: Path, participant: str) -> tuple[list[Response], dict[str, Any]]:
    """The answers and the record that somebody saves at the end."""
    page.locator(DONE).wait_for()
    for link, name in (("answers", f"{participant}.csv"), ("record", f"{participant}.json")):
        with page.expect_download() as started:
            page.locator(f"#{link}").click()
        assert started.value.suggested_filename == name
        started.value.save_as(folder / name)
    table = read_responses(folder / f"{participant}.csv")
    assert table.notes == ()
    return list(table.rows), json.loads((folder / f"{participant}.json").read_text())


def without_times(rows: list[Response]) -> list[Response]:
    return [Response(**{**vars(row), "reaction_time": None}) for row in rows]


def assert_usable(visit: Visit, axe_script: str) -> None:
    """Check that axe-core finds nothing, and that nobody has to scroll sideways."""
    assert visit.violations(axe_script) == []
    assert visit.sideways() == 0


@pytest.fixture(scope="module")
def perfect(chromium: Chromium, made: tuple[Path, Design]) -> Iterator[Visit]:
    """The end of the test of somebody who remembers everything."""
    with opened(chromium, address(made[0], "participant=P1&version=swapped&order=1")) as visit:
        act(visit.page, PARTICIPANT)
        visit.page.locator(DONE).wait_for()
        yield visit


@pytest.fixture(scope="module")
def sat(perfect: Visit, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Response], dict[str, Any]]:
    """What is saved of somebody who remembers everything."""
    return saved(perfect.page, tmp_path_factory.mktemp("saved"), "P1")


def test_who_remembers_everything_is_always_right(
    sat: tuple[list[Response], dict[str, Any]], made: tuple[Path, Design]
) -> None:
    rows, _ = sat
    assert without_times(rows) == without_times(perfect_answers(made[1], "P1", "swapped", order=1))
    assert {row.correct for row in rows} == {1.0}
    assert all(row.reaction_time is not None for row in rows if row.task == "2afc" or row.lag)


def test_screen_and_times_are_recorded(sat: tuple[list[Response], dict[str, Any]]) -> None:
    rows, record = sat
    assert (record["participant"], record["version"], record["order"]) == ("P1", "swapped", 1)
    assert record["sittings"][0]["window"] == list(WIDE)
    assert record["sittings"][0]["frame"] > 0
    assert [(each["task"], each["trial"]) for each in record["timing"]] == [(row.task, row.trial) for row in rows]
    onsets = [each["onset"] for each in record["timing"]]
    assert onsets == sorted(onsets)
    assert all(each["shown"] >= 0 and not each["interrupted"] for each in record["timing"])


def test_nothing_is_asked_of_elsewhere_and_nothing_complained_of(perfect: Visit, made: tuple[Path, Design]) -> None:
    assert perfect.elsewhere(made[0].as_uri()) == []
    assert perfect.complaints == []


def test_who_opens_a_finished_test_again_finds_the_answers(
    perfect: Visit, sat: tuple[list[Response], dict[str, Any]], axe_script: str, tmp_path: Path
) -> None:
    perfect.page.reload()
    assert saved(perfect.page, tmp_path, "P1") == sat
    assert_usable(perfect, axe_script)
    perfect.page.locator("#another").click()
    perfect.page.locator(GO_ON).wait_for()
    assert heading(perfect.page) == "Memory for pictures"
    assert perfect.page.locator("#not-kept").is_hidden()


def test_who_always_says_left_on_a_telephone_is_right_half_of_the_time(
    chromium: Chromium, made: tuple[Path, Design], axe_script: str, tmp_path: Path
) -> None:
    where = address(made[0], "participant=P2&version=as_given&order=0")
    studied = len(made[1].plan(0).stream)
    with opened(chromium, where, size=TELEPHONE, touch=True) as visit:
        page = visit.page
        act(page, UNDECIDED)
        for number in range(len(made[1].given.trials)):
            wait(page, f"shown.length === {studied + 2 * (number + 1)}")
            if number == 0:
                assert_usable(visit, axe_script)
                assert [each.get_attribute("alt") for each in page.locator("img").all()] == [
                    "Left picture",
                    "Right picture",
                ]
            page.locator(".choice").first.tap()
        rows, _ = saved(page, tmp_path, "P2")
    choices = [row.correct for row in rows if row.task == "2afc"]
    assert sum(choice or 0 for choice in choices) == len(choices) / 2


def test_who_reloads_sees_nothing_twice_and_goes_on(
    chromium: Chromium, made: tuple[Path, Design], axe_script: str, tmp_path: Path
) -> None:
    with opened(chromium, address(made[0], "participant=P3&version=as_given&order=1")) as visit:
        page = visit.page
        act(page, PARTICIPANT)
        for count in (8, 20):
            wait(page, f"shown.length >= {count} && document.querySelector('{PICTURE}')")
            page.reload()
            page.locator(GO_ON).wait_for()
            assert heading(page) == "Welcome back"
            assert_usable(visit, axe_script)
            act(page, PARTICIPANT)
        rows, record = saved(page, tmp_path, "P3")
        shown = page.evaluate("shown")
    expected = perfect_answers(made[1], "P3", order=1)
    assert [(row.task, row.trial, row.item) for row in rows] == [(row.task, row.trial, row.item) for row in expected]
    assert Counter(Path(source).stem for source in shown) - planned_pictures(made[1], order=1) == Counter()
    interrupted = [each["trial"] for each in record["timing"] if each["interrupted"]]
    assert len(interrupted) <= 2  # none where the page was left between two pictures
    assert all(rows[trial].response == "" and rows[trial].correct is None for trial in interrupted)
    assert len(record["sittings"]) == 3


def planned_pictures(design: Design, order: int) -> Counter[str]:
    """How often each picture is shown of the list as given, by the name of its file."""
    planned = Counter(design.given.study[index].sha256[:16] for index in design.plan(order).stream)
    return planned + Counter(each.sha256[:16] for trial in design.given.trials for each in (trial.studied, trial.foil))


def test_what_was_on_the_screen_at_a_reload_is_not_shown_again(
    chromium: Chromium, libraries: list[Library], tmp_path: Path
) -> None:
    folder, design = make_small_task(tmp_path, libraries, **STILL)
    with opened(chromium, address(folder, "participant=R1&version=as_given&order=0")) as visit:
        page = visit.page
        for _ in range(3):
            act(page, PARTICIPANT)
            page.locator(PICTURE).wait_for()
            page.reload()
            page.locator(GO_ON).wait_for()
        shown = json.loads(page.evaluate("sessionStorage.shown"))
        kept = page.evaluate("Object.entries(localStorage).filter(([name]) => name.includes('R1:answer:'))")
    stream = design.plan(0).stream
    assert [Path(source).stem for source in shown] == [design.given.study[index].sha256[:16] for index in stream[:3]]
    answers = [json.loads(text) for _, text in sorted(kept)]
    assert [(each["response"], each["interrupted"]) for each in answers] == [("", True)] * 3


def test_who_cannot_come_back_is_told_so(chromium: Chromium, made: tuple[Path, Design]) -> None:
    blocked = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked'); }})"
    with opened(chromium, address(made[0], "participant=N1"), before=blocked) as visit:
        assert visit.page.locator("#not-kept").is_visible()


# Two tabs of one participant

MOVED = "The test is open in another tab"


def test_who_opens_the_test_in_a_second_tab_goes_on_there(
    chromium: Chromium, made: tuple[Path, Design], tmp_path: Path
) -> None:
    with opened(chromium, address(made[0], "participant=T1&version=as_given&order=0")) as visit:
        first = visit.page
        act(first, PARTICIPANT)
        wait(first, "shown.length >= 5")
        second = first.context.new_page()
        second.goto(address(made[0], "participant=T1"))
        second.locator(GO_ON).wait_for()
        assert heading(second) == "Welcome back"
        first.get_by_role("heading", name=MOVED).wait_for()
        act(second, PARTICIPANT)
        rows, record = saved(second, tmp_path, "T1")
        shown = first.evaluate("shown") + second.evaluate("shown")
        assert heading(first) == MOVED
        assert visit.complaints == []
    expected = perfect_answers(made[1], "T1")
    assert [(row.task, row.trial, row.item) for row in rows] == [(row.task, row.trial, row.item) for row in expected]
    assert sum(each["interrupted"] for each in record["timing"]) <= 1
    assert Counter(Path(source).stem for source in shown) - planned_pictures(made[1], order=0) == Counter()


def test_who_goes_back_to_the_first_tab_goes_on_there(
    chromium: Chromium, libraries: list[Library], axe_script: str, tmp_path: Path
) -> None:
    folder, _ = make_small_task(tmp_path, libraries, **STILL)
    where = address(folder, "participant=T2&version=as_given&order=0")
    with opened(chromium, where, size=TELEPHONE, touch=True) as visit:
        act(visit.page, PARTICIPANT)
        visit.page.locator(PICTURE).wait_for()
        second = visit.page.context.new_page()
        second.goto(where)
        visit.page.get_by_role("heading", name=MOVED).wait_for()
        assert_usable(visit, axe_script)
        visit.page.get_by_role("button", name="Go on here instead").click()
        visit.page.get_by_role("heading", name="Welcome back").wait_for()
        second.get_by_role("heading", name=MOVED).wait_for()
        answers = visit.page.evaluate("Object.keys(localStorage).filter((name) => name.includes('T2:answer:'))")
    assert len(answers) == 1


# Answers that are collected


@pytest.fixture(scope="module")
def served(
    libraries: list[Library], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Design, TaskServer]]:
    """A very short task on a server of this machine."""
    folder = tmp_path_factory.mktemp("served")
    make_list(folder / "list", 1, 2)
    made = make_small_task(folder, libraries, break_every=2, **QUICK)
    with make_server(made[0], 0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield *made, running
        running.shutdown()


def test_the_server_collects_what_is_answered(chromium: Chromium, served: tuple[Path, Design, TaskServer]) -> None:
    folder, design, server = served
    with opened(chromium, f"{server.address}?participant=S1&version=as_given&order=0") as visit:
        act(visit.page, PARTICIPANT)
        visit.page.locator("#task[data-sent]").wait_for()
        assert visit.page.locator("#sent").inner_text() == "Your answers were sent. Thank you!"
        assert visit.complaints == []
    rows = list(read_responses(folder / "responses" / "S1.csv").rows)
    assert without_times(rows) == without_times(perfect_answers(design, "S1"))
    assert json.loads((folder / "responses" / "S1.json").read_text())["finished"]


def test_answers_that_the_server_refuses_can_be_saved(
    chromium: Chromium, served: tuple[Path, Design, TaskServer]
) -> None:
    folder, design, server = served
    others = perfect_answers(design, "S2", order=1)
    (folder / "responses").mkdir(exist_ok=True)
    write_responses(folder / "responses" / "S2.csv", others)
    with opened(chromium, f"{server.address}?participant=S2&version=as_given&order=0") as visit:
        act(visit.page, PARTICIPANT)
        visit.page.locator("#task[data-sent=no]").wait_for()
        said = visit.page.locator("#sent").inner_text()
        assert "could not be sent: there are other answers of this participant already" in said
        assert (visit.page.locator("#answers").get_attribute("href") or "").startswith("blob:")
        assert visit.page.locator("#retry").is_visible()
    assert list(read_responses(folder / "responses" / "S2.csv").rows) == others


# Scripts from a network that mirrors npm, which the test stands in for


@contextmanager
def mirrored(chromium: Chromium, folder: Path, files: dict[str, bytes]) -> Iterator[Visit]:
    """A page that loads these files, by address, from elsewhere."""

    def answer(route: Route) -> None:
        headers = {"Access-Control-Allow-Origin": "*", "Content-Type": "text/javascript"}
        route.fulfill(body=files[route.request.url], headers=headers)

    with chromium.visit("about:blank") as visit:
        visit.page.route(lambda url: url in files, answer)
        visit.page.goto(address(folder, "participant=M1"))
        yield visit


def test_scripts_from_elsewhere_are_those_of_npm(chromium: Chromium, libraries: list[Library], tmp_path: Path) -> None:
    folder, _ = make_small_task(tmp_path, libraries, cdn=True)
    files = {each.address: each.content for each in libraries}
    with mirrored(chromium, folder, files) as visit:
        visit.page.locator(GO_ON).wait_for()
        assert visit.elsewhere(folder.as_uri()) == list(files)
        assert visit.complaints == []


def test_scripts_from_elsewhere_that_were_changed_are_not_run(
    chromium: Chromium, libraries: list[Library], tmp_path: Path
) -> None:
    folder, _ = make_small_task(tmp_path, libraries, cdn=True)
    files = {each.address: each.content + b"window.changed = true;" for each in libraries}
    with mirrored(chromium, folder, files) as visit:
        assert visit.page.evaluate("window.changed") is None
        assert sum("integrity" in each for each in visit.complaints) == len(files)
        assert visit.page.locator("#why").inner_text() == "the scripts of jsPsych cannot be loaded"


NO_CODE = "the participant in the address must be a code of letters, digits, - and _, and not"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("participant=../up", f"{NO_CODE} ../up"),
        ("participant=responses", f"{NO_CODE} responses"),
        ("participant=Con", f"{NO_CODE} Con"),
        ("participant=new&version=other", "the version in the address must be as_given or swapped"),
        ("participant=new&order=2", "the order in the address must be a number from 0 to 1"),
    ],
)
def test_an_address_that_means_nothing_is_refused(
    query: str, said: str, chromium: Chromium, made: tuple[Path, Design]
) -> None:
    with chromium.visit(address(made[0], query)) as visit:
        assert visit.page.locator("#why").inner_text() == said


# Every screen, as axe-core sees it


@pytest.mark.parametrize(("kind", "size"), [("2afc", WIDE), ("continuous", TELEPHONE)])
def test_screens_of_study_are_accessible_and_fit(
    kind: str, size: tuple[int, int], chromium: Chromium, libraries: list[Library], axe_script: str, tmp_path: Path
) -> None:
    folder, _ = make_small_task(tmp_path, libraries, task=kind, **STILL)
    with opened(chromium, address(folder, "participant=A1"), size=size, touch=size == TELEPHONE) as visit:
        for screen in ("Memory for pictures", STARTS[kind]):
            visit.page.get_by_role("heading", name=screen).wait_for()
            assert_usable(visit, axe_script)
            visit.page.locator(GO_ON).click()
        picture = visit.page.locator(PICTURE)
        assert picture.get_attribute("alt") == "Picture"
        assert_usable(visit, axe_script)


def test_break_is_accessible_and_fits(
    chromium: Chromium, served: tuple[Path, Design, TaskServer], axe_script: str
) -> None:
    with opened(chromium, address(served[0], "participant=B1"), size=TELEPHONE, touch=True) as visit:
        act(visit.page, TIRED)
        visit.page.get_by_role("heading", name="Have a break").wait_for()
        visit.page.locator(f"{GO_ON}:enabled").wait_for()
        assert_usable(visit, axe_script)


@pytest.mark.parametrize("name", ["consent", "debriefing"])
def test_texts_to_fill_in_are_accessible_and_fit(
    name: str, chromium: Chromium, made: tuple[Path, Design], axe_script: str
) -> None:
    with chromium.visit(made[0] / f"{name}.html", size=TELEPHONE, touch=True) as visit:
        assert "[FILL IN" in visit.page.locator("body").inner_text()
        assert_usable(visit, axe_script)


# The continuous task


def test_who_remembers_everything_is_right_at_every_lag(
    chromium: Chromium, libraries: list[Library], tmp_path: Path
) -> None:
    folder, design = make_small_task(tmp_path, libraries, task="continuous", repeats=1.0, **QUICK)
    with opened(chromium, address(folder, "participant=C1&version=as_given&order=0")) as visit:
        act(visit.page, PARTICIPANT)
        rows, _ = saved(visit.page, tmp_path, "C1")
    assert without_times(rows) == without_times(perfect_answers(design, "C1"))
    assert {row.task for row in rows} == {"continuous"}
    assert all(row.reaction_time is not None for row in rows)


def test_nobody_is_asked_about_repeats_where_there_are_none(
    chromium: Chromium, libraries: list[Library], tmp_path: Path
) -> None:
    make_list(tmp_path / "list", 1, 2)
    folder, design = make_small_task(tmp_path, libraries, repeats=0.0, **QUICK)
    with opened(chromium, address(folder, "participant=O1&version=as_given&order=0")) as visit:
        watching = "document.querySelectorAll('.answers button').length"
        act(
            visit.page,
            f"window.most = 0; new MutationObserver(() => {{ most = Math.max(most, {watching}); }})"
            ".observe(document.body, {subtree: true, childList: true})",
        )
        act(visit.page, PARTICIPANT)
        rows, _ = saved(visit.page, tmp_path, "O1")
        assert visit.page.evaluate("most") == 0
    assert {(row.response, row.correct) for row in rows if row.task == "vigilance"} == {("", None)}
    assert [row.correct for row in rows if row.task == "2afc"] == [1.0] * len(design.given.trials)


# Names of files are the work of others

HOSTILE = "<img src=x onerror='top.executed=1'>\u202e=1+1,\";alert(1)"


def test_names_of_files_are_text(chromium: Chromium, libraries: list[Library], tmp_path: Path) -> None:
    stimuli = make_list(tmp_path / f"={HOSTILE}", 1, 2)
    for path in sorted(stimuli.rglob("*_0.png")):
        path.rename(path.with_name(f"{path.stem}{HOSTILE}.png"))
    (stimuli / "study" / "filler_1.png").rename(stimuli / "study" / os.fsdecode(b"filler_\xff.png"))
    folder, design = make_small_task(tmp_path, libraries, stimuli=stimuli, **QUICK)
    with opened(chromium, address(folder, "participant=H1&version=as_given&order=0")) as visit:
        act(visit.page, PARTICIPANT)
        rows, _ = saved(visit.page, tmp_path, "H1")
        assert visit.page.evaluate("top.executed ?? 0") == 0
        assert visit.complaints == []
    items = [row.item for row in perfect_answers(design, "H1")]
    assert [row.item for row in rows] == [item.replace("\udcff", "\\udcff") for item in items]
    assert {row.list for row in rows} == {f"={HOSTILE}"}
