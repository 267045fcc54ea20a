"""The app in a real browser: somebody's first minutes with each tab, by mouse, by finger and by keys alone."""

import hashlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from zipfile import ZipFile

import numpy as np
import pytest
from app_models import save_pair
from browsing import TELEPHONE, WIDE, Chromium, Visit
from media import make_video, noise
from media_kinds import cut
from PIL import Image
from tiny import SHORT, make_videos

import secondsight
from viewing.app.uploads import LIMITS

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(280)

PROGRAM = Path(secondsight.__file__)
MEBIBYTE = 1 << 20
SLIDER = "#given input[type=range]"
ANSWERED = (
    "() => document.querySelector('#result .answer p')?.textContent.startsWith('seed {},') "
    "&& document.querySelector('#result h3')"
)
"""Whether the answer of a seed is there with its maps."""
DONE = "() => document.querySelector('#status').textContent.trim().startsWith('Done.{}')"


class App:
    """The app, run as people run it."""

    def __init__(self, folder: Path) -> None:
        gpt, tokenizer = save_pair(folder / "first", SHORT)
        other, _ = save_pair(folder / "second", SHORT, seed=1)
        videos = make_videos(folder / "\u202e<img src=x onerror='top.executed=1'>", 2, frames=8, size=16)
        hostile = videos / "a<img src=x onerror='top.executed=1'>\u202e.mp4"
        (videos / "film_0.mp4").rename(hostile)
        words = ["app", "--gpt", gpt, other, "--tokenizer", tokenizer, "--input", videos, "--port", "0"]
        self.cache = folder / "cache"
        self.cache.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, PROGRAM, *map(str, words), "--sampling-precision", "fp32"],
            env={**os.environ, "TMPDIR": str(self.cache)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.said: list[str] = []
        for line in self.process.stdout:
            self.said.append(line)
            if line.startswith("open "):
                break
        assert self.said[-1].startswith("open http://127.0.0.1:"), self.said
        self.address = self.said[-1].split()[1]

    def uploads(self) -> list[Path]:
        """Return what is left of uploads on the disk."""
        return [path for path in self.cache.rglob("*") if path.suffix in (".mp4", ".png", ".tar")]

    def end(self) -> tuple[int, str]:
        """Press Ctrl-C; return the exit code, and what is said then."""
        self.process.send_signal(signal.SIGINT)
        rest, _ = self.process.communicate(timeout=200)
        return self.process.returncode, rest


@pytest.fixture(scope="module")
def app(chromium: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    running = App(tmp_path_factory.mktemp("app"))
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        assert running.process.stdout is not None
        running.process.stdout.close()


def ready(visit: Visit) -> "Page":
    visit.page.wait_for_selector("figure.given img")
    return visit.page


def ask(page: "Page", seed: int, *, again: bool = False) -> str:
    """Ask with a seed; return the digest of the tokens, of both models one after another."""
    page.locator("#seed input").fill(str(seed))
    page.locator("#go").click()
    page.wait_for_function(ANSWERED.format(seed))
    if again:
        page.wait_for_function(DONE.format(" The same tokens as before."))
    return page.evaluate("[...document.querySelectorAll('.answer')].map((each) => each.dataset.digest).join(' ')")


def test_the_first_minutes_with_a_mouse(
    app: App, chromium: Chromium, axe_script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with chromium.visit(app.address) as visit:
        page = ready(visit)
        assert visit.violations(axe_script) == []
        page.locator("#kind").get_by_label("the left columns").click()
        page.wait_for_selector("figure.given[data-axis=x][data-count='4']")
        box = page.locator("figure.given .picture").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 5)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.76, box["y"] + 9, steps=3)
        page.mouse.up()
        assert page.locator(SLIDER).input_value() == "3"
        assert "75%" in (page.locator("figure.given").get_attribute("style") or "")
        first = ask(page, 4)
        assert len(set(first.split())) == 2  # two models
        assert ask(page, 4, again=True) == first
        assert visit.violations(axe_script) == []
        assert page.locator("#result video").count() == 2
        page.locator("#save").click()
        with page.expect_download() as download:
            page.locator("#download").click()
        download.value.save_as(tmp_path / "saved.zip")
        command = page.locator("#result pre").first.text_content() or ""
        assert page.evaluate("() => top.executed ?? 0") == 0
        assert visit.elsewhere(app.address) == []
        assert visit.complaints == []
        assert visit.sideways() == 0
    ZipFile(tmp_path / "saved.zip").extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    run_shown(command)
    saved = np.load("completions_1/tokens.npy")
    assert np.array_equal(saved, np.load("again/tokens.npy")[:1])


def test_a_telephone_in_the_dark(app: App, chromium: Chromium, axe_script: str) -> None:
    with chromium.visit(app.address, TELEPHONE, touch=True, colours="dark") as visit:
        page = ready(visit)
        page.locator("#kind").get_by_label("the left columns").tap()
        page.wait_for_selector("figure.given[data-axis=x][data-count='4']")
        ask(page, 1)
        assert visit.violations(axe_script) == []
        assert visit.sideways() == 0
        assert visit.elsewhere(app.address) == []


def test_keys_alone(app: App, chromium: Chromium) -> None:
    with chromium.visit(app.address) as visit:
        page = ready(visit)
        page.locator("#kind input").first.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("figure.given[data-axis=x][data-count='4']")
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate(f"() => document.activeElement === document.querySelector('{SLIDER}')"):
                break
        for _ in range(2):
            page.keyboard.press("ArrowRight")
        assert page.locator(SLIDER).input_value() == "3"
        assert "75%" in (page.locator("figure.given").get_attribute("style") or "")
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("() => document.activeElement.id === 'go'"):
                break
        page.keyboard.press("Enter")
        page.wait_for_selector("#result h3")


def test_two_browsers_get_the_answers_of_the_command_line(
    app: App, chromium: Chromium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ask at the same time, again and again; each answer is that of its seed, whoever asked for it."""
    monkeypatch.chdir(tmp_path)
    digests: dict[int, set[str]] = {}
    with chromium.visit(app.address) as one, chromium.visit(app.address) as two:
        pages = [ready(one), ready(two)]
        for turn in range(5):
            asked = list(zip(pages, (turn % 3, (turn + 1) % 3), strict=True))
            for page, seed in asked:
                page.locator("#seed input").fill(str(seed))
                page.locator("#go").click()
            for page, seed in asked:
                page.wait_for_function(ANSWERED.format(seed))
                found = page.evaluate("document.querySelector('.answer').dataset.digest")
                digests.setdefault(seed, set()).add(found)
        command = pages[1].locator("#result pre").first.text_content() or ""
    assert digests == {seed: {digest_of_command(command, seed)} for seed in range(3)}


def digest_of_command(command: str, seed: int) -> str:
    """Run the command that a page shows with another seed; return what the app would show of its first item."""
    out = f"again_{seed}"
    run_shown(command, "--seed", str(seed), "--out", out)
    tokens = np.load(Path(out) / "tokens.npy")[0].astype(np.int64)
    return hashlib.sha256(tokens.tobytes()).hexdigest()[:8]


def run_shown(command: str, *more: str) -> None:
    """Run a command that a page shows. Names that hide something are quoted in it in the way of bash."""
    words = subprocess.run(["bash", "-c", f"printf '%s\\0' {command}"], check=True, capture_output=True).stdout
    secondsight.main([*[os.fsdecode(word) for word in words.split(b"\0")[1:-1]], *more])


def test_whoever_waits_for_the_models_sees_how_many_come_before_and_can_stop(app: App) -> None:
    with urllib.request.urlopen(f"{app.address}config") as answer:
        config = json.load(answer)
    names = {each["id"]: each["props"].get("elem_id") for each in config["components"]} | {None: "page"}
    shown = {
        names[event["targets"][0][0]]: [names[component] for component in event["show_progress_on"]]
        for event in config["dependencies"]
        if event["show_progress"] == "minimal"
    }
    assert shown == {
        "go": ["status"],
        "save": ["status"],
        "memory-go": ["memory-status"],
        "physics-show": ["physics-status"],
        "physics-ask": ["physics-status"],
    }
    cancelling = [event for event in config["dependencies"] if event["cancels"]]
    assert {names[event["targets"][0][0]]: len(event["cancels"]) for event in cancelling} == {
        "stop": 2,  # asking, and saving
        "memory-stop": 1,
        "physics-stop": 2,  # showing, and measuring
    }


def test_an_upload_that_is_none_is_a_sentence(app: App, chromium: Chromium, tmp_path: Path) -> None:
    damaged = tmp_path / "<b>damaged.png"
    damaged.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with chromium.visit(app.address) as visit:
        page = ready(visit)
        with page.expect_file_chooser() as chosen:
            page.locator("#upload").click()
        chosen.value.set_files(damaged)
        page.wait_for_selector("#status .error")
        said = page.locator("#status").inner_text()
        assert "damaged.png: " in said
        assert "Traceback" not in said
        ask(page, 2)


def test_what_is_stopped_says_so(app: App, chromium: Chromium) -> None:
    with chromium.visit(app.address) as visit:
        page = ready(visit)
        page.evaluate(
            "() => new MutationObserver(() => { if (document.querySelector('#result .drawings'))"
            " document.querySelector('#stop').click(); })"
            ".observe(document.querySelector('#result'), {subtree: true, childList: true})"
        )
        page.locator("#n input[type=number]").fill("8")
        page.locator("#go").click()
        page.wait_for_function(
            "() => ['Stopped.', 'Done.'].includes(document.querySelector('#status').textContent.trim())"
        )


def test_a_person_takes_the_test_with_the_keyboard_alone(app: App, chromium: Chromium, axe_script: str) -> None:
    with chromium.visit(app.address, TELEPHONE, colours="dark") as visit:
        page = visit.page
        page.get_by_role("tab", name="Remember").press("Enter")
        page.locator("#memory-trials input[type=number]").fill("2")
        page.locator("#memory-exposures input[type=number]").fill("1")
        page.locator("#memory-exposures input[type=number]").press("Tab")
        page.locator("#memory-go").press("Enter")
        page.locator("#memory-begin").wait_for()  # a key can be sent to what is not seen
        page.locator("#memory-begin").press("Enter")
        for number in (1, 2):
            page.get_by_text(f"Choice {number} of 2").wait_for()
            page.locator("#memory-left").wait_for()
            page.locator("#memory-left").press("Enter")
        page.get_by_text("Guessing is right in").wait_for()
        rows = page.locator("#memory-shown table").first.locator("tbody tr")
        assert [cell.split()[0] for cell in rows.all_inner_texts()] == ["you", "the", "the", "the"]
        assert visit.violations(axe_script) == []
        assert visit.sideways() == 0
        assert visit.elsewhere(app.address) == []
        assert visit.complaints == []


def test_films_of_ones_own_are_compared_and_damaged_ones_are_said(
    app: App, chromium: Chromium, axe_script: str, tmp_path: Path
) -> None:
    films = [make_video(tmp_path / f"film_{seed}.mp4", 12, 8, image=lambda i, s=seed: noise(i + s)) for seed in (0, 50)]
    hurt = cut(films[0], tmp_path / "<img src=x onerror=alert(1)>.mp4".replace("/", ""))
    with chromium.visit(app.address, WIDE) as visit:
        page = visit.page
        page.get_by_role("tab", name="Be surprised").click()
        page.get_by_label("films of my own").check()
        for number, file in ((1, hurt), (1, films[0]), (2, films[1])):
            chooser = page.locator(f"#physics-{number}")
            with page.expect_file_chooser() as chosen:
                chooser.click()
            chosen.value.set_files(file)
            words = "is cut short" if file == hurt else f"Uploaded the {('first', 'second')[number - 1]} film: 1.50 s"
            page.locator("#physics-status", has_text=words).wait_for()
        page.locator("#physics-show").click()
        page.locator("#physics-films video").nth(1).wait_for()
        page.get_by_label("the second", exact=True).check()
        page.locator("#physics-ask").click()
        page.get_by_text("What it does not mean").wait_for()
        assert re.search(r"bits per token", page.locator("#physics-result svg").get_attribute("aria-label") or "")
        assert page.locator("#physics-result img[src=x]").count() == 0
        assert visit.violations(axe_script) == []
        assert visit.sideways() == 0
        assert visit.elsewhere(app.address) == []
        assert visit.complaints == []
    assert app.uploads() == []


def test_pictures_of_ones_own_are_studied(app: App, chromium: Chromium, axe_script: str, tmp_path: Path) -> None:
    pictures = []
    for seed in range(4):
        Image.fromarray(noise(seed)).save(tmp_path / f"{seed}.png")
        pictures.append(tmp_path / f"{seed}.png")
    (tmp_path / "no.tar").write_bytes(b"nothing")
    with chromium.visit(app.address, WIDE) as visit:
        page = visit.page
        page.get_by_role("tab", name="Remember").click()
        page.get_by_label("pictures of my own").check()
        with page.expect_file_chooser() as chosen:
            page.locator("#memory-upload").click()
        chosen.value.set_files([*pictures, tmp_path / "no.tar"])
        page.locator("#memory-status", has_text="4 pictures uploaded").wait_for()
        assert "no.tar: is not a picture" in page.locator("#memory-status").inner_text()
        page.locator("#memory-go").click()
        page.locator("#memory-begin").wait_for()
        assert page.locator(".studied img").count() == 2
        assert visit.violations(axe_script) == []
        assert visit.complaints == []
    assert app.uploads() == []


def test_what_is_larger_than_the_bound_is_refused_while_it_arrives(app: App) -> None:
    """As a file of 4 GB would be: most of it is never sent."""
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="large.png"\r\n\r\n'
    server = http.client.HTTPConnection(urlsplit(app.address).netloc)
    server.putrequest("POST", "/gradio_api/upload")
    server.putheader("Content-Type", "multipart/form-data; boundary=x")
    server.putheader("Content-Length", str(len(head) + (4 << 30)))
    server.endheaders(head)
    for _ in range(1 + LIMITS.bytes // MEBIBYTE):
        server.send(bytes(MEBIBYTE))
    assert server.getresponse().status == 413
    server.close()
    assert [path for path in app.cache.rglob("*") if path.is_file() and path.stat().st_size > MEBIBYTE] == []
    with urllib.request.urlopen(app.address) as answer:
        assert answer.status == 200


def test_ctrl_c_ends_it(app: App) -> None:
    code, rest = app.end()
    assert code == 130
    assert "Traceback" not in rest
    assert rest.splitlines()[-1] == "secondsight: stopped; what was finished is kept"
