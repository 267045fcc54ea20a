"""The test for people, sat by scripted participants in a real browser: they know nothing but what is on the screen."""

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe import look_script, npm, without_registry
from browser import find_browser
from devtools import Browser
from memory_lists import make_list
from people_tasks import make_small_task, perfect_answers

from experiments.people.table import Response, read_responses, write_responses
from experiments.people.task.content import Design
from experiments.people.task.libraries import Library, install_libraries
from experiments.people.task.serve import TaskServer, make_server

pytestmark = pytest.mark.timeout(240)

QUICK: dict[str, Any] = {"show": 0.06, "blank": 0.03}
TELEPHONE = (390, 800)
PARTICIPANT = """
const seen = new Set(JSON.parse(sessionStorage.seen ?? "[]"));
window.shown = [];
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
  const button = document.querySelector("#jspsych-html-button-response-btngroup button:enabled");
  if (button && button !== pressed) {
    pressed = button;
    button.click();
  }
}).observe(document.body, {subtree: true, childList: true, attributes: true});
document.querySelector("#jspsych-html-button-response-btngroup button").click();
"""
"""Somebody who remembers everything, and goes on wherever that is possible."""
UNDECIDED = PARTICIPANT.replace('press(seen.has(pair[0].src) ? "ArrowLeft" : "ArrowRight");', "")
"""The same until the test, where it is left to others."""
ALTERNATIVES = "return [...document.images].map((each) => each.alt)"
STARTS = {"2afc": "Look at the pictures", "continuous": "New, or seen before?"}
BEGUN = "document.querySelector('#jspsych-html-button-response-btngroup button')"
DONE = "document.querySelector('#answers')?.href"


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
def browser(libraries: list[Library], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="module")
def made(libraries: list[Library], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Design]:
    """A task that is soon over, with a break."""
    return make_small_task(tmp_path_factory.mktemp("task"), libraries, break_every=15, **QUICK)


@pytest.fixture
def axe(browser: Browser, axe_script: str) -> Callable[[], list[str]]:
    """What axe-core finds wrong with what is on the screen."""
    return lambda: browser.run(look_script(axe_script))


def open_task(browser: Browser, folder: Path, query: str) -> None:
    """Open a task from disk, as somebody who was never there."""
    browser.events.clear()
    browser.open(f"{(folder / 'index.html').as_uri()}?{query}")
    browser.wait(BEGUN)
    browser.run("sessionStorage.clear()")


def saved(browser: Browser, folder: Path, participant: str) -> tuple[list[Response], dict[str, Any]]:
    """The answers and the record that somebody saves at the end."""
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder), eventsEnabled=True)
    for link in ("answers", "record"):
        browser.run(f"document.getElementById('{link}').click()")
        browser.wait_for("Browser.downloadProgress", state="completed")
    table = read_responses(folder / f"{participant}.csv")
    assert table.notes == ()
    return list(table.rows), json.loads((folder / f"{participant}.json").read_text())


def without_times(rows: list[Response]) -> list[Response]:
    return [Response(**{**vars(row), "reaction_time": None}) for row in rows]


@pytest.fixture(scope="module")
def sat(
    browser: Browser, made: tuple[Path, Design], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Response], dict[str, Any]]:
    """What is saved of somebody who remembers everything."""
    browser.resize(1200, 800)
    open_task(browser, made[0], "participant=P1&version=swapped&order=1")
    browser.run(PARTICIPANT)
    browser.wait(DONE)
    found = saved(browser, tmp_path_factory.mktemp("saved"), "P1")
    assert browser.complaints() == []
    return found


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
    assert record["sittings"][0]["window"] == [1200, 800]
    assert record["sittings"][0]["frame"] > 0
    assert [(each["task"], each["trial"]) for each in record["timing"]] == [(row.task, row.trial) for row in rows]
    onsets = [each["onset"] for each in record["timing"]]
    assert onsets == sorted(onsets)
    assert all(each["shown"] >= 0 and not each["interrupted"] for each in record["timing"])


def test_who_always_says_left_on_a_telephone_is_right_half_of_the_time(
    browser: Browser, made: tuple[Path, Design], axe: Callable[[], list[str]], tmp_path: Path
) -> None:
    browser.resize(*TELEPHONE, touch=True)
    open_task(browser, made[0], "participant=P2&version=as_given&order=0")
    browser.run(UNDECIDED)
    for number in range(len(made[1].given.trials)):
        browser.wait("document.querySelectorAll('.pair img').length === 2")
        if number == 0:
            assert axe() == []
            assert browser.run(ALTERNATIVES) == ["Left picture", "Right picture"]
            assert browser.run("return document.documentElement.scrollWidth") == TELEPHONE[0]
        browser.tap(".choice")
        browser.run("await new Promise(requestAnimationFrame)")
    browser.wait(DONE)
    rows, _ = saved(browser, tmp_path, "P2")
    browser.resize(1200, 800)
    choices = [row.correct for row in rows if row.task == "2afc"]
    assert sum(choice or 0 for choice in choices) == len(choices) / 2


