"""Changes to test images."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from data.images import image_to_clip, load_image
from experiments.memory.changes import CHANGES
from experiments.memory.options import Change


def make_image(width: int = 48, height: int = 64) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def grey(level: int) -> Image.Image:
    return Image.new("RGB", (32, 32), (level, level, level))


def test_the_options_name_every_change() -> None:
    assert set(get_args(Change)) == set(CHANGES)


@pytest.mark.parametrize("name", CHANGES)
def test_changes_keep_size_and_mode_and_are_changes(name: str) -> None:
    image = make_image()
    changed = CHANGES[name](image, 8)
    assert (changed.size, changed.mode) == (image.size, "RGB")
    assert changed.tobytes() != image.tobytes()


@pytest.mark.parametrize("name", CHANGES)
def test_changes_leave_the_image_itself_alone(name: str) -> None:
    image = make_image()
    CHANGES[name](image, 8)
    assert image.tobytes() == make_image().tobytes()


def loss(before: Image.Image, after: Image.Image) -> float:
    return float(np.abs(np.asarray(before).astype(int) - np.asarray(after)).mean())


def test_jpeg_loses_as_much_as_its_quality_says(tmp_path: Path) -> None:
    image = make_image()
    for quality in (40, 60):
        image.save(tmp_path / f"{quality}.jpg", quality=quality, subsampling="4:2:0")
    worse, better = (loss(image, load_image(tmp_path / f"{quality}.jpg")) for quality in (40, 60))
    assert better < loss(image, CHANGES["jpeg-50"](image, 8)) < worse


def test_jpeg_keeps_a_plain_surface() -> None:
    assert np.abs(np.asarray(CHANGES["jpeg-50"](grey(128), 8)).astype(int) - 128).max() <= 1


def test_shift_is_one_pixel_as_the_model_sees_it() -> None:
    image = make_image(64, 64)
    before, after = (image_to_clip(each, 8) for each in (image, CHANGES["shift-1"](image, 8)))
    # Scaling looks one pixel beyond, so the outermost columns also see the edge.
    torch.testing.assert_close(after[..., 2:-1], before[..., 1:-2])


def test_shift_repeats_the_edge() -> None:
    image = np.asarray(make_image())
    shifted = np.asarray(CHANGES["shift-1"](Image.fromarray(image), 8))
    assert (shifted[:, :6] == image[:, :1]).all()


def test_shift_moves_images_smaller_than_the_model_sees_them() -> None:
    image = make_image(5, 4)
    assert (np.asarray(CHANGES["shift-1"](image, 16))[:, 1:] == np.asarray(image)[:, :-1]).all()


@pytest.mark.parametrize(("before", "after"), [(100, 120), (250, 255)])
def test_brightness_rises_by_a_fifth_up_to_white(before: int, after: int) -> None:
    assert CHANGES["brightness"](grey(before), 8).getpixel((0, 0)) == (after, after, after)


def test_mirror_swaps_left_and_right() -> None:
    image = make_image()
    assert (np.asarray(CHANGES["mirror"](image, 8)) == np.asarray(image)[:, ::-1]).all()
