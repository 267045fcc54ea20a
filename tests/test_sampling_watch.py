"""Samples on the way: token grids from nothing and from halves, drawn where the tokenizer is known, and a training that
they do not disturb.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tiny import (
    GPT_LEGACY,
    GPT_SHORT,
    IMAGE,
    SHORT,
    make_gpt,
    make_images,
    make_store,
    make_tokenizer,
    make_videos,
)

from data.drawing import CAPTION, MARGIN
from gpt.config import GPTConfig
from gpt.options import TrainOptions
from sampling.watch import draw_samples, find_tokenizer, take_samples, train_and_watch, write_samples
from storage.model_paths import CheckpointError
from vqgan.encode import encode
from vqgan.options import EncodeOptions

HELD = torch.randint(32, (6, 32), generator=torch.Generator().manual_seed(0))


def options_for(tokens: Path, out: Path, **changes: Any) -> TrainOptions:
    return TrainOptions.of(tokens=tokens, out=out, **{**GPT_SHORT.flat(), "steps": 2, "batch": 2, **changes})


@pytest.fixture
def encoded(tmp_path: Path) -> Path:
    """The token store of videos, beside the tokenizer that encoded it."""
    make_tokenizer(SHORT).save_pretrained(tmp_path / "tokenizer")
    videos = make_videos(tmp_path / "videos", 3, size=16)
    return encode(
        EncodeOptions(tokenizer=tmp_path / "tokenizer", data=videos, out=tmp_path / "store", overlap=2, workers=0)
    )


@pytest.mark.parametrize("config", [GPT_SHORT, GPT_LEGACY])
def test_grids_from_nothing_and_from_halves_are_taken(config: GPTConfig) -> None:
    grids = take_samples(make_gpt(config), HELD)
    assert grids.shape == (2, 4, 2, 4, 4)
    assert grids.min() >= 0
    assert grids.max() < 32


def test_the_first_half_of_a_clip_is_given() -> None:
    grids = take_samples(make_gpt(), HELD)
    assert torch.equal(grids[1, :, :1].flatten(1), HELD[:4, :16])
    assert not torch.equal(grids[1, :, 1:].flatten(1), HELD[:4, 16:])


def test_the_upper_half_of_an_image_is_given() -> None:
    grids = take_samples(make_gpt(replace(GPT_SHORT, grid=(1, 5, 4))), HELD[:, :20])
    assert torch.equal(grids[1, :, 0, :2].flatten(1), HELD[:4, :8])


def test_samples_are_the_same_each_time_and_leave_the_mode_as_it_was() -> None:
    model = make_gpt(replace(GPT_SHORT, dropout=0.5)).train()
    assert torch.equal(take_samples(model, HELD), take_samples(model, HELD))
    assert model.training


def test_samples_are_written_as_tokens_and_as_images(tmp_path: Path) -> None:
    gpt = make_gpt()
    write_samples(gpt, HELD, tmp_path / "samples" / "000002", make_tokenizer(SHORT))
    grids = np.load(tmp_path / "samples" / "000002.npy")
    assert grids.dtype == np.int32
    assert np.array_equal(grids, take_samples(gpt, HELD).numpy())
    assert [path.name for path in sorted((tmp_path / "samples").iterdir())] == ["000002.npy", "000002.png"]


def test_without_a_tokenizer_samples_are_tokens_alone(tmp_path: Path) -> None:
    write_samples(make_gpt(), HELD, tmp_path / "000002", None)
    assert [path.name for path in tmp_path.iterdir()] == ["000002.npy"]


def tile_width(image: Image.Image) -> int:
    """Width of the widest tile in a grid of one column, in multiples of its height."""
    return (image.width - 2 * MARGIN) // 96


def rows_in(image: Image.Image) -> int:
    return (image.height - MARGIN) // (96 + CAPTION + MARGIN)


def test_clips_are_drawn_as_film_strips_in_a_row_each() -> None:
    image = draw_samples(make_tokenizer(SHORT), take_samples(make_gpt(), HELD))
    assert (tile_width(image), rows_in(image)) == (8, 8)


@pytest.mark.parametrize("config", [SHORT, IMAGE], ids=["clips", "images"])
def test_stills_are_drawn_as_one_frame_also_by_a_tokenizer_of_clips(config: Any) -> None:
    grids = take_samples(make_gpt(replace(GPT_SHORT, grid=(1, 4, 4))), HELD[:, :16])
    image = draw_samples(make_tokenizer(config), grids)
    assert (tile_width(image), rows_in(image)) == (1, 8)


def test_the_tokenizer_that_was_named_is_taken(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(SHORT)
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    store = make_store(tmp_path / "store", tokenizer=tokenizer.fingerprint)
    found = find_tokenizer(options_for(store, tmp_path / "out", tokenizer=tmp_path / "tokenizer"))
    assert found is not None
    assert found.fingerprint == tokenizer.fingerprint


def test_the_tokenizer_that_encoded_the_store_is_found(encoded: Path, tmp_path: Path) -> None:
    found = find_tokenizer(options_for(encoded, tmp_path / "out"))
    assert found is not None
    assert found.fingerprint == make_tokenizer(SHORT).fingerprint


def test_a_foreign_tokenizer_that_was_named_is_refused_before_anything_is_trained(
    encoded: Path, tmp_path: Path
) -> None:
    make_tokenizer(SHORT, seed=1).save_pretrained(tmp_path / "other")
    options = options_for(encoded, tmp_path / "out", sample_every=1, tokenizer=tmp_path / "other")
    with pytest.raises(CheckpointError, match=r"--tokenizer .*other is .*, the tokens are those of .*: give the one"):
        train_and_watch(options)
    assert not (tmp_path / "out").exists()


def gone(tokenizer: Path) -> None:
    shutil.rmtree(tokenizer)


def trained_anew(tokenizer: Path) -> None:
    make_tokenizer(SHORT, seed=1).save_pretrained(tokenizer)


def damaged(tokenizer: Path) -> None:
    (tokenizer / "model.safetensors").write_bytes(b"half a file")


@pytest.mark.parametrize("happen", [gone, trained_anew, damaged])
def test_where_the_tokenizer_is_missing_one_line_says_so(
    encoded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], happen: Callable[[Path], None]
) -> None:
    happen(tmp_path / "tokenizer")
    capsys.readouterr()
    assert find_tokenizer(options_for(encoded, tmp_path / "out")) is None
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("samples      token grids only")
    assert "--tokenizer" in line


def test_a_store_without_a_record_of_its_encoding_has_no_tokenizer(tmp_path: Path) -> None:
    assert find_tokenizer(options_for(make_store(tmp_path / "store"), tmp_path / "out")) is None


def test_a_training_writes_its_samples(encoded: Path, tmp_path: Path) -> None:
    train_and_watch(options_for(encoded, tmp_path / "out", sample_every=1))
    names = ["000001.npy", "000001.png", "000002.npy", "000002.png"]
    assert [path.name for path in sorted((tmp_path / "out" / "samples").iterdir())] == names


@pytest.mark.parametrize("precision", ["fp32", "bf16!"])
def test_a_training_in_any_precision_takes_samples(precision: str, tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    train_and_watch(options_for(store, tmp_path / "out", sample_every=2, precision=precision))
    assert np.load(tmp_path / "out" / "samples" / "000002.npy").shape == (2, 3, 2, 4, 4)


def test_a_training_on_images_shows_images(tmp_path: Path) -> None:
    make_tokenizer(IMAGE).save_pretrained(tmp_path / "tokenizer")
    images = make_images(tmp_path / "images", 4)
    store = encode(EncodeOptions(tokenizer=tmp_path / "tokenizer", data=images, out=tmp_path / "store", workers=0))
    train_and_watch(options_for(store, tmp_path / "out", sample_every=2))
    with Image.open(tmp_path / "out" / "samples" / "000002.png") as image:
        assert tile_width(image) == 1


def test_a_training_without_samples_asks_for_no_tokenizer(
    encoded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone(tmp_path / "tokenizer")
    train_and_watch(options_for(encoded, tmp_path / "out"))
    assert not (tmp_path / "out" / "samples").exists()
    assert "token grids only" not in capsys.readouterr().err


def test_taking_samples_does_not_change_what_is_learned(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    options = options_for(store, tmp_path / "plain", steps=4, dropout=0.1)
    plain = load_file(train_and_watch(options) / "model.safetensors")
    watched = options.changed(out=tmp_path / "watched", sample_every=1)
    found = load_file(train_and_watch(watched) / "model.safetensors")
    assert all(torch.equal(plain[name], found[name]) for name in plain)
    assert np.load(tmp_path / "watched" / "samples" / "000004.npy").shape == (2, 3, 2, 4, 4)
