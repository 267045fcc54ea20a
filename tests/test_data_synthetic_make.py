"""`data synthetic`: files that hold their colours, continue after interruptions, and films of photographs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data.errors import MediaError
from data.images import image_to_clip, load_image
from data.options import SyntheticOptions
from data.probe import probe_video
from data.sources import ByteRange
from data.synthetic.make import make_synthetic, render_clip, render_still
from data.synthetic.photographs import find_photographs
from data.video import decode_clip


def small(out: Path, **options: Any) -> SyntheticOptions:
    return replace(SyntheticOptions(out, clips=2, stills=2, size=16, frames=2, seed=5), **options)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder of two photographs, red ones, one wide and one high."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number, shape in enumerate([(40, 90, 3), (90, 40, 3)]):
        pixels = np.full(shape, (200, 20 + number, 20), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_clips_stills_and_a_record_are_written(tmp_path: Path) -> None:
    make_synthetic(small(tmp_path))
    expected = {"clips/clip_000000.mp4", "clips/clip_000001.mp4", "stills/still_000000.png", "stills/still_000001.png"}
    assert set(contents(tmp_path)) == {*expected, "synthetic.json"}


def test_stills_are_the_pixels_that_were_rendered(tmp_path: Path) -> None:
    make_synthetic(small(tmp_path, clips=0))
    read = image_to_clip(load_image(tmp_path / "stills" / "still_000001.png"), 16)
    assert (read - render_still(5, 1, 16)).abs().max() < 1.01 / 127.5


def test_videos_keep_the_colour_of_every_pixel(tmp_path: Path) -> None:
    make_synthetic(small(tmp_path, stills=0, size=64, frames=4))
    for index in range(2):
        info = probe_video(ByteRange(tmp_path / "clips" / f"clip_{index:06d}.mp4"))
        read = decode_clip(info, 0.0, 4, 8.0, 64).levels / 127.5 - 1
        error = (read - render_clip(5, index, 64, 4)).square().mean()
        assert 10 * torch.log10(4 / error) > 40  # dB; about 30 where four pixels share a colour


def test_what_was_lost_is_made_again_and_what_is_there_is_kept(tmp_path: Path) -> None:
    make_synthetic(small(tmp_path))
    before = contents(tmp_path)
    (tmp_path / "clips" / "clip_000000.mp4").write_bytes(b"kept")
    for lost in ("clips/clip_000001.mp4", "stills/still_000000.png"):
        (tmp_path / lost).unlink()
    make_synthetic(small(tmp_path))
    assert contents(tmp_path) == {**before, "clips/clip_000000.mp4": b"kept"}


def test_a_folder_grows_and_records_its_options(tmp_path: Path) -> None:
    make_synthetic(small(tmp_path))
    make_synthetic(small(tmp_path, clips=1, stills=3))
    expected = {"clips": 2, "stills": 3, "photographs": None, "size": 16, "frames": 2, "fps": 8.0, "seed": 5}
    assert json.loads((tmp_path / "synthetic.json").read_text()) == expected


@pytest.mark.parametrize(("name", "value"), [("seed", 6), ("size", 18), ("frames", 3), ("fps", 4.0)])
def test_a_folder_of_other_options_is_refused(name: str, value: float, tmp_path: Path) -> None:
    make_synthetic(small(tmp_path, clips=0))
    with pytest.raises(ValueError, match=rf"holds clips made with {name}=.*, not {value}: choose another --out"):
        make_synthetic(small(tmp_path, clips=0, **{name: value}))


def test_a_folder_of_other_photographs_is_refused(photographs: Path, tmp_path: Path) -> None:
    make_synthetic(small(tmp_path / "out", photographs=photographs))
    (photographs / "0.png").unlink()
    with pytest.raises(ValueError, match="out holds clips made with other photographs: choose another --out"):
        make_synthetic(small(tmp_path / "out", photographs=photographs))


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"clips": "3"}', '{"clips": true}'])
def test_a_damaged_record_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "synthetic.json").write_text(content)
    with pytest.raises(ValueError, match=r"synthetic\.json is damaged .*: choose another --out"):
        make_synthetic(small(tmp_path))


def test_every_second_film_is_of_a_photograph_and_the_others_are_not(photographs: Path) -> None:
    sources, _ = find_photographs(photographs)
    films = [render_clip(0, index, 16, 2, photographs=sources).mean((1, 2, 3)) for index in range(12)]
    red = [bool(film[0] > film[1] + 0.05 and film[0] > film[2] + 0.05) for film in films[1::2]]
    others = [bool(film[0] > film[1] + 0.05 and film[0] > film[2] + 0.05) for film in films[::2]]
    assert sum(red) >= 5  # one may be in black and white
    assert sum(others) <= 3


def test_films_of_photographs_begin_as_longer_ones_do(photographs: Path) -> None:
    sources, _ = find_photographs(photographs)
    long = render_clip(0, 3, 16, 6, photographs=sources)
    assert torch.equal(render_clip(0, 3, 16, 2, photographs=sources), long[:, :2])


def test_a_photograph_that_went_bad_is_replaced_by_the_next(photographs: Path) -> None:
    sources, _ = find_photographs(photographs)
    (photographs / "0.png").write_bytes(b"")
    for index in range(1, 12, 2):
        assert render_clip(0, index, 16, 1, photographs=sources).isfinite().all()


def test_photographs_that_all_went_bad_are_an_error(photographs: Path) -> None:
    sources, _ = find_photographs(photographs)
    for path in photographs.iterdir():
        path.unlink()
    with pytest.raises(MediaError, match=r"photographs in a row cannot be read; the last: .* does not exist"):
        render_clip(0, 1, 16, 1, photographs=sources)


def test_a_folder_without_photographs_is_refused(tmp_path: Path) -> None:
    make_synthetic(small(tmp_path / "films", stills=0))
    with pytest.raises(MediaError, match="holds no images to make films of: name a folder of photographs"):
        make_synthetic(small(tmp_path / "out", photographs=tmp_path / "films" / "clips"))


def test_a_folder_of_unreadable_photographs_is_refused(photographs: Path, tmp_path: Path) -> None:
    for path in photographs.iterdir():
        path.write_bytes(b"not an image")
    with pytest.raises(MediaError, match=r"2 of 2 files in .* cannot be read"):
        make_synthetic(small(tmp_path / "out", photographs=photographs))


def test_it_is_said_what_is_made_what_is_not_used_and_what_comes_next(
    photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photographs / "2.png").write_bytes(b"")
    make_synthetic(small(tmp_path / "out", photographs=photographs, clips=0))
    said = capsys.readouterr().err
    assert "photographs  2\n" in said
    assert "not used     1 file: 1 is empty\n" in said
    assert f"{tmp_path / 'out'} is ready; next: secondsight vqgan train --preset demo --data " in said


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"clips": -1}, "--clips -1 must not be negative"),
        ({"clips": 0, "stills": 0}, "nothing to make: --clips 0 and --stills 0"),
        ({"size": 33}, "--size 33 must be even"),
        ({"size": 8}, "--size 8 must be at least 16"),
    ],
)
def test_options_that_mean_nothing_are_refused(wrong: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        small(tmp_path, **wrong)
