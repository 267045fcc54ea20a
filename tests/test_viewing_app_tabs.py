"""What the tabs do with what people bring and ask, one event after another, as Gradio calls them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import gradio as gr
import pytest
import torch
from app_models import make_models
from media import make_video, noise
from PIL import Image
from tiny import IMAGE, SHORT

from viewing.app.completing import UPLOAD, Asked, CompletionTab
from viewing.app.jobs import Worker
from viewing.app.memory_tab import TOYS, UPLOADS, MemoryTab
from viewing.app.models import Models, Pair
from viewing.app.physics_tab import NAMES, NO_GUESS, Brought, PhysicsTab
from viewing.app.sessions import Sessions
from viewing.app.sitting import Sitting

VISITOR = gr.Request(session_hash="visitor")
DEFECT = "Something went wrong"


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """A tiny model of still images."""
    return make_models(tmp_path_factory.mktemp("stills"), IMAGE)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """A tiny model of clips."""
    return make_models(tmp_path_factory.mktemp("clips"), SHORT)


@pytest.fixture
def worker() -> Iterator[Worker]:
    """The thread that asks models."""
    made = Worker(300)
    yield made
    made.close()


@pytest.fixture
def completion(stills: Models, worker: Worker, tmp_path: Path) -> CompletionTab:
    """The completion tab, with nothing to choose from."""
    return CompletionTab(stills, {pair.name: [] for pair in stills.pairs}, Sessions(tmp_path / "sessions"), worker)


def picture(folder: Path, seed: int) -> Path:
    """Write a picture of coloured noise."""
    folder.mkdir(exist_ok=True)
    Image.fromarray(noise(seed)).save(folder / f"{seed}.png")
    return folder / f"{seed}.png"


def upload(tab: CompletionTab, file: Path) -> str:
    """Upload a file to the completion tab; return what it says."""
    return str(tab.upload(VISITOR, str(file), tab.models.pairs[0].name, "rows", 1)[-1])


def ask(tab: CompletionTab) -> str:
    """Ask to continue the upload; return what the tab says last."""
    asked = Asked(tab.models.pairs[0].name, UPLOAD, "rows", 2, 1, 1.0, 0, 1.0, 0.0, 3)
    return str(list(tab.run(VISITOR, *asked))[-1][0])


def saved(tab: CompletionTab) -> bytes:
    """Save the newest answer; return the input that the archive holds."""
    said, button = tab.save(VISITOR)
    assert "Saved" in said
    with ZipFile(button.value["path"] if isinstance(button.value, dict) else button.value) as archive:
        (name,) = [name for name in archive.namelist() if name.startswith("input/") and not name.endswith("/")]
        return archive.read(name)


def test_what_is_saved_holds_the_upload_that_was_continued(completion: CompletionTab, tmp_path: Path) -> None:
    first, second = (picture(tmp_path / "brought", seed) for seed in (1, 2))
    content = first.read_bytes()
    upload(completion, first)
    assert "Done." in ask(completion)
    upload(completion, second)
    assert saved(completion) == content


def test_an_upload_that_is_refused_leaves_the_one_before(completion: CompletionTab, tmp_path: Path) -> None:
    upload(completion, picture(tmp_path / "brought", 1))
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"nothing")
    assert "damaged.png: " in upload(completion, damaged)
    assert "Done." in ask(completion)


def test_uploads_that_nothing_needs_any_more_are_removed(completion: CompletionTab, tmp_path: Path) -> None:
    for seed in range(4):
        upload(completion, picture(tmp_path / "brought", seed))
    ask(completion)
    for seed in range(4, 8):
        upload(completion, picture(tmp_path / "brought", seed))
    folder = completion.sessions.find(VISITOR.session_hash).folder
    assert len(list(folder.rglob("*.png"))) == 2  # the newest, and the one that is answered


def bring(tab: MemoryTab, folder: Path, count: int) -> list[torch.Tensor]:
    """Upload pictures to the memory tab."""
    files = [str(picture(folder, seed)) for seed in range(count)]
    return tab.upload(files, tab.models.pairs[0].name)[0]


def study(tab: MemoryTab, source: str, pictures: list[torch.Tensor], **changes: float | None) -> list[Any]:
    """Let the model study; return what the tab shows last."""
    fields: dict[str, Any] = {"trials": 2, "exposures": 1, "rate": 1e-3, "seed": 0} | changes
    return list(tab.study(VISITOR, tab.models.pairs[0].name, source, "novel", *fields.values(), pictures))[-1]


def test_of_pictures_of_ones_own_one_half_is_studied(stills: Models, worker: Worker, tmp_path: Path) -> None:
    """However many toys are chosen to be studied, which is not asked of these."""
    tab = MemoryTab(stills, Sessions(tmp_path), worker)
    sitting = study(tab, UPLOADS, bring(tab, tmp_path / "brought", 10))[0]
    assert isinstance(sitting, Sitting)
    assert len(sitting.study.trials) == 5


def test_every_picture_that_is_left_out_is_counted(stills: Models, worker: Worker, tmp_path: Path) -> None:
    tab = MemoryTab(stills, Sessions(tmp_path), worker)
    files = [tmp_path / f"{number}.txt" for number in range(9)]
    for file in files:
        file.write_text("no picture")
    said = tab.upload([*map(str, files), str(picture(tmp_path, 1))], stills.pairs[0].name)[1]
    assert "1 picture uploaded" in said
    assert len(re.findall(r"\d\.txt: ", said)) == 5
    assert "4 more are left out" in said


@pytest.mark.parametrize("field", ["trials", "exposures", "rate", "seed"])
def test_an_empty_field_is_no_defect(field: str, stills: Models, worker: Worker, tmp_path: Path) -> None:
    said = study(MemoryTab(stills, Sessions(tmp_path), worker), TOYS, [], **{field: None})[1]
    assert "A field is empty: fill it in" in said


def test_an_empty_number_of_a_scene_is_no_defect(clips: Models, worker: Worker, tmp_path: Path) -> None:
    tab = PhysicsTab(clips, Sessions(tmp_path), worker)
    said = tab.show(VISITOR, clips.pairs[0].name, "scene", "permanence", False, None, None, None)[1]
    assert "A field is empty: fill it in" in said


def test_films_are_shown_to_the_model_that_they_were_uploaded_for(
    clips: Models, worker: Worker, tmp_path: Path
) -> None:
    pair = clips.pairs[0]
    other = replace(pair, name="other", clip_format=replace(pair.clip_format, fps=4.0))
    tab = PhysicsTab(Models((pair, other)), Sessions(tmp_path), worker)
    films = upload_films(tab, pair, tmp_path)
    shown, said, *_ = tab.show(VISITOR, "other", "uploads", "permanence", False, 0, *films)
    assert shown is None
    assert "The films were uploaded for another model: upload them again for other" in said
    assert tab.show(VISITOR, pair.name, "uploads", "permanence", False, 0, *films)[0].films.levels[0].shape[1] == 12


def test_a_guess_about_the_films_before_is_forgotten(clips: Models, worker: Worker, tmp_path: Path) -> None:
    tab = PhysicsTab(clips, Sessions(tmp_path), worker)
    pair = clips.pairs[0]
    *_, guess = tab.show(VISITOR, pair.name, "uploads", "permanence", False, 0, *upload_films(tab, pair, tmp_path))
    assert guess == NO_GUESS


def upload_films(tab: PhysicsTab, pair: Pair, folder: Path) -> list[Brought]:
    """Return two films of 12 frames that were uploaded for a model."""
    films = []
    for number, name in enumerate(NAMES):
        film = make_video(folder / f"{number}.mp4", 12, 8, image=lambda frame, seed=number: noise(frame + 50 * seed))
        films.append(tab.upload(name, str(film), pair.name)[0])
    return films
