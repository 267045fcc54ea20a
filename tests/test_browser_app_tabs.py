"""The memory and the physics tab in a browser: a person takes the test, and asks which film surprises a model."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from app_models import save_pair
from browsing import TELEPHONE, WIDE, Chromium
from media import make_video, noise
from media_kinds import cut
from PIL import Image
from tiny import SHORT

BOUND = 1 << 20
"""Bytes of an upload, so few that a test can send more."""
PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
from viewing.app import serve

if __name__ == "__main__":
    gpt, tokenizer, bound = sys.argv[1:]
    serve.LIMITS = replace(serve.LIMITS, bytes=int(bound))
    models = {"gpt": (Path(gpt),), "tokenizer": (Path(tokenizer),), "sampling_precision": "fp32"}
    serve.serve_app(serve.AppOptions(**models, port=0))
"""
BOUNDARY = "x" * 24


@dataclass
class Running:
    """A server."""

    address: str
    cache: Path

    def files(self) -> list[Path]:
        """Return what is left of uploads."""
        return [path for path in self.cache.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The app with a tiny model of clips and a small bound on uploads, in a process of its own."""
    gpt, tokenizer = save_pair(tmp_path_factory.mktemp("models"), SHORT)
    cache = tmp_path_factory.mktemp("cache")
    environment = {**os.environ, "TMPDIR": str(cache)}
    command = [sys.executable, "-c", PROGRAM, str(gpt), str(tokenizer), str(BOUND)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Running(next(line.split()[1] for line in process.stdout if line.startswith("open ")), cache)
        finally:
            process.kill()


def test_a_person_takes_the_test_with_the_keyboard_alone(app: Running, chromium: Chromium) -> None:
    with chromium.visit(app.address, TELEPHONE, colours="dark") as visit:
        page = visit.page
        page.get_by_role("tab", name="Memory").press("Enter")
        page.locator("#memory-trials input[type=number]").fill("2")
        page.locator("#memory-exposures input[type=number]").fill("1")
        page.locator("#memory-exposures input[type=number]").press("Tab")
        page.locator("#memory-go").press("Enter")
        page.locator("#memory-begin").press("Enter")
        for number in (1, 2):
            page.get_by_text(f"Choice {number} of 2").wait_for()
            page.locator("#memory-left").press("Enter")
        page.get_by_text("Guessing is right in").wait_for()
        rows = page.locator("#memory-shown table").first.locator("tbody tr")
        assert [cell.split()[0] for cell in rows.all_inner_texts()] == ["you", "the", "the", "the"]
        assert page.locator("#memory-shown img:not([alt])").count() == 0
        assert visit.sideways() == 0
        assert visit.elsewhere(app.address) == []
        assert visit.complaints == []


def test_films_of_ones_own_are_compared_and_damaged_ones_are_said(
    app: Running, chromium: Chromium, tmp_path: Path
) -> None:
    films = [make_video(tmp_path / f"film_{seed}.mp4", 12, 8, image=lambda i, s=seed: noise(i + s)) for seed in (0, 50)]
    hurt = cut(films[0], tmp_path / "<img src=x onerror=alert(1)>.mp4".replace("/", ""))
    with chromium.visit(app.address, WIDE) as visit:
        page = visit.page
        page.get_by_role("tab", name="Physics").click()
        page.get_by_label("films of my own").check()
        for number, file in ((1, hurt), (1, films[0]), (2, films[1])):
            chooser = page.locator(f"#physics-{number}")
            with page.expect_file_chooser() as chosen:
                chooser.click()
            chosen.value.set_files(file)
            words = "is cut short" if file == hurt else "Uploaded: 1.50 s"
            page.locator("#physics-status", has_text=words).wait_for()
        page.locator("#physics-show").click()
        page.locator("#physics-films video").nth(1).wait_for()
        page.get_by_label("the second", exact=True).check()
        page.locator("#physics-ask").click()
        page.get_by_text("What it does not mean").wait_for()
        assert re.search(r"bits per token", page.locator("#physics-result svg").get_attribute("aria-label") or "")
        assert page.locator("#physics-result img[src=x]").count() == 0
        assert visit.sideways() == 0
        assert visit.elsewhere(app.address) == []
        assert visit.complaints == []
    assert [path for path in app.files() if path.suffix == ".mp4"] == []


def test_an_upload_over_the_bound_is_refused_and_nothing_of_it_is_kept(app: Running) -> None:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    body = head.encode() + bytes(4 * BOUND) + f"\r\n--{BOUNDARY}--\r\n".encode()
    request = urllib.request.Request(
        f"{app.address}gradio_api/upload",
        body,
        {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
    )
    before = app.files()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(request)
    assert app.files() == before
    assert urllib.request.urlopen(app.address).status == 200


def test_pictures_of_ones_own_are_studied(app: Running, chromium: Chromium, tmp_path: Path) -> None:
    pictures = []
    for seed in range(4):
        Image.fromarray(noise(seed)).save(tmp_path / f"{seed}.png")
        pictures.append(tmp_path / f"{seed}.png")
    (tmp_path / "no.tar").write_bytes(b"nothing")
    with chromium.visit(app.address, WIDE) as visit:
        page = visit.page
        page.get_by_role("tab", name="Memory").click()
        page.get_by_label("pictures of my own").check()
        page.locator("#memory-upload input[type=file]").set_input_files([*pictures, tmp_path / "no.tar"])
        page.locator("#memory-status", has_text="4 pictures uploaded").wait_for()
        assert "no.tar: is not a picture" in page.locator("#memory-status").inner_text()
        page.locator("#memory-go").click()
        page.locator("#memory-begin").wait_for()
        assert page.locator(".studied img").count() == 2
        assert visit.complaints == []
    assert [path for path in app.files() if path.suffix in (".png", ".tar")] == []
