"""Grids and film strips keep pixels as they are and put them where they belong."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data.pictures import CAPTION, MARGIN, Tile, draw_grid, film_strip, picture_of, save_picture

RED, BLUE = (255, 0, 0), (0, 0, 255)


def tile(colour: tuple[int, int, int], size: tuple[int, int] = (8, 8), **options: str) -> Tile:
    return Tile(Image.new("RGB", size, colour), **options)


def numbered(frames: int) -> torch.Tensor:
    """(3, T, 4, 4) clip whose frame i has the grey level 10 * i."""
    levels = torch.arange(frames) * 10 / 127.5 - 1
    return levels[None, :, None, None].expand(3, frames, 4, 4)


def test_rows_and_columns_are_where_they_are_given() -> None:
    grid = draw_grid([[tile(RED), tile(BLUE)], [tile(BLUE)]], side=16)
    centres = [MARGIN + 8, MARGIN + 8 + 16 + MARGIN]
    assert grid.size == (2 * (16 + MARGIN) + MARGIN, 2 * (16 + MARGIN) + MARGIN)
    assert [grid.getpixel((x, centres[0])) for x in centres] == [RED, BLUE]
    assert [grid.getpixel((x, centres[1])) for x in centres] == [BLUE, (255, 255, 255)]


def test_small_pictures_grow_by_whole_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    grid = np.asarray(draw_grid([[Tile(Image.fromarray(pixels))]], side=16))
    assert (grid[MARGIN : MARGIN + 16, MARGIN : MARGIN + 16] == pixels.repeat(4, axis=0).repeat(4, axis=1)).all()


def test_wide_pictures_keep_their_proportions() -> None:
    assert draw_grid([[tile(RED, (40, 10))]], side=20).size == (80 + 2 * MARGIN, 20 + 2 * MARGIN)


def test_a_caption_is_written_below() -> None:
    plain, captioned = (draw_grid([[tile(RED, caption=text)]], side=32) for text in ("", "truth"))
    assert captioned.height == plain.height + CAPTION
    below = np.asarray(captioned)[MARGIN + 32 :]
    assert below.min() < 128


def test_a_border_frames_its_picture_without_covering_it() -> None:
    grid = draw_grid([[tile(RED, border="blue")]], side=16)
    assert [grid.getpixel((x, MARGIN + 8)) for x in (MARGIN - 1, MARGIN, MARGIN + 15, MARGIN + 16)] == [
        BLUE,
        RED,
        RED,
        BLUE,
    ]


@pytest.mark.parametrize(("frames", "shown"), [(3, [0, 10, 20]), (8, [0, 20, 40, 60])])
def test_a_film_strip_shows_evenly_spaced_frames(frames: int, shown: list[int]) -> None:
    strip = film_strip(numbered(frames), 4)
    assert strip.size == (4 * len(shown), 4)
    assert [strip.getpixel((4 * place + 2, 2)) for place in range(len(shown))] == [(level,) * 3 for level in shown]


@pytest.mark.parametrize(("frames", "width"), [(1, 4), (4, 16)])
def test_the_picture_of_a_still_is_itself_and_of_a_clip_a_strip(frames: int, width: int) -> None:
    assert picture_of(numbered(frames)).size == (width, 4)


def test_a_saved_picture_has_its_folder_made_and_its_pixels_kept(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    save_picture(tmp_path / "a" / "b.png", Image.fromarray(pixels))
    with Image.open(tmp_path / "a" / "b.png") as saved:
        assert (np.asarray(saved) == pixels).all()


def test_a_caption_ends_where_its_picture_does() -> None:
    long = draw_grid([[tile(RED, caption="a very long caption indeed"), tile(BLUE, caption="b")]], side=48)
    alone = draw_grid([[tile(RED, caption=""), tile(BLUE, caption="b")]], side=48)
    beside = (MARGIN + 48 + MARGIN, MARGIN + 48, *long.size)
    assert long.crop(beside).tobytes() == alone.crop(beside).tobytes()
