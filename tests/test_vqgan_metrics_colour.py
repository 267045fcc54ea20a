"""Colour and sharpness that reconstructions keep, against published colours and ratios made by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny import make_clips
from torch import Tensor

from vqgan.metrics.colour import (
    chroma_error,
    chroma_plane,
    mean_chroma,
    mean_gradient,
    overall_share,
    shares_kept,
)

TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
MODERATE = np.array([[50.0, 20.0, 10.0], [60.0, -15.0, 25.0], [40.0, 5.0, -20.0], [70.0, 0.0, 30.0]])
"""L*, a* and b* of four colours that a screen shows."""


def srgb_of(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sRGB colours (N, 3) in [0, 1] of CIELAB colours (N, 3), by the inverse of its definition."""
    middle = (lab[:, 0] + 16) / 116
    roots = np.stack([middle + lab[:, 1] / 500, middle, middle - lab[:, 2] / 200], axis=1)
    xyz = np.where(roots > 6 / 29, roots**3, 3 * (6 / 29) ** 2 * (roots - 4 / 29)) * TO_XYZ.sum(axis=1)
    linear = xyz @ np.linalg.inv(TO_XYZ).T
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clip(0) ** (1 / 2.4) - 0.055)


def clip_of(colours: NDArray[np.float64]) -> Tensor:
    """A clip (1, 3, 1, 1, N) in [-1, 1] of one row of colours (N, 3) in [0, 1]."""
    return torch.from_numpy(2 * colours.T - 1).float()[None, :, None, None]


def grey_clip(level: float = 0.4) -> Tensor:
    return torch.full((1, 3, 2, 8, 8), 2 * level - 1)


def saturation_kept(decoded: Tensor, clips: Tensor) -> list[float | None]:
    made, original = (mean_chroma(chroma_plane(clip)) for clip in (decoded, clips))
    return shares_kept(made, original, least=1.0)


def sharpness(decoded: Tensor, clips: Tensor) -> list[float | None]:
    return shares_kept(mean_gradient(decoded), mean_gradient(clips), least=1e-3)


@pytest.mark.parametrize(
    ("colour", "expected"),
    [((1, 0, 0), (80.09, 67.20)), ((0, 1, 0), (-86.18, 83.18)), ((0, 0, 1), (79.19, -107.86)), ((1, 1, 1), (0, 0))],
)
def test_primaries_have_their_published_places(colour: tuple[float, ...], expected: tuple[float, float]) -> None:
    assert chroma_plane(clip_of(np.array([colour]))).flatten().tolist() == pytest.approx(expected, abs=0.05)


@given(st.tuples(st.floats(1, 99), st.floats(-40, 40), st.floats(-40, 40)))
def test_colours_are_found_again_where_screens_show_them(lab: tuple[float, float, float]) -> None:
    colour = srgb_of(np.array([lab]))
    if colour.min() >= 0 and colour.max() <= 1:
        assert chroma_plane(clip_of(colour)).flatten().tolist() == pytest.approx(lab[1:], abs=0.01)


def test_dark_colours_are_found_again() -> None:
    """Below the bend of both curves, where they are straight lines."""
    lab = np.array([[3.0, 1.0, -1.0]])
    assert chroma_plane(clip_of(srgb_of(lab))).flatten().tolist() == pytest.approx([1, -1], abs=0.01)


def test_what_a_screen_cannot_show_counts_as_it_is_shown() -> None:
    red = clip_of(np.array([[1.0, 0.0, 0.0]]))
    assert torch.equal(chroma_plane(red * 1.3), chroma_plane(red))


def test_chroma_is_the_distance_from_grey() -> None:
    assert float(mean_chroma(chroma_plane(clip_of(srgb_of(MODERATE))))) == pytest.approx(
        np.hypot(*MODERATE[:, 1:].T).mean(), abs=0.01
    )


@given(st.floats(0.1, 1.1))
def test_scaled_chroma_is_kept_in_just_that_ratio(scale: float) -> None:
    paler = MODERATE * [1, scale, scale]
    kept = saturation_kept(clip_of(srgb_of(paler)), clip_of(srgb_of(MODERATE)))
    assert kept == pytest.approx([scale], abs=1e-3)


