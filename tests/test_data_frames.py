"""Decoded images are scaled by their short side and cropped to a square, whatever their shape."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data.frames import (
    LONGEST,
    Crop,
    _values_of_bytes,
    find_square,
    resize,
    resize_and_crop,
    resize_and_crop_levels,
    to_clip,
    to_uint8,
)

HEIGHT, WIDTH = 48, 64


def noise(height: int, width: int, frames: int = 1, seed: int = 0) -> torch.Tensor:
    """(frames, height, width, 3) uint8."""
    levels = np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
    return torch.from_numpy(levels)


def scaled_exactly(image: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(3, height, width) levels of an (H, W, 3) image, not rounded: each is a mean under a triangle."""
    down, across = _means(image.shape[0], height), _means(image.shape[1], width)
    return torch.einsum("hy,yxc,wx->chw", down, image.double(), across)


def _means(length: int, scaled: int) -> torch.Tensor:
    """(scaled, length) weights of the pixels of a line."""
    scale = length / scaled
    centres = (torch.arange(scaled, dtype=torch.float64)[:, None] + 0.5) * scale
    distances = (torch.arange(length, dtype=torch.float64)[None] + 0.5 - centres).abs()
    weights = (1 - distances / max(scale, 1)).clamp_min(0)
    return weights / weights.sum(dim=1, keepdim=True)


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(72, 128, 16), (48, 64, 20), (100, 130, 256), (33, 57, 64), (200, 50, 32), (5, 9, 64), (9, 4, 1), (1, 3, 2)],
)
def test_levels_are_within_one_of_exact_arithmetic(height: int, width: int, size: int) -> None:
    short = min(height, width)
    scaled_height = round(height * size / short)
    scaled_width = round(width * size / short)
    image = noise(height, width)
    exact = scaled_exactly(image[0], scaled_height, scaled_width)
    top = (scaled_height - size) // 2
    left = (scaled_width - size) // 2
    found = resize_and_crop_levels(image, size)[:, 0]
    assert (found - exact[:, top : top + size, left : left + size]).abs().max() <= 1


def test_white_stays_white_and_black_black() -> None:
    for level in (0, 255):
        image = torch.full((1, 37, 53, 3), level, dtype=torch.uint8)
        assert resize_and_crop_levels(image, 16).unique().tolist() == [level]


def test_the_clip_is_the_levels_mapped_to_minus_one_to_one() -> None:
    images = noise(HEIGHT, WIDTH, frames=3)
    levels = resize_and_crop_levels(images, 16, "random", 7)
    clip = resize_and_crop(images, 16, "random", 7)
    assert (levels.dtype, levels.shape) == (torch.uint8, (3, 3, 16, 16))
    assert (clip.dtype, clip.shape) == (torch.float32, (3, 3, 16, 16))
    assert (clip - (levels.float() / 127.5 - 1)).abs().max() <= 1 / 127.5
    assert torch.equal(to_uint8(to_clip(levels)), levels)


def test_a_short_side_of_the_asked_size_keeps_its_exact_pixels() -> None:
    images = noise(HEIGHT, WIDTH, frames=2)
    middle = (WIDTH - HEIGHT) // 2
    expected = images[:, :, middle : middle + HEIGHT].permute(3, 0, 1, 2)
    assert torch.equal(resize_and_crop_levels(images, HEIGHT), expected)


def test_every_frame_of_a_clip_is_scaled_as_if_it_were_alone() -> None:
    images = noise(HEIGHT, WIDTH, frames=3)
    together = resize_and_crop_levels(images, 20, "random", 3)
    alone = [resize_and_crop_levels(image[None], 20, "random", 3) for image in images]
    assert torch.equal(together, torch.cat(alone, dim=1))


@pytest.mark.parametrize("size", [1, 2, 9])
def test_the_layout_in_memory_does_not_matter(size: int) -> None:
    image = noise(17, 23)
    channels_first = image.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    columns_first = image.transpose(1, 2).contiguous().transpose(1, 2)
    inside = torch.nn.functional.pad(image, (0, 0, 2, 1, 1, 2))[:, 1:18, 2:25]
    for other in (channels_first, columns_first, inside):
        assert torch.equal(resize_and_crop_levels(other, size), resize_and_crop_levels(image, size))


def test_rows_scaled_first_in_width_and_then_in_height_are_the_same() -> None:
    image = noise(90, 130)[0]
    bands = torch.cat([resize(band, len(band), 33) for band in image.split(7)], dim=1)
    assert torch.equal(resize(bands.permute(1, 2, 0), 23, 33), resize(image, 23, 33))


