"""What is measured of items: light, motion, sharpness, stillness, cuts and blackness, on films made for it."""

import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from data.frames import to_uint8
from data.playroom.make import render_clip
from viewing.look.defects import CUT, FROZEN
from viewing.look.measuring import Measures, measure


@pytest.fixture(scope="module")
def walk() -> Tensor:
    """(3, 8, 64, 64) uint8: a walk through a room."""
    return to_uint8(render_clip(0, 0, 64, 8, 8.0))


def flat(level: int, frames: int = 8) -> Tensor:
    return torch.full((3, frames, 64, 64), level, dtype=torch.uint8)


def blurred(levels: Tensor, radius: float) -> Tensor:
    frames = [Image.fromarray(frame.numpy()) for frame in levels.permute(1, 2, 3, 0)]
    soft = [
        torch.frombuffer(bytearray(f.filter(ImageFilter.GaussianBlur(radius)).tobytes()), dtype=torch.uint8)
        for f in frames
    ]
    return torch.stack(soft).reshape(len(soft), *levels.shape[2:], 3).permute(3, 0, 1, 2)


def test_brightness_is_the_mean_of_luma() -> None:
    green = torch.zeros(3, 2, 16, 16, dtype=torch.uint8)
    green[1] = 255
    assert measure(green).brightness == pytest.approx(0.7152)


def test_of_one_colour_there_is_no_contrast_and_no_sharpness() -> None:
    found = measure(flat(120))
    assert found.contrast == pytest.approx(0, abs=1e-6)
    assert found.sharpness is None


def test_a_still_has_neither_motion_nor_stillness_nor_cuts(walk: Tensor) -> None:
    found = measure(walk[:, :1])
    assert (found.motion, found.stillness, found.cut) == (0.0, 0.0, 0.0)


def test_motion_is_the_mean_change_of_luma() -> None:
    film = flat(0, 3)
    film[:, 1] = 51
    assert measure(film).motion == pytest.approx(0.2)


def test_blurring_lowers_sharpness_more_the_wider_it_is(walk: Tensor) -> None:
    values = [measure(levels).sharpness or 0.0 for levels in (walk, blurred(walk, 1), blurred(walk, 2))]
    assert values[0] > 0.4 > values[1] > values[2]


def test_sharpness_does_not_depend_on_contrast(walk: Tensor) -> None:
    dull = (walk.float() * 0.5 + 60).round().to(torch.uint8)
    assert measure(dull).sharpness == pytest.approx(measure(walk).sharpness, abs=0.05)


def test_one_sharp_frame_makes_a_clip_sharp(walk: Tensor) -> None:
    mixed = torch.cat([blurred(walk[:, :-1], 2), walk[:, -1:]], dim=1)
    assert measure(mixed).sharpness == pytest.approx(measure(walk[:, -1:]).sharpness)


@pytest.mark.parametrize("first", [0, 4])
def test_stillness_is_the_longest_run_in_which_nothing_changes(walk: Tensor, first: int) -> None:
    film = walk.clone()
    film[:, first : first + 4] = walk[:, first : first + 1]
    assert measure(film).stillness == pytest.approx(3 / 7)


def test_noise_of_compression_is_no_change(walk: Tensor) -> None:
    noise = torch.randint(0, 2, walk.shape, generator=torch.Generator().manual_seed(0))
    film = (walk[:, :1].int() + (noise * (torch.arange(64) % 3 == 0))).clamp(0, 255).to(torch.uint8)
    assert measure(film).stillness >= FROZEN


def test_a_cut_changes_the_layout_as_no_camera_does(walk: Tensor) -> None:
    other = to_uint8(render_clip(1, 3, 64, 8, 8.0))
    film = torch.cat([walk[:, :5], other[:, 5:]], dim=1)
    assert measure(film).cut > CUT > 2 * measure(walk).cut


def test_a_flash_is_no_cut(walk: Tensor) -> None:
    film = walk.clone()
    film[:, 3] = 255
    assert measure(film).cut < 0.1


def test_a_flash_of_two_frames_and_fades_from_and_to_black_are_no_cuts(walk: Tensor) -> None:
    flash = walk.clone()
    flash[:, 3:5] = 255
    assert measure(flash).cut < 0.1
    fading = (walk.float() * torch.linspace(0, 1, 8).view(1, 8, 1, 1)).to(torch.uint8)
    assert measure(fading).cut < 0.1
    assert measure(fading.flip(1)).cut < 0.1


def test_a_cut_in_the_dark_is_a_cut(walk: Tensor) -> None:
    other = to_uint8(render_clip(1, 3, 64, 8, 8.0))
    dark = (torch.cat([walk[:, :5], other[:, 5:]], dim=1).float() * 0.2).to(torch.uint8)
    assert measure(dark).cut > CUT


def test_another_picture_after_black_is_a_cut(walk: Tensor) -> None:
    other = to_uint8(render_clip(1, 3, 64, 8, 8.0))
    film = torch.cat([walk[:, :3], flat(0, 2), other[:, 5:]], dim=1)
    assert measure(film).cut > CUT


def test_frames_of_one_level_are_no_cut() -> None:
    film = flat(0)
    film[:, 4:] = 30
    assert measure(film).cut == 0.0


@pytest.mark.parametrize(("level", "share"), [(0, 1.0), (20, 1.0), (30, 0.0)])
def test_a_frame_is_black_below_a_tenth_of_white(level: int, share: float) -> None:
    assert measure(flat(level)).black == share


def test_one_bright_spot_does_not_make_a_frame_less_black() -> None:
    film = flat(0)
    film[:, :, :8, :8] = 255
    assert measure(film).black == 1.0
    film[:, :, :16, :16] = 255
    assert measure(film).black == 0.0


def test_measures_are_plain_numbers(walk: Tensor) -> None:
    found = measure(walk)
    assert all(isinstance(getattr(found, name), float) for name in Measures.__dataclass_fields__)