def test_the_chroma_error_is_the_mean_distance_of_the_places() -> None:
    moved = MODERATE + np.array([[0, 3, 4], [0, 0, 0], [0, 0, -5], [0, 0, 2]])
    error = chroma_error(chroma_plane(clip_of(srgb_of(moved))), chroma_plane(clip_of(srgb_of(MODERATE))))
    assert error.tolist() == pytest.approx([(5 + 0 + 5 + 2) / 4], abs=0.01)


def test_lightness_alone_is_no_error_of_chroma() -> None:
    lighter = MODERATE + np.array([5, 0, 0])
    error = chroma_error(chroma_plane(clip_of(srgb_of(lighter))), chroma_plane(clip_of(srgb_of(MODERATE))))
    assert float(error) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("level", [0.0, 0.4, 1.0])
def test_a_grey_original_has_no_saturation_to_keep(level: float) -> None:
    assert saturation_kept(make_clips(1, 2, 8), grey_clip(level)) == [None]


def test_grey_that_comes_back_coloured_is_an_error_of_chroma() -> None:
    planes = [chroma_plane(clip) for clip in (make_clips(1, 2, 8), grey_clip())]
    assert float(chroma_error(*planes)) > 10


def test_an_equal_clip_keeps_all() -> None:
    clips = make_clips()
    assert saturation_kept(clips, clips) == [1, 1]
    assert sharpness(clips, clips) == [1, 1]
    assert chroma_error(chroma_plane(clips), chroma_plane(clips)).tolist() == [0, 0]


def test_clips_are_measured_one_by_one() -> None:
    clips = make_clips(3, 2)
    one_by_one = [float(mean_gradient(clip[None])) for clip in clips]
    assert mean_gradient(clips).tolist() == pytest.approx(one_by_one)


def test_the_gradient_of_a_ramp_is_its_slope() -> None:
    """Of one that rises by .02 a column and .01 a row, in intensities between 0 and 1."""
    ramp = 0.02 * torch.arange(8.0) + 0.01 * torch.arange(8.0)[:, None]
    assert float(mean_gradient((2 * ramp - 1).expand(1, 3, 2, 8, 8))) == pytest.approx(0.0005**0.5, rel=1e-4)


def test_the_gradient_is_that_of_luma() -> None:
    """A step of red alone is .2126 of one of all colours."""
    step = torch.full((1, 3, 1, 8, 8), -1.0)
    white, red = step.clone(), step.clone()
    white[..., 4:] = 1
    red[:, 0, ..., 4:] = 1
    assert float(mean_gradient(red)) == pytest.approx(0.2126 * float(mean_gradient(white)), rel=1e-4)


def test_a_blurred_clip_is_less_sharp() -> None:
    clips = make_clips(2, 2)
    blurred = torch.nn.functional.avg_pool3d(clips, (1, 3, 3), 1, (0, 1, 1))
    assert all(kept is not None and 0.1 < kept < 0.6 for kept in sharpness(blurred, clips))


@pytest.mark.parametrize("level", [0.0, 0.4])
def test_a_flat_original_has_no_sharpness_to_keep(level: float) -> None:
    assert sharpness(make_clips(1, 2, 8), grey_clip(level)) == [None]


def test_a_single_pixel_is_flat() -> None:
    assert mean_gradient(torch.ones(2, 3, 1, 1, 1)).tolist() == [0, 0]


def test_a_broken_reconstruction_is_not_hidden() -> None:
    (kept,) = saturation_kept(make_clips(1) * torch.nan, make_clips(1))
    assert kept is not None
    assert np.isnan(kept)


def test_over_all_items_means_are_compared() -> None:
    """20 and 5 of 20 and 10: (20 + 5) / (20 + 10), not the mean of 1 and .5."""
    assert overall_share([1.0, 0.5], [20.0, 10.0]) == pytest.approx(25 / 30)


def test_items_without_a_share_do_not_count_in_that_of_all() -> None:
    assert overall_share([None, 0.5], [0.1, 10.0]) == pytest.approx(0.5)


def test_there_is_no_share_of_nothing() -> None:
    assert overall_share([None], [0.1]) is None
