"""How faithful reconstructions are, and how much of the vocabulary is in use."""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from data.tokens import unigram_entropy


def psnr(decoded: Tensor, clips: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each clip: (B,) in dB, over all its pixels."""
    axes = tuple(range(1, clips.ndim))
    return torch.stack(
        [
            peak_signal_noise_ratio(a[None], b[None], data_range=2.0, dim=axes, reduction="none").squeeze()
            for a, b in zip(decoded, clips, strict=True)
        ]
    )


def ssim(decoded: Tensor, clips: Tensor) -> Tensor:
    """Return the structural similarity of each clip, averaged over its frames: (B,) in [-1, 1]."""
    x, y = (rearrange(clip, "B C T H W -> (B T) C H W") for clip in (decoded, clips))
    frames = structural_similarity_index_measure(x, y, data_range=2.0, reduction="none")
    assert isinstance(frames, Tensor)  # the full map comes beside it only where it is asked for
    return rearrange(frames, "(B T) -> B T", B=len(clips)).mean(dim=1)


def codebook_usage(tokens: Tensor, vocab_size: int) -> float:
    """Return the share of the vocabulary that occurs in int64 tokens of any shape."""
    return len(tokens.unique()) / vocab_size


def perplexity(tokens: Tensor, vocab_size: int) -> float:
    """Return the codes in effective use: e to the entropy of the histogram of int64 tokens of any shape."""
    return math.exp(unigram_entropy(tokens, vocab_size))


def bits_per_pixel(codes: float, tokens: int, pixels: int) -> float:
    """Return the rate of clips coded as tokens, in bits per pixel.

    Args:
        codes: the size of the vocabulary for the rate of a fixed-length code; the perplexity for that of the best
            code that treats tokens one by one.
        tokens: tokens per clip.
        pixels: pixels per clip, those of all frames together.
    """
    return math.log2(codes) * tokens / pixels
