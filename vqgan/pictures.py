"""What a tokenizer makes of held-out clips, to be looked at while it is trained."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor

from data.drawing import Tile, draw_grid, image_of
from vqgan.metrics.reconstruction import psnr
from vqgan.tokenizer import Tokenizer

SHOWN = 4
"""Clips in a picture, at most."""
FRAMES = 4
"""Frames of each, at most."""


@torch.no_grad()
def draw_held_out(tokenizer: Tokenizer, clips: Tensor) -> Image.Image:
    """Draw the first of some clips beside their reconstructions, a row each.

    Args:
        tokenizer: in evaluation mode.
        clips: (B, 3, T, H, W) in [-1, 1], on the CPU.
    """
    shown = clips[:SHOWN]
    tokens = tokenizer.encode(shown.to(tokenizer.device))
    decoded = tokenizer.decode_frames(tokens, shown.shape[2]).cpu()
    rows = [
        [Tile(image_of(clip, FRAMES), "original"), Tile(image_of(made, FRAMES), f"{ratio:.1f} dB")]
        for clip, made, ratio in zip(shown, decoded, psnr(decoded, shown).tolist(), strict=True)
    ]
    return draw_grid(rows)
