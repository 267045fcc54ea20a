"""What the app asks models, and what it saves: the same as `complete`, token for token."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from app_models import make_models
from tiny import IMAGE, SHORT, make_images, make_videos

import secondsight
from sampling.options import Prompt, SamplingOptions
from viewing.app.asking import Answer, Look, Question, ask_all
from viewing.app.examples import (
    NOTHING,
    Example,
    example_of_file,
    find_examples,
    keep_upload,
    make_examples,
    prompt_kinds,
)
from viewing.app.jobs import Job, Worker
from viewing.app.models import Models, Pair
from viewing.app.saving import command_of, save_answers
from viewing.app.uploads import UploadError

LIMIT = 200.0


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return make_models(tmp_path_factory.mktemp("clips"), SHORT)


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return make_models(tmp_path_factory.mktemp("stills"), IMAGE)


def answers_of(pairs: tuple[Pair, ...], question: Question) -> tuple[list[Answer], list[Look]]:
    worker = Worker(LIMIT)
    job: Job[Look, list[Answer]] = worker.start(lambda job: ask_all(pairs, question, job))
    looks = list(job.watch())
    worker.close()
    return job.result(), looks


def question(example: Example, prompt: Prompt, seed: int = 5, temperature: float = 0.9) -> Question:
    return Question(example, prompt, 2, SamplingOptions(temperature=temperature, top_p=0.9), seed)


def carried_out(command: str) -> Path:
    """The folder that a command of `complete` has written."""
    words = shlex.split(command)
    secondsight.main(words[1:])
    return Path(words[words.index("--out") + 1])


def test_an_answer_is_that_of_complete(clips: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    videos = make_videos(tmp_path / "videos", 3, frames=8, size=16)
    examples, _ = find_examples([videos], 3, clips.pairs[0].clip_format)
    (answer,), _ = answers_of(clips.pairs, question(examples[2], Prompt("frames", 1)))
    tokens = np.load(carried_out(command_of(answer)) / "tokens.npy")
    assert np.array_equal(answer.sampled.tokens.flatten(2).numpy(), tokens[2:])


@pytest.mark.parametrize("kind", ["rows", "left", "none"])
def test_what_is_saved_tells_how_to_make_it_again(
    kind: str, stills: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    form = stills.pairs[0].clip_format
    example = NOTHING if kind == "none" else make_examples(tmp_path / "rooms", form, 1)[0]
    prompt = Prompt("none") if kind == "none" else Prompt(kind, 0.25)  # type: ignore[arg-type]
    answers, _ = answers_of(stills.pairs, question(example, prompt))
    with ZipFile(save_answers(answers, tmp_path / "saved")) as archive:
        archive.extractall(tmp_path)
    saved = json.loads((tmp_path / "completions" / "sample.json").read_text())
    again = carried_out(saved["command"])
    names = sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to("completions") for path in Path("completions").rglob("*") if path.is_file())
    for name in ("tokens", "entropies", "log_probabilities"):
        first, second = (np.load(folder / f"{name}.npy") for folder in (Path("completions"), again))
        assert np.array_equal(first, second, equal_nan=True)


def test_two_models_answer_the_same_question(clips: Models, tmp_path: Path) -> None:
    other = make_models(tmp_path / "other", SHORT, seed=1).pairs[0]
    answers, _ = answers_of((clips.pairs[0], other), question(NOTHING, Prompt("none")))
    assert [answer.pair.gpt_path for answer in answers] == [clips.pairs[0].gpt_path, other.gpt_path]
    assert answers[0].digest != answers[1].digest
    with ZipFile(save_answers(answers, tmp_path / "saved")) as archive:
        folders = {name.split("/")[0] for name in archive.namelist()}
    assert folders == {"completions_1", "completions_2"}


def test_the_same_seed_draws_the_same_tokens(clips: Models) -> None:
    digests = [answers_of(clips.pairs, question(NOTHING, Prompt("none"), seed))[0][0].digest for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_looks_show_what_becomes_the_answer(clips: Models, tmp_path: Path) -> None:
    example = make_examples(tmp_path, clips.pairs[0].clip_format, 1)[0]
    answers, looks = answers_of(clips.pairs, question(example, Prompt("frames", 1)))
    assert looks
    assert 0 < looks[0].share <= 1
    tokens = answers[0].sampled.tokens[0]
    assert all(((look.tokens == -1) | (look.tokens == tokens)).all() for look in looks)


def test_what_can_be_given_depends_on_the_example(clips: Models, stills: Models, tmp_path: Path) -> None:
    form = clips.pairs[0].clip_format
    (room,) = make_examples(tmp_path / "clips", form, 1)
    image = example_of_file(next(make_images(tmp_path / "images").glob("*.png")), form)
    assert prompt_kinds(room, form) == ("frames", "left", "first-frame")
    assert prompt_kinds(image, form) == ("rows", "left", "first-frame")
    assert prompt_kinds(image, stills.pairs[0].clip_format) == ("rows", "left")
    assert prompt_kinds(NOTHING, form) == ("none",)


def test_an_upload_is_kept_under_a_name_of_our_own(
    stills: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (uploaded, *_) = make_images(tmp_path / "images").glob("*.png")
    uploaded = uploaded.rename(uploaded.with_name("\u202e<b>.PNG"))
    example = keep_upload(uploaded, stills.pairs[0], tmp_path / "session" / "upload")
    assert not uploaded.exists()
    assert [path.name for path in (tmp_path / "session" / "upload").iterdir()] == ["upload.png"]
    answers, _ = answers_of(stills.pairs, question(example, Prompt("rows", 0.5)))
    with ZipFile(save_answers(answers, tmp_path / "saved")) as archive:
        archive.extractall(tmp_path)
    again = np.load(carried_out(command_of(answers[0])) / "tokens.npy")
    assert np.array_equal(again, np.load("completions/tokens.npy"))


def test_of_an_upload_that_cannot_be_used_nothing_is_left(stills: Models, tmp_path: Path) -> None:
    uploaded = tmp_path / "upload.png"
    uploaded.write_bytes(b"no picture")
    with pytest.raises(UploadError, match=r"^upload.png: "):
        keep_upload(uploaded, stills.pairs[0], tmp_path / "session")
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_of_other_tokens_is_refused(clips: Models, stills: Models, refused: Callable[..., str]) -> None:
    words = ["app", "--gpt", str(clips.pairs[0].gpt_path), "--tokenizer", str(stills.pairs[0].tokenizer_path)]
    assert "the GPT learned the tokens of tokenizer" in refused(*words)
