"""Metrics against their formulas written out."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import convolve2d
from tiny import make_clips
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from data.playroom.make import render_clip
from vqgan.losses import reconstruction_loss
from vqgan.metrics.perceptual import frame_distance
from vqgan.metrics.reconstruction import codebook_usage, perplexity, psnr, rate_bits_per_pixel, ssim


class Brightness(torch.nn.Module):
    """A distance between images that is easy to compute by hand."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return (x.mean(dim=(1, 2, 3)) - y.mean(dim=(1, 2, 3))).abs()


def ssim_of_frame(x: Tensor, y: Tensor) -> float:
    """SSIM of two images (3, H, W) in [-1, 1] as Wang et al. (2004) define it, with windows within the image only."""
    steps = np.arange(11) - 5.0
    window = np.exp(-(steps**2) / (2 * 1.5**2))
    window /= window.sum()

    def blur(image: np.ndarray) -> np.ndarray:
        return convolve2d(image, np.outer(window, window), mode="valid")

    maps = []
    for a, b in zip((x.double().numpy() + 1) / 2, (y.double().numpy() + 1) / 2, strict=True):
        mean_a, mean_b = blur(a), blur(b)
        var_a, var_b, covariance = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
        similarity = (2 * mean_a * mean_b + 0.01**2) * (2 * covariance + 0.03**2)
        maps.append(similarity / ((mean_a**2 + mean_b**2 + 0.01**2) * (var_a + var_b + 0.03**2)))
    return float(np.mean(maps))


def test_psnr_is_its_formula() -> None:
    x, y = make_clips(3), make_clips(3, seed=1)
    expected = 10 * torch.log10(4 / (x - y).square().mean(dim=(1, 2, 3, 4)))
    torch.testing.assert_close(psnr(x, y), expected)


@pytest.mark.parametrize("frames", [1, 4])
def test_psnr_is_one_number_per_clip(frames: int) -> None:
    x = make_clips(3, frames)
    assert psnr(x, x + 0.1).shape == (3,)


def test_psnr_of_a_constant_error() -> None:
    x = make_clips(1)
    assert float(psnr(x, x + 0.2)) == pytest.approx(20, abs=1e-3)


def test_psnr_of_equal_clips_is_the_highest_that_is_reported() -> None:
    assert psnr(make_clips(2), make_clips(2)).tolist() == [100, 100]


def test_an_error_below_the_last_digit_has_the_highest_psnr() -> None:
    x = make_clips(1)
    assert psnr(x, x + 1e-6).tolist() == [100]


def test_psnr_of_a_broken_reconstruction_is_not_hidden() -> None:
    assert psnr(make_clips(1) * torch.nan, make_clips(1)).isnan().all()


def test_ssim_is_its_formula() -> None:
    x, noise = make_clips(2, 3), make_clips(2, 3, seed=1)
    y = (x + 0.5 * noise).clamp(-1, 1)
    expected = [np.mean([ssim_of_frame(x[b, :, t], y[b, :, t]) for t in range(3)]) for b in range(2)]
    assert ssim(x, y).tolist() == pytest.approx(expected, abs=1e-6)


def test_ssim_of_smooth_pictures_is_its_formula() -> None:
    """Small variances, where digits cancel."""
    x = torch.stack([render_clip(0, number, 64, 1, 8.0) for number in range(2)])
    y = (x + 0.05 * make_clips(2, 1, 64)).clamp(-1, 1)
    expected = [ssim_of_frame(x[b, :, 0], y[b, :, 0]) for b in range(2)]
    assert ssim(x, y).tolist() == pytest.approx(expected, abs=1e-6)


def test_ssim_is_that_of_torchmetrics_without_the_border() -> None:
    x, y = make_clips(1, 1, 32)[:, :, 0], make_clips(1, 1, 32, seed=1)[:, :, 0]
    y = (x + 0.3 * y).clamp(-1, 1)
    _, full = structural_similarity_index_measure((x + 1) / 2, (y + 1) / 2, data_range=1.0, return_full_image=True)
    assert float(ssim(x[:, :, None], y[:, :, None])) == pytest.approx(float(full[..., 5:-5, 5:-5].mean()), abs=1e-6)