def test_who_reloads_sees_nothing_twice_and_goes_on(
    browser: Browser, made: tuple[Path, Design], tmp_path: Path
) -> None:
    open_task(browser, made[0], "participant=P3&version=as_given&order=1")
    browser.run(PARTICIPANT)
    shown: list[str] = []
    for count in (8, 20):
        browser.wait(f"shown.length + {len(shown)} >= {count} && document.querySelector('.stage img')")
        shown += browser.run("const before = shown.slice(); location.reload(); return before")
        browser.wait(f"!window.shown && {BEGUN}")
        assert browser.run("return document.querySelector('h1').textContent") == "Welcome back"
        browser.run(PARTICIPANT)
    browser.wait(DONE)
    shown += browser.run("return shown")
    rows, record = saved(browser, tmp_path, "P3")
    expected = perfect_answers(made[1], "P3", order=1)
    assert [(row.task, row.trial, row.item) for row in rows] == [(row.task, row.trial, row.item) for row in expected]
    planned = Counter(made[1].given.study[index].sha256[:16] for index in made[1].plan(1).stream)
    planned += Counter(each.sha256[:16] for trial in made[1].given.trials for each in (trial.studied, trial.foil))
    assert Counter(Path(source).stem for source in shown) - planned == Counter()
    interrupted = [each["trial"] for each in record["timing"] if each["interrupted"]]
    assert len(interrupted) <= 2  # none where the page was left between two pictures
    assert all(rows[trial].response == "" and rows[trial].correct is None for trial in interrupted)
    assert len(record["sittings"]) == 3


def test_what_was_on_the_screen_at_a_reload_is_not_shown_again(
    browser: Browser, libraries: list[Library], tmp_path: Path
) -> None:
    folder, design = make_small_task(tmp_path, libraries, show=600.0)
    open_task(browser, folder, "participant=R1&version=as_given&order=0")
    shown = []
    for _ in range(3):
        browser.run(PARTICIPANT)
        browser.wait("document.querySelector('.stage img')")
        shown += browser.run("const before = shown.slice(); location.reload(); return before")
        browser.wait(f"!window.shown && {BEGUN}")
    stream = design.plan(0).stream
    assert [Path(source).stem for source in shown] == [design.given.study[index].sha256[:16] for index in stream[:3]]
    kept = browser.run("return Object.entries(localStorage).filter(([name]) => name.includes('R1:answer:'))")
    answers = [json.loads(text) for _, text in sorted(kept)]
    assert [(each["response"], each["interrupted"]) for each in answers] == [("", True)] * 3


def test_who_opens_a_finished_test_again_finds_the_answers(
    browser: Browser,
    made: tuple[Path, Design],
    sat: tuple[list[Response], dict[str, Any]],
    axe: Callable[[], list[str]],
    tmp_path: Path,
) -> None:
    browser.open(f"{(made[0] / 'index.html').as_uri()}?participant=P1")
    browser.wait(DONE)
    assert saved(browser, tmp_path, "P1") == sat
    assert axe() == []
    browser.run("document.querySelector('#another').click()")
    browser.wait(BEGUN)
    assert browser.run("return document.querySelector('h1').textContent") == "Memory for pictures"
    assert browser.run("return document.querySelector('#not-kept').hidden")


def test_who_cannot_come_back_is_told_so(browser: Browser, made: tuple[Path, Design]) -> None:
    blocked = "Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked'); }})"
    script = browser.call("Page.addScriptToEvaluateOnNewDocument", source=blocked)
    open_task(browser, made[0], "participant=N1")
    browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])
    assert not browser.run("return document.querySelector('#not-kept').hidden")


@pytest.fixture(scope="module")
def server(made: tuple[Path, Design]) -> Iterator[TaskServer]:
    with make_server(made[0], 0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_the_server_collects_what_is_answered(browser: Browser, made: tuple[Path, Design], server: TaskServer) -> None:
    browser.events.clear()
    browser.open(f"{server.address}?participant=S1&version=as_given&order=0")
    browser.wait(BEGUN)
    browser.run(PARTICIPANT)
    browser.wait("document.querySelector('#task').dataset.sent")
    assert browser.run("return document.querySelector('#sent').textContent") == "Your answers were sent. Thank you!"
    rows = list(read_responses(made[0] / "responses" / "S1.csv").rows)
    assert without_times(rows) == without_times(perfect_answers(made[1], "S1"))
    assert json.loads((made[0] / "responses" / "S1.json").read_text())["finished"]
    assert browser.complaints() == []


def test_answers_that_the_server_refuses_can_be_saved(
    browser: Browser, made: tuple[Path, Design], server: TaskServer
) -> None:
    others = perfect_answers(made[1], "S1", order=1)
    write_responses(made[0] / "responses" / "S1.csv", others)
    browser.open(f"{server.address}?participant=S1")
    browser.wait("document.querySelector('#task').dataset.sent === 'no'")
    said = browser.run("return document.querySelector('#sent').textContent")
    assert "could not be sent: there are other answers of this participant already" in said
    assert browser.run("return document.querySelector('#answers').href").startswith("blob:")
    assert not browser.run("return document.querySelector('#retry').hidden")
    assert list(read_responses(made[0] / "responses" / "S1.csv").rows) == others


NO_CODE = "the participant in the address must be a code of letters, digits, - and _, and not"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("participant=../up", f"{NO_CODE} ../up"),
        ("participant=responses", f"{NO_CODE} responses"),
        ("participant=Con", f"{NO_CODE} Con"),
        ("version=other", "the version in the address must be as_given or swapped"),
        ("order=2", "the order in the address must be a number from 0 to 1"),
    ],
)
def test_an_address_that_means_nothing_is_refused(
    query: str, said: str, browser: Browser, made: tuple[Path, Design]
) -> None:
    browser.open(f"{(made[0] / 'index.html').as_uri()}?participant=new&{query}".replace("participant=new&p", "p"))
    browser.wait("document.querySelector('#why')?.textContent")
    assert browser.run("return document.querySelector('#why').textContent") == said


