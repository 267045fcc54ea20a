"""Grids and film strips keep pixels as they are and put them where they belong."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from data.drawing import (
    CAPTION,
    MARGIN,
    Tile,
    draw_grid,
    draw_text,
    film_strip,
    image_of,
    printable,
    save_image,
    stack_images,
    text_width,
)

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


def test_small_images_grow_by_whole_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    grid = np.asarray(draw_grid([[Tile(Image.fromarray(pixels))]], side=16))
    assert (grid[MARGIN : MARGIN + 16, MARGIN : MARGIN + 16] == pixels.repeat(4, axis=0).repeat(4, axis=1)).all()


def test_wide_images_keep_their_proportions() -> None:
    assert draw_grid([[tile(RED, (40, 10))]], side=20).size == (80 + 2 * MARGIN, 20 + 2 * MARGIN)


def test_a_caption_is_written_below() -> None:
    plain, captioned = (draw_grid([[tile(RED, caption=text)]], side=32) for text in ("", "truth"))
    assert captioned.height == plain.height + CAPTION
    below = np.asarray(captioned)[MARGIN + 32 :]
    assert below.min() < 128


def test_a_border_frames_its_image_without_covering_it() -> None:
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
def test_the_image_of_a_still_is_itself_and_of_a_clip_a_strip(frames: int, width: int) -> None:
    assert image_of(numbered(frames)).size == (width, 4)


def test_a_saved_image_has_its_folder_made_and_its_pixels_kept(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    save_image(tmp_path / "a" / "b.png", Image.fromarray(pixels))
    with Image.open(tmp_path / "a" / "b.png") as saved:
        assert (np.asarray(saved) == pixels).all()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.png"]


def test_a_caption_ends_where_its_image_does() -> None:
    long = draw_grid([[tile(RED, caption="a very long caption indeed"), tile(BLUE, caption="b")]], side=48)
    alone = draw_grid([[tile(RED, caption=""), tile(BLUE, caption="b")]], side=48)
    beside = (MARGIN + 48 + MARGIN, MARGIN + 48, *long.size)
    assert long.crop(beside).tobytes() == alone.crop(beside).tobytes()


def test_images_are_stacked_at_the_left_on_white() -> None:
    stacked = stack_images([Image.new("RGB", (4, 2), RED), Image.new("RGB", (2, 3), BLUE)])
    assert stacked.size == (4, 5)
    assert [stacked.getpixel(place) for place in ((3, 1), (1, 4), (3, 4))] == [RED, BLUE, (255, 255, 255)]


def written(text: str, width: int = 200) -> np.ndarray:
    canvas = Image.new("RGB", (200, CAPTION), "white")
    draw_text(ImageDraw.Draw(canvas), (0, 0), text, width)
    return np.asarray(canvas)


def test_letters_beyond_ascii_have_shapes_of_their_own() -> None:
    shapes = {written(letter).tobytes() for letter in "éüßñЖλ…"}
    assert len(shapes) == 7


@pytest.mark.parametrize("text", ["a long caption that nothing holds", "gjpqy|Å", "two\nlines"])
def test_text_stays_in_its_line_and_width(text: str) -> None:
    dark = np.argwhere(written(text, 60).min(axis=-1) < 200)
    assert dark[:, 1].max() < 60
    assert written(text, 60)[[0, -1]].min() > 200


def test_the_width_of_a_text_is_what_it_takes() -> None:
    assert (written("caption", text_width("caption")) == written("caption")).all()
    assert (written("caption", text_width("caption") - 2) != written("caption")).any()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("été 中文.mp4", "été 中文.mp4"),
        ("caf\udce9.mp4", "caf\ufffd.mp4"),
        ("two\nlines\u202fand a narrow space", "two lines and a narrow space"),
        ("\x1b[31m\u202egnp", "\ufffd[31m\ufffdgnp"),
        ('<b> & "quotes"', '<b> & "quotes"'),
    ],
)
def test_names_become_one_line_of_printable_text(name: str, shown: str) -> None:
    assert printable(name) == shown


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_any_name_can_be_stored_and_drawn(name: str) -> None:
    shown = printable(name)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert len(shown.splitlines()) <= 1
    assert text_width(name) >= 0
