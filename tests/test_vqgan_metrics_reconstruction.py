"""Metrics against their formulas written out."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import make_clips
from torch import Tensor

from vqgan.losses import reconstruction_loss
from vqgan.metrics.perceptual import frame_distance
from vqgan.metrics.reconstruction import bits_per_pixel, codebook_usage, perplexity, psnr, ssim


class Brightness(torch.nn.Module):
    """A distance between images that is easy to compute by hand."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return (x.mean(dim=(1, 2, 3)) - y.mean(dim=(1, 2, 3))).abs()


def ssim_of_frame(x: Tensor, y: Tensor) -> Tensor:
    """SSIM of two images (3, H, W) as Wang et al. (2004) define it, with mirrored edges."""
    steps = torch.arange(11) - 5.0
    window = torch.exp(-(steps**2) / (2 * 1.5**2))
    kernel = (window[:, None] * window / window.sum() ** 2)[None, None]

    def blur(image: Tensor) -> Tensor:
        mirrored = torch.nn.functional.pad(image[:, None], (5, 5, 5, 5), mode="reflect")
        return torch.nn.functional.conv2d(mirrored, kernel)[:, 0]

    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y, covariance = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2, blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return (similarity / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean()


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


def test_ssim_is_its_formula() -> None:
    x, noise = make_clips(2, 3), make_clips(2, 3, seed=1)
    y = x + 0.5 * noise
    expected = [torch.stack([ssim_of_frame(x[b, :, t], y[b, :, t]) for t in range(3)]).mean() for b in range(2)]
    torch.testing.assert_close(ssim(x, y), torch.stack(expected), rtol=0, atol=1e-4)


def test_ssim_of_a_clip_with_itself_is_one() -> None:
    torch.testing.assert_close(ssim(make_clips(2), make_clips(2)), torch.ones(2))


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
    assert bits_per_pixel(512, tokens=64, pixels=64) == 9


def test_bits_per_pixel_are_bits_of_all_tokens_over_pixels_of_all_frames() -> None:
    assert bits_per_pixel(1024, tokens=4 * 16 * 16, pixels=16 * 64 * 64) == 10 / 64


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
