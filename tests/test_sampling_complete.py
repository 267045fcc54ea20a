"""Completing items: the files written, what they hold, and the pairs that are refused."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import FPS, GPT_SHORT, IMAGE, SHORT, make_clips, make_films, make_gpt, make_images, make_tokenizer

from data.errors import MediaError
from data.video import probe_video
from sampling.complete import complete
from sampling.completion import complete_clips
from sampling.config import CompleteOptions
from sampling.gallery import blank_rest
from sampling.prompts import MismatchError
from vqgan.config import VQGANConfig


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_films(tmp_path_factory.mktemp("films"), 2, frames=8)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("images"))


def save_models(folder: Path, config: VQGANConfig, **changes: Any) -> dict[str, Path]:
    tokenizer = make_tokenizer(config)
    tokenizer.save_pretrained(folder / "tokenizer")
    grid = tokenizer.grid(config.frames, 16, 16)
    known = replace(GPT_SHORT, **{"grid": grid, "tokenizer": tokenizer.fingerprint, **changes})
    make_gpt(known).save_pretrained(folder / "gpt")
    return {"gpt": folder / "gpt", "tokenizer": folder / "tokenizer"}


@pytest.fixture(scope="module")
def video_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return save_models(tmp_path_factory.mktemp("video"), SHORT)


@pytest.fixture(scope="module")
def image_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return save_models(tmp_path_factory.mktemp("image"), IMAGE)


@pytest.fixture(scope="module")
def half_clips(video_models: dict[str, Path], films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return complete(CompleteOptions(**video_models, out=tmp_path_factory.mktemp("out"), input=films, n=2))


@pytest.fixture(scope="module")
def half_images(image_models: dict[str, Path], images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    return complete(CompleteOptions(**image_models, out=out, input=images, prompt="half-image", n=2))


def test_clips_give_films_and_a_grid(half_clips: Path) -> None:
    assert {path.name for path in half_clips.iterdir()} == {
        "grid.png", "item_000.mp4", "item_000.gif", "item_001.mp4", "item_001.gif",
        "tokens.npy", "sample.json", "skipped.csv",
    }  # fmt: skip


def test_films_have_the_frames_of_a_clip(half_clips: Path) -> None:
    info = probe_video(half_clips / "item_000.mp4")
    assert (len(info.timestamps), info.duration) == (8, pytest.approx(8 / FPS))


def test_gifs_move(half_clips: Path) -> None:
    with Image.open(half_clips / "item_000.gif") as gif:
        assert gif.n_frames > 1


def test_images_give_a_grid_and_no_film(half_images: Path) -> None:
    assert {path.name for path in half_images.iterdir()} == {"grid.png", "tokens.npy", "sample.json", "skipped.csv"}


def test_the_grid_is_a_picture(half_images: Path) -> None:
    with Image.open(half_images / "grid.png") as grid:
        assert grid.width > grid.height > 3 * 128


@pytest.mark.parametrize(("folder", "shape"), [("half_clips", (2, 2, 32)), ("half_images", (3, 2, 16))])
def test_tokens_are_one_row_per_item_and_continuation(
    folder: str, shape: tuple[int, ...], request: pytest.FixtureRequest
) -> None:
    assert np.load(request.getfixturevalue(folder) / "tokens.npy").shape == shape


def test_the_record_says_how_to_do_it_again(half_clips: Path) -> None:
    record = json.loads((half_clips / "sample.json").read_text())
    assert record["options"]["seed"] == 0
    assert record["items"] == [{"source": f"film_{number}.mp4", "start": 0.0} for number in range(2)]
    assert (record["grid"], record["prompt_tokens"]) == ([2, 4, 4], 16)
    assert record["tokenizer"] == make_tokenizer(SHORT).fingerprint
    assert record["environment"]["packages"]["torch"]


def test_the_same_seed_gives_the_same_file(half_clips: Path, video_models: Any, films: Path, tmp_path: Path) -> None:
    again = complete(CompleteOptions(**video_models, out=tmp_path, input=films, n=2))
    assert (again / "tokens.npy").read_bytes() == (half_clips / "tokens.npy").read_bytes()


def test_another_seed_gives_other_tokens(half_clips: Path, video_models: Any, films: Path, tmp_path: Path) -> None:
    again = complete(CompleteOptions(**video_models, out=tmp_path, input=films, n=2, seed=1))
    assert not np.array_equal(np.load(again / "tokens.npy"), np.load(half_clips / "tokens.npy"))


def test_clips_are_imagined_from_nothing(video_models: Any, tmp_path: Path) -> None:
    out = complete(CompleteOptions(**video_models, out=tmp_path, prompt="none", n=3))
    assert np.load(out / "tokens.npy").shape == (1, 3, 32)
    assert (out / "item_000.mp4").exists()


def test_images_are_imagined_from_nothing(image_models: Any, tmp_path: Path) -> None:
    out = complete(CompleteOptions(**image_models, out=tmp_path, prompt="none", n=3))
    assert np.load(out / "tokens.npy").shape == (1, 3, 16)


def test_half_an_image_is_completed_by_models_of_clips(video_models: Any, images: Path, tmp_path: Path) -> None:
    out = complete(CompleteOptions(**video_models, out=tmp_path, input=images, prompt="half-image", n=1))
    assert np.load(out / "tokens.npy").shape == (3, 1, 16)


def test_items_are_spread_over_the_input(image_models: Any, images: Path, tmp_path: Path) -> None:
    options = CompleteOptions(**image_models, out=tmp_path, input=images, prompt="half-image", n=1, items=1)
    assert len(np.load(complete(options) / "tokens.npy")) == 1


def test_files_that_cannot_be_used_are_listed(image_models: Any, tmp_path: Path) -> None:
    images = make_images(tmp_path / "images")
    (images / "broken.png").write_bytes(b"no picture")
    complete(CompleteOptions(**image_models, out=tmp_path / "out", input=images, prompt="half-image", n=1))
    with (tmp_path / "out" / "skipped.csv").open() as file:
        assert [row["file"] for row in csv.DictReader(file)] == ["broken.png"]


def test_bad_files_beside_the_chosen_item_do_not_stop_it(image_models: Any, tmp_path: Path) -> None:
    images = make_images(tmp_path / "images")
    for number in range(2):
        (images / f"broken_{number}.png").write_bytes(b"no picture")
    options = CompleteOptions(**image_models, out=tmp_path / "out", input=images, prompt="half-image", n=1, items=1)
    assert complete(options).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"vocab_size": 40}, "the GPT knows 40 tokens, the tokenizer makes 32"),
     ({"grid": (1, 4, 4)}, r"grids of \(2, 4, 4\) do not fit a GPT that learned grids of \(1, 4, 4\)"),
     ({"tokenizer": "another"}, "the GPT learned the tokens of tokenizer another")],
)  # fmt: skip
def test_models_that_do_not_belong_together_are_refused(
    change: dict[str, Any], message: str, films: Path, tmp_path: Path
) -> None:
    with pytest.raises(MismatchError, match=message):
        complete(CompleteOptions(**save_models(tmp_path, SHORT, **change), out=tmp_path / "out", input=films))


def test_half_a_clip_of_an_image_is_refused(image_models: Any, images: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="half a clip cannot be given of a still image"):
        complete(CompleteOptions(**image_models, out=tmp_path, input=images, prompt="half-clip"))


def test_a_film_shorter_than_a_clip_is_refused(video_models: Any, tmp_path: Path) -> None:
    films = make_films(tmp_path / "films", 1, frames=4)
    with pytest.raises(MediaError, match=r"lasts 0\.50 s, a clip 1\.00 s"):
        complete(CompleteOptions(**video_models, out=tmp_path / "out", input=films))


def test_a_prompt_without_input_is_refused(video_models: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--prompt half-clip needs --input"):
        CompleteOptions(**video_models, out=tmp_path)


@pytest.mark.parametrize("option", ["n", "items"])
def test_no_continuation_or_item_is_refused(option: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"--{option} 0 must be at least 1"):
        CompleteOptions(tmp_path, tmp_path, tmp_path, prompt="none", **{option: 0})


def test_a_sampling_option_out_of_range_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--top-k -1 must not be negative"):
        CompleteOptions(tmp_path, tmp_path, tmp_path, prompt="none", top_k=-1)


def test_the_given_half_shows_the_prompt_decoded() -> None:
    tokenizer, clips = make_tokenizer(SHORT), make_clips(2, 8)
    completion = complete_clips(make_gpt(), tokenizer, clips, "half-clip", n=2)
    decoded = tokenizer.decode(tokenizer.encode(clips[:, :, :4]))
    torch.testing.assert_close(completion.continuations[:, :, :, :4], decoded[:, None].expand(-1, 2, -1, -1, -1, -1))


def test_the_truth_is_the_tokens_of_the_originals() -> None:
    tokenizer, clips = make_tokenizer(SHORT), make_clips(2, 8)
    completion = complete_clips(make_gpt(), tokenizer, clips, "half-clip", n=1)
    assert torch.equal(completion.truth, tokenizer.encode(clips).flatten(1))


def test_what_was_not_given_is_shown_in_grey() -> None:
    clip = make_clips(1, 8)[0]
    shown = blank_rest(clip, "half-clip")
    assert torch.equal(shown[:, :4], clip[:, :4])
    assert not shown[:, 4:].any()
