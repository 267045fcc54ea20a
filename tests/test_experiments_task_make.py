"""The folder of a task: what is in it, and what keeps it from being made."""

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markupsafe import escape
from memory_lists import make_list
from people_tasks import NO_LIBRARIES, make_small_task, options_of
from PIL import Image

from data.images import load_image
from experiments.people.options import TaskOptions
from experiments.people.task.libraries import PACKAGES, Library, install_libraries
from experiments.people.task.make import make_task


def said_by(path: Path) -> Any:
    """The value in a script of the page."""
    return json.loads(path.read_text(encoding="utf-8").split(" = ", 1)[1].removesuffix(";\n"))


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a program in the place of npm."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def put(script: str) -> None:
        (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "npm").chmod(stat.S_IRWXU)

    return put


INSTALLING = """
echo "$@" > "$LOG"
cat package.json >> "$LOG"
for package in jspsych @jspsych/plugin-html-button-response @jspsych/plugin-preload; do
    mkdir -p "node_modules/$package/dist"
    echo "// $package" > "node_modules/$package/dist/index.browser.min.js"
    said='{"version": "1.2.3", "license": "MIT", "homepage": "https://jspsych.example"}'
    echo "$said" > "node_modules/$package/package.json"
done
touch package-lock.json
"""


def test_npm_is_asked_for_exact_versions_and_runs_no_scripts(
    npm: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    npm(INSTALLING)
    make_task(options_of(tmp_path))
    words, _, package = (tmp_path / "log").read_text().partition("\n")
    assert words.split() == [
        *("install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"),
        "--omit-lockfile-registry-resolved",
    ]
    assert json.loads(package)["dependencies"] == PACKAGES
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in PACKAGES.values())
    task = tmp_path / "task"
    assert (task / "lib" / "jspsych-plugin-preload.js").read_text() == "// @jspsych/plugin-preload\n"
    assert "jspsych 1.2.3, licence MIT, https://jspsych.example" in (task / "lib" / "README.txt").read_text()
    assert not (task / "node_modules").exists()


def test_without_npm_it_is_said_where_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = options_of(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"npm, which is not there: install Node\.js"):
        make_task(options)
    assert not options.out.exists()


def test_what_npm_complains_of_is_said(npm: Callable[[str], None], tmp_path: Path) -> None:
    npm("echo 'npm error code ENOTFOUND' >&2; exit 1")
    with pytest.raises(ValueError, match="npm could not install jsPsych: npm error code ENOTFOUND"):
        install_libraries(tmp_path)


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    options = options_of(tmp_path)
    options.out.mkdir()
    (options.out / "consent.html").write_text("mine")
    with pytest.raises(FileExistsError, match=r"is not empty: choose another --out \(texts that you have written"):
        make_task(options)
    assert (options.out / "consent.html").read_text() == "mine"


