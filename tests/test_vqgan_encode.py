"""Encoding a data set: a store whose tokens are those of the clips."""

import csv
from pathlib import Path

import pytest
import torch
from tiny import IMAGE, SHORT, make_films, make_images, make_tokenizer

from data.errors import MediaError
from data.tokens import TokenStore
from data.video import read_clip
from vqgan.config import EncodeOptions
from vqgan.encode import encode


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_films(tmp_path_factory.mktemp("films"), count=3, frames=16)


@pytest.fixture(scope="module")
def store(films: Path, tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> TokenStore:
    return TokenStore(encode(EncodeOptions(tokenizer, films, tmp_path_factory.mktemp("store"))))


def test_every_clip_of_every_film_is_an_item(store: TokenStore) -> None:
    expected = [(f"film_{number}.mp4", start) for number in range(3) for start in (0.0, 1.0)]
    assert [(item.source, item.start) for item in store.items] == expected


def test_the_tokens_are_those_of_the_clips(store: TokenStore, films: Path) -> None:
    clips = torch.stack([read_clip(films / item.source, item.start, 8, 8.0, 16) for item in store.items])
    assert torch.equal(store.read(range(len(store))), make_tokenizer(SHORT).encode(clips).flatten(1))


def test_the_metadata_says_what_the_tokens_are(store: TokenStore) -> None:
    metadata = store.metadata
    found = (metadata.grid, metadata.vocab_size, metadata.tokenizer, metadata.frames, metadata.fps, metadata.size)
    assert found == ((2, 4, 4), 32, make_tokenizer(SHORT).fingerprint, 8, 8.0, 16)


def test_the_metadata_names_the_decoder(store: TokenStore) -> None:
    assert store.metadata.decoder


def test_no_film_is_in_both_parts(store: TokenStore) -> None:
    sources = [{store.items[index].source for index in store.part(part)} for part in ("train", "validation")]
    assert all(sources)
    assert not sources[0] & sources[1]


def test_overlap_adds_shifted_clips(films: Path, tokenizer: Path, tmp_path: Path) -> None:
    store = TokenStore(encode(EncodeOptions(tokenizer, films, tmp_path, overlap=2)))
    assert [item.start for item in store.items[:3]] == [0.0, 0.5, 1.0]


def test_the_batch_does_not_change_the_tokens(store: TokenStore, films: Path, tokenizer: Path, tmp_path: Path) -> None:
    other = TokenStore(encode(EncodeOptions(tokenizer, films, tmp_path, batch=1)))
    assert torch.equal(other.read(range(6)), store.read(range(6)))


def test_images_are_encoded_as_stills_by_a_tokenizer_of_clips(tokenizer: Path, tmp_path: Path) -> None:
    store = TokenStore(encode(EncodeOptions(tokenizer, make_images(tmp_path / "images"), tmp_path / "out")))
    assert store.metadata.grid == (1, 4, 4)


def test_an_image_tokenizer_names_the_decoder_of_films_too(films: Path, tmp_path: Path) -> None:
    make_tokenizer(IMAGE).save_pretrained(tmp_path / "tokenizer")
    assert TokenStore(encode(EncodeOptions(tmp_path / "tokenizer", films, tmp_path / "out"))).metadata.decoder


def test_files_that_cannot_be_used_are_listed(tokenizer: Path, tmp_path: Path) -> None:
    films = make_films(tmp_path / "films", 3)
    make_films(tmp_path / "more", 1, frames=4)
    (tmp_path / "more" / "film_0.mp4").rename(films / "short.mp4")
    (films / "broken.mp4").write_bytes(b"no film")
    encode(EncodeOptions(tokenizer, films, tmp_path / "out"))
    with (tmp_path / "out" / "skipped.csv").open() as file:
        assert {row["file"] for row in csv.DictReader(file)} == {"broken.mp4", "short.mp4"}


def test_almost_half_of_the_files_may_be_unusable(tokenizer: Path, tmp_path: Path) -> None:
    images = make_images(tmp_path / "images", 3)
    for number in range(3):
        (images / f"broken_{number}.png").write_bytes(b"no picture")
    assert len(TokenStore(encode(EncodeOptions(tokenizer, images, tmp_path / "out")))) == 3


def test_mostly_unusable_files_stop_it(tokenizer: Path, tmp_path: Path) -> None:
    films = make_films(tmp_path / "films", 2)
    for number in range(3):
        (films / f"broken_{number}.mp4").write_bytes(b"no film")
    with pytest.raises(MediaError, match="3 of 5 files"):
        encode(EncodeOptions(tokenizer, films, tmp_path / "out"))


def test_films_that_break_off_in_the_middle_stop_it_when_they_are_the_most(tokenizer: Path, tmp_path: Path) -> None:
    films = make_films(tmp_path / "films", 3)
    for number in range(2):
        damage(films / f"film_{number}.mp4")
    with pytest.raises(MediaError, match=r"4 of 6 clips cannot be read; the first: .*film_0"):
        encode(EncodeOptions(tokenizer, films, tmp_path / "out"))


def damage(film: Path) -> None:
    """Overwrites the last two thirds of the picture data."""
    data = bytearray(film.read_bytes())
    start = data.index(b"mdat") + 4
    first = start + (len(data) - start) // 3
    data[first:] = bytes(len(data) - first)
    film.write_bytes(data)


def test_an_overlap_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--overlap 0 must be at least 1"):
        EncodeOptions(tmp_path, tmp_path, tmp_path, overlap=0)