def test_ssim_of_a_clip_with_itself_is_one() -> None:
    torch.testing.assert_close(ssim(make_clips(2), make_clips(2)), torch.ones(2))


def test_ssim_of_a_picture_that_is_a_tenth_darker() -> None:
    x = torch.stack([render_clip(0, number, 64, 1, 8.0) for number in range(4)])
    assert ssim((x + 1) * 0.9 - 1, x).min() > 0.98


def test_ssim_of_two_near_greys() -> None:
    x = torch.zeros(1, 3, 1, 16, 16)
    assert float(ssim(x + 0.02, x - 0.02)) == pytest.approx(
        (2 * 0.51 * 0.49 + 0.01**2) / (0.51**2 + 0.49**2 + 0.01**2), abs=1e-6
    )


def test_ssim_of_the_smallest_image_is_that_of_its_one_window() -> None:
    x, y = make_clips(1, 1, 11), make_clips(1, 1, 11, seed=1)
    assert float(ssim(x, y)) == pytest.approx(ssim_of_frame(x[0, :, 0], y[0, :, 0]), abs=1e-6)


def test_the_border_is_not_mirrored() -> None:
    """A line at the edge lies in one column of windows; mirrored, it would lie in six and count for more."""
    x = torch.zeros(1, 3, 1, 64, 64)
    y = x.clone()
    y[..., 0] = 1.0
    mirrored = structural_similarity_index_measure((x[:, :, 0] + 1) / 2, (y[:, :, 0] + 1) / 2, data_range=1.0)
    assert float(ssim(x, y)) == pytest.approx(ssim_of_frame(x[0, :, 0], y[0, :, 0]), abs=1e-6)
    assert float(mirrored) < float(ssim(x, y)) - 0.02


@pytest.mark.parametrize(("height", "width"), [(10, 64), (64, 10), (8, 8)])
def test_images_smaller_than_a_window_have_no_ssim(height: int, width: int) -> None:
    x = torch.zeros(1, 3, 1, height, width)
    with pytest.raises(ValueError, match=f"windows of 11 pixels and these images have {height} x {width}: use larger"):
        ssim(x, x)


def test_codebook_usage_is_the_share_of_codes_that_occur() -> None:
    assert codebook_usage(torch.tensor([[0, 1], [1, 3]]), 8) == 3 / 8


def test_perplexity_of_one_code_is_one() -> None:
    assert perplexity(torch.zeros(10).long(), 8) == 1


def test_perplexity_of_equal_shares_is_the_number_of_codes() -> None:
    assert perplexity(torch.arange(8).repeat(3), 16) == pytest.approx(8)


@given(tokens=st.lists(st.integers(0, 7), min_size=1, max_size=40))
def test_perplexity_is_the_exponential_of_the_entropy(tokens: list[int]) -> None:
    shares = [tokens.count(code) / len(tokens) for code in set(tokens)]
    expected = math.exp(-sum(share * math.log(share) for share in shares))
    assert perplexity(torch.tensor(tokens), 8) == pytest.approx(expected)


def test_a_token_per_pixel_costs_the_bits_of_its_code() -> None:
    assert rate_bits_per_pixel(512, tokens=64, pixels=64) == 9


def test_bits_per_pixel_are_bits_of_all_tokens_over_pixels_of_all_frames() -> None:
    assert rate_bits_per_pixel(1024, tokens=4 * 16 * 16, pixels=16 * 64 * 64) == 10 / 64


def test_frame_distance_is_the_mean_over_frames() -> None:
    x = torch.zeros(2, 3, 4, 8, 8)
    y = x.clone()
    y[1, :, 2] = 1.0
    assert frame_distance(Brightness(), x, y).tolist() == [0, 0.25]


def test_the_reconstruction_loss_is_the_mean_absolute_and_squared_error() -> None:
    x, y = make_clips(), make_clips(seed=1)
    expected = (x - y).abs().mean() + 2 * (x - y).square().mean()
    torch.testing.assert_close(reconstruction_loss(x, y, None, 1.0), expected)


def test_the_perceptual_distance_is_added_with_its_weight() -> None:
    x, y = torch.zeros(2, 3, 4, 8, 8), torch.ones(2, 3, 4, 8, 8)
    assert reconstruction_loss(x, y, Brightness(), 0.5) == 3.5
