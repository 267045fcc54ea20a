"""How faithful reconstructions are, and how much of the vocabulary is in use."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from data.tokens import unigram_entropy

MAX_PSNR = 100.0
"""dB of the highest PSNR that is reported, that of a mean square error of 1e-10 on the scale [0, 1]. Without any error it
would be infinite, which no mean bears and JSON does not know; half a level of 8 bits at every pixel is 54 dB."""
SSIM_WINDOW = 11
"""Pixels a side of the window of SSIM, and so of the smallest image that has one."""


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
    x, y = (rearrange((clip.float() + 1) / 2, "B C T H W -> (B T) C H W") for clip in (decoded, clips))
    _, similarity = structural_similarity_index_measure(
        x, y, sigma=1.5, data_range=1.0, k1=0.01, k2=0.03, reduction="none", return_full_image=True
    )
    # The map is as large as the image: at its border, windows look at pixels that are mirrored.
    border = SSIM_WINDOW // 2
    within = similarity[..., border:-border, border:-border]
    return rearrange(within.mean(dim=(1, 2, 3)), "(B T) -> B T", B=len(clips)).mean(dim=1)


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
