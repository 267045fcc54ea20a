"""Uploads of the app: read as the command line reads them, refused in a sentence, and gone afterwards."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from image_files import empty_png
from media import make_sound, make_video, noise
from media_kinds import cut, joined_streams
from PIL import Image

from data.clip_format import ClipFormat
from data.clips import ClipDataset
from data.items import find_items
from viewing.app.uploads import LIMITS, UploadError, private_cache, read_film, read_upload, upload_reader

CLIP = ClipFormat(8, 8.0, 16)
STILL = ClipFormat(1, 8.0, 16)
QUICK = replace(LIMITS, patience=60.0)


@dataclass(frozen=True)
class Reads:
    """A pair of models, as far as uploads are concerned."""

    clip_format: ClipFormat = CLIP


def film(folder: Path, name: str = "film.mp4", count: int = 24) -> Path:
    """Write a film of coloured noise."""
    return make_video(folder / name, count, 8, image=noise)


def copied(folder: Path, content: bytes) -> Path:
    """Write a film whose bytes are known."""
    path = folder / "film.mp4"
    path.write_bytes(content)
    return path


def picture(folder: Path, name: str = "picture.png") -> Path:
    """Write a picture of coloured noise."""
    Image.fromarray(noise(3)).save(folder / name)
    return folder / name


def refused(path: Path, **limits: float) -> str:
    """Return what is said of an upload that is refused; nothing of it is left then, and no path is told."""
    folder = path.parent
    with pytest.raises(UploadError) as caught:
        read_upload(path, Reads(), replace(QUICK, **limits))  # type: ignore[arg-type]
    assert list(folder.iterdir()) == []
    said = str(caught.value)
    assert str(folder) not in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize("form", [CLIP, STILL])
@pytest.mark.parametrize("make", [film, picture, lambda folder: joined_streams(folder / "joined.ts", 20)])
def test_an_upload_is_read_as_the_command_line_reads_the_file(
    tmp_path: Path, form: ClipFormat, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path)
    items, _ = find_items(path, form)
    wanted = ClipDataset(items, form).read(items[0])
    assert torch.equal(read_upload(path, Reads(form), QUICK), wanted)
    assert list(tmp_path.iterdir()) == []


def test_one_process_answers_for_each_of_several_films(tmp_path: Path) -> None:
    # The encoder need not make the same file of the same frames twice: each is written once, and copied.
    films = [film(tmp_path, count=count).read_bytes() for count in (24, 16, 12, 40)]
    wanted = [read_upload(copied(tmp_path, content), Reads(), QUICK) for content in films]
    with upload_reader(QUICK) as reader:
        found = [read_upload(copied(tmp_path, content), Reads(), QUICK, reader) for content in films]
    assert all(torch.equal(one, other) for one, other in zip(wanted, found, strict=True))


def test_a_film_is_read_from_its_beginning_as_far_as_it_goes(tmp_path: Path) -> None:
    content = film(tmp_path).read_bytes()
    whole = read_film(copied(tmp_path, content), replace(CLIP, frames=100), QUICK)
    assert whole.shape == (3, 24, 16, 16)
    assert torch.equal(read_film(copied(tmp_path, content), replace(CLIP, frames=10), QUICK), whole[:, :10])


def write(name: str, content: bytes) -> Callable[[Path], Path]:
    """Return what writes a file."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def archive(folder: Path) -> Path:
    """Write a tar shard with a picture in it."""
    inside = picture(folder)
    with tarfile.open(folder / "shard.tar", "w") as tar:
        tar.add(inside, "picture.png")
    inside.unlink()
    return folder / "shard.tar"


def halved(make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Return what writes the first half of a file."""

    def write_half(folder: Path) -> Path:
        path = make(folder)
        return cut(path, path)

    return write_half


def flipped(make: Callable[[Path], Path], place: float) -> Callable[[Path], Path]:
    """Return what writes a file with 16 bytes of rubbish in it."""

    def write_flipped(folder: Path) -> Path:
        path = make(folder)
        data = bytearray(path.read_bytes())
        start = int(place * len(data))
        data[start : start + 16] = b"\xff" * 16
        path.write_bytes(data)
        return path

    return write_flipped


def named(name: str, make: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Return what writes a file and gives it another name."""
    return lambda folder: make(folder).rename(folder / name)


DAMAGED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty": (write("a.png", b""), "empty"),
    "no suffix": (write("a", b"x" * 99), "no suffix"),
    "text": (write("a.txt", b"hello"), r"\.txt"),
    "a list of files": (write("a.csv", b"path\n/etc/hostname\n"), r"\.csv"),
    "tar": (archive, r"\.tar"),
    "tar as png": (named("shard.png", archive), "not an image"),
    "page as png": (write("a.png", b"<!doctype html><p>404"), "web page"),
    "page as mp4": (write("a.mp4", b"<!doctype html><p>404" * 99), "is not a"),
    "playlist as mp4": (write("a.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nb.ts\n"), "is not a"),
    "list of films as avi": (write("a.avi", b"ffconcat version 1.0\nfile 'b.mp4'\n"), "not a film"),
    "postscript as png": (write("a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "PostScript"),
    "half a png": (halved(picture), "damaged or cut short"),
    "flipped png": (flipped(picture, 0.5), "damaged or cut short"),
    "half a jpeg": (halved(lambda folder: picture(folder, "a.jpg")), "damaged or cut short"),
    "huge png": (write("a.png", empty_png(60_000, 60_000)), "pixels"),
    "half a film": (halved(film), "cut short"),
    "film without an index": (flipped(film, 0.95), "it|is"),
    "rubbish as film": (write("a.webm", np.random.default_rng(0).bytes(5000)), "is not a"),
    "sound as film": (lambda folder: make_sound(folder / "a.mp4"), "sound"),
    "picture as film": (named("a.mkv", picture), "is not a film"),
    "short film": (lambda folder: film(folder, count=4), "lasts 0.50 s"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_cannot_be_used_is_refused_in_a_sentence_and_removed(name: str, tmp_path: Path) -> None:
    make, said = DAMAGED[name]
    sentence = refused(make(tmp_path))
    assert re.search(said, sentence), sentence


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"bytes": 1000}, "bytes; at most"),
        ({"pixels": 64 * 48 - 1}, r"frames of 64x48 pixels; there may be 3,071"),
        ({"seconds": 2.9}, "lasts 3 s"),
        ({"frames": 23}, "24 frames; there may be 600 s and 23 frames"),
        ({"patience": 1e-6}, "took more than"),
    ],
)
def test_what_is_too_large_is_refused(limits: dict[str, float], said: str, tmp_path: Path) -> None:
    assert re.search(said, refused(film(tmp_path), **limits))


@pytest.mark.parametrize(
    "name", ["\x1b[31mred\u202egnp.png", "{a,b}.png", "a.png::b.png", "../../x.png", "%s" * 100 + ".png"]
)
def test_names_are_inert(name: str, tmp_path: Path) -> None:
    file = write(name.replace("/", "_"), b"nothing")(tmp_path)
    sentence = refused(file)
    assert sentence.isprintable()
    assert len(sentence) < 200


def test_a_file_that_is_gone_is_said(tmp_path: Path) -> None:
    assert "upload it again" in refused(tmp_path / "gone.png")


def test_the_cache_is_private_and_removed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "before")
    with private_cache() as folder:
        assert os.environ["GRADIO_TEMP_DIR"] == str(folder)
        assert folder.stat().st_mode & 0o077 == 0
        picture(folder)
    assert not folder.exists()
    assert os.environ["GRADIO_TEMP_DIR"] == "before"
