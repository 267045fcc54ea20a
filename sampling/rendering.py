"""Token grids of any length to clips, in bounded memory."""

from __future__ import annotations

import torch
from torch import Tensor

from vqgan.tokenizer import Tokenizer

CHUNK = 16
"""Latent frames that are decoded at a time."""
BEFORE = 16
"""Latent frames decoded in front of them for context: more than any decoder here looks back."""
AFTER = 8
"""Latent frames decoded behind them where decoders look ahead: more than those of TATS do."""


def render(tokenizer: Tokenizer, tokens: Tensor, frames: int) -> Tensor:
    """Decode one token grid (t, h, w) to a clip of `frames` frames; a still is the last frame of its latent frame.

    Long grids are decoded in pieces, each with as much context as changes its pixels, so that the clip is that of one
    decoding up to rounding; only decoders with norms over all frames (of TATS with group norm) see each piece as a clip
    of its own.

    Returns:
        (3, T, H, W) float32 in [-1, 1], on the CPU.
    """
    after = 0 if tokenizer.causal else AFTER
    tokens = tokens.to(tokenizer.device)
    pieces = []
    for start in range(0, len(tokens), CHUNK):
        first, stop = max(0, start - BEFORE), min(len(tokens), start + CHUNK)
        clip = tokenizer.decode(tokens[None, first : stop + after])[0]
        factor = clip.shape[1] // len(tokens[first : stop + after])
        pieces.append(clip[:, (start - first) * factor : (stop - first) * factor].cpu())
    return torch.cat(pieces, dim=1)[:, -frames:]