def test_no_paths_of_the_machine_are_in_a_folder_that_goes_public(
    npm: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    npm(INSTALLING)
    consent = tmp_path / "my consent.md"
    consent.write_text("# Consent")
    options = options_of(tmp_path, consent=consent)
    make_task(options)
    files = [path for path in options.out.rglob("*") if path.is_file()]
    assert not [path for path in files if str(tmp_path).encode() in path.read_bytes()]
    said = json.loads((options.out / "task.json").read_text())["command"]
    assert said == "secondsight memory task --out task --stimuli list --orders 2 --consent 'my consent.md'"


def test_scripts_of_a_network_are_checked(tmp_path: Path) -> None:
    libraries = [Library("jspsych", "8.3.0", "MIT", "", b"alert(1)")]
    page = (make_small_task(tmp_path, libraries, cdn=True)[0] / "index.html").read_text()
    source = "https://cdn.jsdelivr.net/npm/jspsych@8.3.0/dist/index.browser.min.js"
    # printf 'alert(1)' | openssl dgst -sha384 -binary | openssl base64 -A
    digest = "sha384-HT2E9NfWiuQ/w1PRai+hTyqW16NIoCGA/m8VQDUopfAtcz6YQjtsMmQd5uRbVDpW"
    assert f'<script src="{source}" integrity="{escape(digest)}" crossorigin="anonymous"></script>' in page
    assert "script-src &#39;self&#39; https://cdn.jsdelivr.net;" in page
    assert not (tmp_path / "task" / "lib").exists()


def test_the_page_may_tell_only_the_address_that_was_given(tmp_path: Path) -> None:
    task, _ = make_small_task(tmp_path, post="https://lab.example:8443/answers?study=1")
    page = (task / "index.html").read_text()
    assert "connect-src &#39;self&#39; https://lab.example:8443;" in page
    assert said_by(task / "collector.js") == "https://lab.example:8443/answers?study=1"


@pytest.mark.parametrize(
    ("post", "said"),
    [
        ("http://lab.example/answers", "would send answers unencrypted: give an https address"),
        ("lab.example", "must be an address such as"),
        ("https://lab.example; script-src *", "must be an address such as"),
        ("https://lab.example:port/", "is no address"),
        ("javascript:alert(1)", "must be an address such as"),
    ],
)
def test_an_address_that_answers_cannot_go_to_is_refused(post: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        options_of(tmp_path, post=post)


def test_answers_may_go_to_a_program_on_this_machine(tmp_path: Path) -> None:
    assert options_of(tmp_path, post="http://127.0.0.1:9000/x").post


def test_the_same_options_give_the_same_task_and_another_seed_another(tmp_path: Path) -> None:
    first, _ = make_small_task(tmp_path)
    again, _ = make_small_task(tmp_path, out=tmp_path / "again")
    other, _ = make_small_task(tmp_path, out=tmp_path / "other", seed=1)
    for name in ("list.js", "orders/000000.js", "orders/000001.js", "index.html"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
    assert (first / "orders" / "000000.js").read_bytes() != (first / "orders" / "000001.js").read_bytes()
    assert said_by(first / "list.js")["id"] != said_by(other / "list.js")["id"]


def test_both_versions_are_those_of_the_list(tmp_path: Path) -> None:
    task, design = make_small_task(tmp_path)
    said = said_by(task / "list.js")
    paths = [image["path"] for image in said["images"]]
    for version, listed in design.versions.items():
        assert [paths[index] for index in said["study"][version]] == [image.path for image in listed.study]
    assert list(said["study"]) == ["as_given", "swapped"]
    assert [(paths[each["studied"]], paths[each["foil"]]) for each in said["trials"]] == [
        (trial.studied.path, trial.foil.path) for trial in design.given.trials
    ]


def test_names_of_pictures_do_not_tell_what_was_studied(tmp_path: Path) -> None:
    task, design = make_small_task(tmp_path)
    names = [path.name for path in (task / "images").iterdir()]
    assert len(names) == len(design.images)
    assert all(re.fullmatch(r"[0-9a-f]{16}\.png", name) for name in names)


def save_odd(path: Path, kind: str) -> None:
    """Save an image that browsers show otherwise than models see it, or not at all."""
    pixels = np.random.default_rng(3).integers(0, 256, (8, 6, 4), dtype=np.uint8)
    image = Image.fromarray(pixels, "RGBA")
    if kind == "turned":
        exif = Image.Exif()
        exif[274] = 6
        image.convert("RGB").save(path.with_suffix(".jpg"), exif=exif)
    elif kind == "transparent":
        image.save(path.with_suffix(".png"))
    else:
        image.convert("RGB").save(path.with_suffix(f".{kind}"))


@pytest.mark.parametrize("kind", ["turned", "transparent", "tiff", "bmp"])
def test_pictures_are_shown_as_models_see_them(kind: str, tmp_path: Path) -> None:
    stimuli = make_list(tmp_path / "list", 2, 2)
    save_odd(stimuli / "study" / "odd", kind)
    task, design = make_small_task(tmp_path)
    odd = next(image for image in design.given.study if "odd" in image.path)
    shown = Image.open(task / "images" / f"{odd.sha256[:16]}.png")
    assert shown.mode == "RGB"
    assert np.array_equal(np.asarray(shown), np.asarray(load_image(stimuli / odd.path)))


def test_a_plain_picture_is_copied_as_it_is(tmp_path: Path) -> None:
    stimuli = make_list(tmp_path / "list", 2, 2)
    noise = np.random.default_rng(5).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stimuli / "study" / "photo.JPG")
    task, design = make_small_task(tmp_path)
    photo = next(image for image in design.given.study if "photo" in image.path)
    copied = task / "images" / f"{photo.sha256[:16]}.jpg"
    assert copied.read_bytes() == (stimuli / photo.path).read_bytes()


def test_texts_to_fill_in_are_written(
    tmp_path: Path, npm: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOG", os.devnull)
    npm(INSTALLING)
    make_task(options_of(tmp_path))
    assert re.search(r"to fill in +\S+consent.html, \S+debriefing.html\n", capsys.readouterr().err)
    assert "[FILL IN: who, where" in (tmp_path / "task" / "consent.html").read_text()


def test_texts_of_the_experimenter_are_taken_over(tmp_path: Path) -> None:
    (tmp_path / "consent.md").write_text(
        "# Our study\n\nYou & we:\n<script>alert(1)</script>\n\n\n## Who\n", encoding="utf-8-sig"
    )
    (tmp_path / "end.html").write_bytes(b"<h1>Bye</h1>\xff")
    task, _ = make_small_task(tmp_path, consent=tmp_path / "consent.md", debriefing=tmp_path / "end.html")
    page = (task / "consent.html").read_text()
    assert "<h1>Our study</h1>" in page
    assert "<p>You &amp; we: &lt;script&gt;alert(1)&lt;/script&gt;</p>" in page
    assert "<h2>Who</h2>" in page
    assert (task / "debriefing.html").read_bytes() == b"<h1>Bye</h1>\xff"


def test_a_text_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "consent.txt").write_bytes("café".encode("latin-1"))
    with pytest.raises(ValueError, match=r"consent\.txt is no text in UTF-8: save it as such"):
        make_small_task(tmp_path, consent=tmp_path / "consent.txt")


def test_what_is_found_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_small_task(tmp_path)
    said = " ".join(capsys.readouterr().err.split())
    assert "list 18 studied images; trials: 3 novel, 3 state" in said
    assert "versions as given, and with studied images and foils swapped" in said
    assert "lags 1, 2, 4; none at 8, 16, 32, 64, 128, 256, 512, 1024" in said
    assert re.search(r"scripts \d+ kB in all, of which jsPsych 0", said)


def test_a_list_without_fillers_has_no_repeats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task, _ = make_small_task(tmp_path, fillers=0)
    assert "no picture may be repeated (--fillers, --repeats)" in capsys.readouterr().err
    assert "Some pictures come again" not in (task / "index.html").read_text()


def test_a_list_that_cannot_be_swapped_is_shown_as_given(tmp_path: Path) -> None:
    stimuli = make_list(tmp_path / "list", 2, 2)
    for side in ("seen", "unseen"):
        source = stimuli / "test" / f"state_{side}" / "state_0.png"
        (stimuli / "test" / f"other_{side}").mkdir()
        (stimuli / "test" / f"other_{side}" / "state_0.png").write_bytes(source.read_bytes())
    task, _ = make_small_task(tmp_path)
    assert list(said_by(task / "list.js")["study"]) == ["as_given"]
    assert json.loads((task / "task.json").read_text())["versions"] == ["as_given"]


@pytest.mark.parametrize("lags", [(), (1, 1)])
def test_lags_that_mean_nothing_are_refused(lags: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--lags needs at least one lag, each once"):
        TaskOptions.of(stimuli=tmp_path, out=tmp_path / "out", lags=lags)


def test_no_library_is_in_the_package() -> None:
    assert all(not library.content for library in NO_LIBRARIES)
    own = (Path(__file__).parents[1] / "experiments" / "people" / "task").rglob("*.js")
    assert sorted(path.name for path in own) == ["records.js", "task.js", "trials.js"]