def test_random_crops_are_cut_from_everywhere_and_repeat_with_their_seed() -> None:
    ramp = np.arange(WIDTH, dtype=np.uint8)[None, :, None].repeat(HEIGHT, axis=0).repeat(3, axis=2)
    pixels = torch.from_numpy(ramp)[None]
    lefts = {int(resize_and_crop_levels(pixels, HEIGHT, "random", seed)[0, 0, 0, 0]) for seed in range(99)}
    assert lefts == set(range(WIDTH - HEIGHT + 1))
    assert torch.equal(resize_and_crop(pixels, HEIGHT, "random", 5), resize_and_crop(pixels, HEIGHT, "random", 5))


@pytest.mark.parametrize(
    ("images", "size", "crop", "message"),
    [
        (torch.zeros(1, 8, 8, 3), 8, "centre", "uint8"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), 8, "centre", "T, H, W, 3"),
        (torch.zeros(1, 8, 8, 3, dtype=torch.uint8), 0, "centre", "size"),
        (torch.zeros(1, 8, 8, 3, dtype=torch.uint8), 8, "left", "crop"),
    ],
)
def test_a_wrong_argument_is_named(images: torch.Tensor, size: int, crop: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resize_and_crop(images, size, crop)  # type: ignore[arg-type]


# Long images


@pytest.mark.parametrize("size", [7, 16, 50])
@pytest.mark.parametrize("crop", ["centre", "random"])
def test_up_to_four_to_one_the_whole_is_scaled_and_cropped(size: int, crop: Crop) -> None:
    image = noise(20, 80)
    square = find_square(20, 80, size, crop, 3)
    left = square.corner[1]
    whole = resize(image[0], size, 4 * size)
    assert torch.equal(resize_and_crop_levels(image, size, crop, 3)[:, 0], whole[:, :, left : left + size])


@settings(max_examples=60)
@given(st.integers(1, 9), st.integers(37, 500), st.integers(1, 24), st.integers(0, 2**31), st.booleans(), st.booleans())
def test_longer_images_give_what_scaling_the_whole_gives(
    short: int, length: int, size: int, seed: int, random: bool, tall: bool
) -> None:
    # A gentle slope: half a pixel of another position is less than a level and a half.
    slope = (np.arange(length) * 255 / length).round().astype(np.uint8)[None, :, None].repeat(short, axis=0)
    image = torch.from_numpy(slope.repeat(3, axis=2))
    image = image.transpose(0, 1) if tall else image
    crop: Crop = "random" if random else "centre"
    found = resize_and_crop_levels(image[None], size, crop, seed)[:, 0]
    scaled_length = round(length * size / short)
    whole = scaled_exactly(image, *((scaled_length, size) if tall else (size, scaled_length)))
    spare = scaled_length - size
    square = find_square(*image.shape[:2], size, crop, seed)
    start, part = (square.top, square.corner[0]) if tall else (square.left, square.corner[1])
    first = start // short * size + part
    assert 0 <= first <= spare
    if not random:
        assert first == spare // 2
    cut = whole[:, first : first + size] if tall else whole[:, :, first : first + size]
    tolerance = 1.5 + 255 / length + 255 / scaled_length
    assert (found - cut).abs().max() <= tolerance


@pytest.mark.parametrize("length", [200_000, 60_000_000])
def test_what_is_scaled_of_a_thread_of_pixels_is_no_longer_than_four_squares(length: int) -> None:
    for seed in range(20):
        for height, width in ((1, length), (length, 1)):
            square = find_square(height, width, 96, "random", seed)
            assert max(square.scaled_height, square.scaled_width) <= LONGEST * 96
            assert max(square.height, square.width) <= LONGEST
            assert max(square.corner) <= max(square.scaled_height, square.scaled_width) - 96


def test_random_crops_of_a_long_image_reach_both_its_ends() -> None:
    image = torch.arange(200, dtype=torch.uint8)[None, None, :, None].expand(1, 8, 200, 3)
    lefts = {int(resize_and_crop_levels(image, 8, "random", seed)[0, 0, 0, 0]) for seed in range(2_000)}
    assert lefts == set(range(193))


def test_a_table_of_the_bytes_holds_the_same_bits() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(_values_of_bytes(torch.device("cpu"))[levels.int()], to_clip(levels))