# Every screen, as axe-core sees it


@pytest.mark.parametrize(("kind", "width"), [("2afc", 1200), ("continuous", TELEPHONE[0])])
def test_screens_of_study_are_accessible_and_fit(
    kind: str, width: int, browser: Browser, libraries: list[Library], axe: Callable[[], list[str]], tmp_path: Path
) -> None:
    folder, _ = make_small_task(tmp_path, libraries, task=kind, show=600.0)
    browser.resize(width, 800, touch=width == TELEPHONE[0])
    open_task(browser, folder, "participant=A1")
    for screen in ("Memory for pictures", STARTS[kind], ""):
        browser.wait(f"document.querySelector('h1').textContent === '{screen}'" if screen else "document.images.length")
        assert axe() == []
        assert browser.run("return document.documentElement.scrollWidth") == width
        browser.run("document.querySelector('#jspsych-html-button-response-btngroup button')?.click()")
    assert browser.run(ALTERNATIVES) == ["Picture"]
    browser.resize(1200, 800)


# The continuous task


def test_who_remembers_everything_is_right_at_every_lag(
    browser: Browser, libraries: list[Library], tmp_path: Path
) -> None:
    folder, design = make_small_task(tmp_path, libraries, task="continuous", repeats=1.0, **QUICK)
    open_task(browser, folder, "participant=C1&version=as_given&order=0")
    browser.run(PARTICIPANT)
    browser.wait(DONE)
    rows, _ = saved(browser, tmp_path, "C1")
    assert without_times(rows) == without_times(perfect_answers(design, "C1"))
    assert {row.task for row in rows} == {"continuous"}
    assert all(row.reaction_time is not None for row in rows)


def test_nobody_is_asked_about_repeats_where_there_are_none(
    browser: Browser, libraries: list[Library], tmp_path: Path
) -> None:
    folder, design = make_small_task(tmp_path, libraries, repeats=0.0, **QUICK)
    open_task(browser, folder, "participant=O1&version=as_given&order=0")
    watching = "document.querySelectorAll('.answers button').length"
    browser.run(
        f"window.most = 0; new MutationObserver(() => {{ most = Math.max(most, {watching}); }})"
        ".observe(document.body, {subtree: true, childList: true})"
    )
    browser.run(PARTICIPANT)
    browser.wait(DONE)
    assert browser.run("return most") == 0
    rows, _ = saved(browser, tmp_path, "O1")
    assert {(row.response, row.correct) for row in rows if row.task == "vigilance"} == {("", None)}
    assert [row.correct for row in rows if row.task == "2afc"] == [1.0] * len(design.given.trials)


# Names of files are the work of others

HOSTILE = "<img src=x onerror='top.executed=1'>\u202e=1+1,\";alert(1)"


def test_names_of_files_are_text(browser: Browser, libraries: list[Library], tmp_path: Path) -> None:
    stimuli = make_list(tmp_path / f"={HOSTILE}", 2, 3)
    for path in sorted(stimuli.rglob("*_0.png")):
        path.rename(path.with_name(f"{path.stem}{HOSTILE}.png"))
    (stimuli / "study" / "filler_1.png").rename(stimuli / "study" / os.fsdecode(b"filler_\xff.png"))
    folder, design = make_small_task(tmp_path, libraries, stimuli=stimuli, **QUICK)
    open_task(browser, folder, "participant=H1&version=as_given&order=0")
    browser.run(PARTICIPANT)
    browser.wait(DONE)
    assert browser.run("return top.executed ?? 0") == 0
    assert browser.complaints() == []
    rows, _ = saved(browser, tmp_path, "H1")
    items = [row.item for row in perfect_answers(design, "H1")]
    assert [row.item for row in rows] == [item.replace("\udcff", "\\udcff") for item in items]
    assert {row.list for row in rows} == {f"={HOSTILE}"}
