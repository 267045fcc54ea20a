"""How faithful reconstructions are, and how much of the vocabulary is in use."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from data.tokens import unigram_entropy

MAX_PSNR = 100.0
"""dB of the highest PSNR that is reported, that of a mean square error of 1e-10 on the scale [0, 1]. Without any error
it would be infinite, which no mean bears and JSON does not know; half a level of 8 bits at every pixel is 54 dB."""
SSIM_WINDOW = 11
"""Pixels a side of the window of SSIM, and so of the smallest image that has one."""
SSIM_SIGMA = 1.5
"""Standard deviation of its Gaussian weights, in pixels."""


def psnr(decoded: Tensor, clips: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each clip: (B,) in dB, over all its pixels, at most `MAX_PSNR`."""
    axes = tuple(range(1, clips.ndim))
    ratios = [
        peak_signal_noise_ratio(a[None], b[None], data_range=2.0, dim=axes, reduction="none").squeeze()
        for a, b in zip(decoded, clips, strict=True)
    ]
    return torch.stack(ratios).clamp(max=MAX_PSNR)


def ssim(decoded: Tensor, clips: Tensor) -> Tensor:
    """Return the structural similarity (Wang et al. 2004) of each clip, averaged over its frames: (B,) in [-1, 1].

    Intensities are brought to [0, 1], where the luminance term is defined. Each colour is compared by itself, under a
    Gaussian window of 11 pixels and 1.5 pixels of standard deviation with variances of the population, and the mean is
    that over the windows that lie within the image.

    Args:
        decoded: (B, 3, T, H, W) in [-1, 1].
        clips: the originals, of the same shape.

    Raises:
        ValueError: no window lies within the image.
    """
    if not has_ssim(*clips.shape[-2:]):
        height, width = clips.shape[-2:]
        raise ValueError(
            f"SSIM compares windows of {SSIM_WINDOW} pixels and these images have {height} x {width}: "
            "use larger images, or PSNR, which has no window"
        )
    x, y = (rearrange(_intensities(clip), "B C T H W -> B T C H W") for clip in (decoded, clips))
    above, beside = (_gaussian_windows(side).to(x) for side in clips.shape[-2:])
    mean_x, mean_y, square_x, square_y, product = (above.T @ part @ beside for part in (x, y, x * x, y * y, x * y))
    luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
    variances = (square_x - mean_x**2) + (square_y - mean_y**2)
    structure = (2 * (product - mean_x * mean_y) + 0.03**2) / (variances + 0.03**2)
    return (luminance * structure).mean(dim=(1, 2, 3, 4)).to(clips)


def has_ssim(height: int, width: int) -> bool:
    """Whether images of that size are large enough for SSIM."""
    return min(height, width) >= SSIM_WINDOW


def codebook_usage(tokens: Tensor, vocab_size: int) -> float:
    """Return the share of the vocabulary that occurs in int64 tokens of any shape."""
    return len(tokens.unique()) / vocab_size


def perplexity(tokens: Tensor, vocab_size: int) -> float:
    """Return the codes in effective use: e to the entropy of the histogram of int64 tokens of any shape."""
    return math.exp(unigram_entropy(tokens, vocab_size))


def rate_bits_per_pixel(codes: float, tokens: int, pixels: int) -> float:
    """Return the rate of clips coded as tokens, in bits per pixel.

    It says what it costs to store or send the tokens one by one, not how likely a model finds them.

    Args:
        codes: the size of the vocabulary for the rate of a fixed-length code; the perplexity for that of the best
            code that treats tokens one by one.
        tokens: tokens per clip.
        pixels: pixels per clip, those of all frames together.
    """
    return math.log2(codes) * tokens / pixels


def _intensities(clips: Tensor) -> Tensor:
    """Return clips in [-1, 1] as float64 in [0, 1].

    A variance is the difference of a mean square and a squared mean, whose digits float32 loses in flat areas.
    """
    precise = clips.cpu() if clips.device.type == "mps" else clips  # Apple's GPUs have no float64
    return (precise.double() + 1) / 2


def _gaussian_windows(side: int) -> Tensor:
    """Return the weights (side, side - 10) of the pixels of a row or column in each window that lies within it."""
    steps = torch.arange(SSIM_WINDOW, dtype=torch.float64) - SSIM_WINDOW // 2
    weights = torch.exp(-(steps**2) / (2 * SSIM_SIGMA**2))
    count = side - SSIM_WINDOW + 1
    windows = torch.zeros(side, count, dtype=torch.float64)
    for step, weight in enumerate(weights / weights.sum()):
        windows[torch.arange(count) + step, torch.arange(count)] = weight
    return windows
