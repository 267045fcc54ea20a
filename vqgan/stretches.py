"""Clips of any length as tokens, a stretch at a time, so that memory is taken for a stretch and not for the clip.

Each stretch is encoded with as many latent frames before it as its tokens depend on. So its latents are those of one
pass over the clip, up to rounding; and clips that are alike up to a frame have the same tokens up to there, bit for
bit.

Axes: T frames, H rows, W columns of pixels; t, h, w of the token grid.
"""

from __future__ import annotations

import torch
from torch import Tensor

from data.clips import as_clip
from vqgan.tokenizer import Tokenizer

STRETCH = 64
"""Latent frames of a stretch."""


def encode_in_stretches(tokenizer: Tokenizer, levels: Tensor, stretch: int = STRETCH) -> Tensor:
    """Return the tokens of a clip, on the CPU.

    A clip of one stretch is encoded in one pass. So is any clip where nobody knows how far back tokens depend on
    frames: of tokenizers of other programs, whose norms may be over all of them.

    Args:
        tokenizer: on its device.
        levels: (3, T, H, W) uint8.
        stretch: latent frames that are encoded at a time, besides those before it.

    Returns:
        (t, h, w) int64.

    Raises:
        ValueError: the clip does not divide into latent frames or tokens.
    """
    latent_frames = _latent_frames(tokenizer, levels)
    reach = tokenizer.encoder_reach
    if reach is None or latent_frames <= stretch:
        return _encode(tokenizer, levels)
    pieces = []
    for start in range(0, latent_frames, stretch):
        first = max(0, start - reach)
        end = min(latent_frames, start + stretch)
        seen = levels[:, tokenizer.frames_of(first) : tokenizer.frames_of(end)]
        pieces.append(_encode(tokenizer, seen)[start - first :])
    return torch.cat(pieces)


def _encode(tokenizer: Tokenizer, levels: Tensor) -> Tensor:
    return tokenizer.encode(as_clip(levels)[None].to(tokenizer.device))[0].cpu()


def _latent_frames(tokenizer: Tokenizer, levels: Tensor) -> int:
    return tokenizer.grid(*levels.shape[1:])[0]
