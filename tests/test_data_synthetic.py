"""Synthetic clips: same integers, same pixels; the statistics of natural pictures; scenes of every kind that move."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from data.synthetic.camera import STYLES, Wander, draw_camera
from data.synthetic.chance import stream
from data.synthetic.colours import hsv, palette, vivid
from data.synthetic.leaves import power_law
from data.synthetic.make import kind_of, render_clip, render_still
from data.synthetic.scenes import KINDS, draw_scene
from data.synthetic.textures import noise
from training.parallel import one_thread

SIZE = 32


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def stills() -> Tensor:
    """(120, 3, 32, 32) in [0, 1]: stills of seed 1."""
    return torch.stack([render_still(1, index, SIZE)[:, 0] for index in range(120)]) / 2 + 0.5


@pytest.fixture(scope="module")
def clips() -> Tensor:
    """(20, 3, 8, 32, 32): the first clips of seed 1, two of every kind."""
    return torch.stack([render_clip(1, index, SIZE, 8) for index in range(20)])


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**63 - 1), index=st.integers(0, 10**7))
def test_same_integers_give_same_pixels(seed: int, index: int) -> None:
    assert torch.equal(render_clip(seed, index, 16, 2), render_clip(seed, index, 16, 2))


def test_another_seed_gives_another_clip(clips: Tensor) -> None:
    assert (render_clip(2, 3, SIZE, 8) - clips[3]).abs().mean() > 0.05


def test_a_still_is_no_frame_of_the_clip_of_its_number(clips: Tensor, stills: Tensor) -> None:
    assert (clips[3, :, 0] / 2 + 0.5 - stills[3]).abs().mean() > 0.05


@pytest.mark.parametrize("frames", [1, 3, 5])
@pytest.mark.parametrize("index", range(len(KINDS)))
def test_shorter_clip_is_the_beginning_of_a_longer_one(clips: Tensor, index: int, frames: int) -> None:
    assert torch.equal(render_clip(1, index, SIZE, frames), clips[index, :, :frames])


def test_thread_count_does_not_change_pixels(clips: Tensor) -> None:
    torch.set_num_threads(2)
    try:
        assert torch.equal(render_clip(1, 2, SIZE, 8), clips[2])
    finally:
        torch.set_num_threads(1)


def test_global_generators_are_neither_used_nor_moved(clips: Tensor) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    np.random.seed(1)
    drawn = np.random.get_state()[1].sum()
    assert torch.equal(render_clip(1, 1, SIZE, 8), clips[1])
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state()[1].sum() == drawn


def test_a_clip_has_the_promised_shape_dtype_and_range() -> None:
    clip = render_clip(0, 0)
    assert (clip.shape, clip.dtype) == ((3, 16, 64, 64), torch.float32)
    assert clip.abs().max() <= 1


@pytest.mark.parametrize("size", [1, 2, 17])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_scene_is_drawn_at_odd_sizes(kind: str, size: int) -> None:
    layers = draw_scene(stream("test", size), kind, size)
    assert len(layers[0].image) == 3
    assert all(torch.isfinite(layer.image).all() and layer.image.min() >= 0 for layer in layers)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_in_front_hide_nothing_more_than_wholly(kind: str) -> None:
    layers = [layer for number in range(4) for layer in draw_scene(stream("test", number), kind, SIZE)[1:]]
    assert all(layer.image[3].min() >= 0 and layer.image[3].max() <= 1 for layer in layers)


def test_neighbours_show_every_kind_of_scene() -> None:
    assert {kind_of(index) for index in range(7, 7 + len(KINDS))} == set(KINDS)


def test_clips_differ_more_from_each_other_than_frames_do(clips: Tensor) -> None:
    steps = (clips[:, :, 1:] - clips[:, :, :-1]).abs().mean()
    assert torch.pdist(clips[:, :, 0].flatten(1), p=1).median() / clips[0, :, 0].numel() > 3 * steps


def test_most_films_move_and_some_hardly(clips: Tensor) -> None:
    steps = (clips[:, :, 1:] - clips[:, :, :-1]).abs().mean((1, 2, 3, 4))
    assert (steps > 0.02).float().mean() > 0.5
    assert steps.min() < 0.02
    assert steps.max() < 0.3


def test_saturated_colour_is_frequent_and_grey_is_not_missing(stills: Tensor) -> None:
    saturation = (stills.amax(1) - stills.amin(1)).mean((1, 2))
    assert (saturation > 0.3).float().mean() > 0.2
    assert 0.02 < (saturation < 0.05).float().mean() < 0.25


def test_every_hue_is_frequent() -> None:
    red, green, blue = (vivid(stream("test"), 2000) == vivid(stream("test"), 2000).max(1, keepdims=True)).mean(0)
    assert min(red, green, blue) > 0.25


def test_there_are_dark_stills_and_bright_ones(stills: Tensor) -> None:
    light = stills.mean((1, 2, 3))
    assert (light < 0.2).float().mean() > 0.04
    assert (light > 0.6).float().mean() > 0.06


def test_contrast_spreads_as_that_of_photographs(stills: Tensor) -> None:
    low, middle, high = stills.mean(1).std((1, 2)).quantile(torch.tensor([0.1, 0.5, 0.9])).tolist()
    assert low < 0.1
    assert 0.12 < middle < 0.25
    assert high > 0.2


def spectrum_slope(images: Tensor) -> float:
    """The power of frequency with which the mean power of pictures (B, S, S) falls, from 2 to S / 3 cycles."""
    size = images.shape[-1]
    edge = torch.hann_window(size, periodic=False)
    centred = (images - images.mean((1, 2), keepdim=True)) * edge * edge[:, None]
    power = torch.fft.fft2(centred).abs().square().mean(0)
    steps = torch.fft.fftfreq(size) * size
    radius = torch.hypot(steps[:, None].expand(size, size), steps.expand(size, size))
    rings = [2 * 1.4**k for k in range(int(math.log(size / 6, 1.4)))]
    heights = [power[(radius >= ring) & (radius < 1.4 * ring)].mean().log().item() for ring in rings]
    return float(np.polyfit(np.log(rings), heights, 1)[0])


def test_power_falls_with_frequency_as_in_small_photographs(stills: Tensor) -> None:
    # Photographs have -2; averaged down to 64 pixels, those of Caltech-101 have -2.8 by this measure.
    assert -3.4 < spectrum_slope(stills.mean(1)) < -2.2


@pytest.mark.parametrize("slope", [0.8, 1.5])
def test_noise_has_the_slope_that_was_asked_for(slope: float) -> None:
    fields = torch.from_numpy(np.concatenate([noise(stream("test", k), 64, slope) for k in range(20)]))
    assert spectrum_slope(fields) == pytest.approx(-2 * slope, abs=0.3)


def test_noise_has_mean_0_and_variance_1() -> None:
    fields = noise(stream("test"), 48, 1.0, stretch=3.0)
    assert fields.mean((1, 2)) == pytest.approx(0, abs=1e-5)
    assert fields.std((1, 2)) == pytest.approx(1, abs=1e-4)


def test_sizes_of_leaves_fall_with_the_third_power() -> None:
    radii = power_law(stream("test"), 20_000, 1, 100)
    assert (radii >= 1).all()
    assert (radii <= 100).all()
    assert (radii > 2).mean() == pytest.approx(1 / 4, abs=0.02)


def test_colours_by_hue_are_those_of_the_colour_circle() -> None:
    ones = np.ones(3)
    assert np.allclose(hsv(np.array([0, 1 / 3, 2 / 3]), ones, ones), np.eye(3), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9))
def test_palettes_are_colours(number: int, count: int) -> None:
    colours = palette(stream("test", number), count)
    assert colours.shape == (count, 3)
    assert (colours.min() >= 0, colours.max() <= 1) == (True, True)


def test_a_wander_stays_within_its_amplitude_and_speed_for_minutes() -> None:
    wander = Wander.draw(stream("test"), 0.4, 0.1, 2.0)
    values = wander(np.linspace(0, 300, 30_000))
    assert np.abs(values).max() <= 0.4
    assert np.abs(np.diff(values)).max() <= wander.speed * 0.0101


def test_some_cameras_stand_still_and_most_do_not() -> None:
    speeds = np.array([draw_camera(stream("test", number)).speed for number in range(200)])
    assert 0.5 / len(STYLES) < (speeds == 0).mean() < 2 / len(STYLES)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"frames": 0}, {"fps": 0.0}, {"fps": math.nan}])
def test_clips_without_pixels_or_time_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="size and frames must be 1 or more and fps > 0, got size="):
        render_clip(0, 0, **wrong)  # type: ignore[arg-type]


def test_stills_without_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="size must be 1 or more, got 0"):
        render_still(0, 0, size=0)
