"""Drafts: guesses of tokens that are not drawn yet.

Axes: R rows, W tokens of a window, V vocabulary, L tokens of the sequences.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gpt.config import GPTConfig
from sampling.sampled import FREE


class Drafts:
    """Guesses the tokens of a stretch: what was last drawn at a position, and at first what stands one row before it.

    The row before is the same place of the latent frame before, or in images of the row above.

    Args:
        config: of the model.
        tokens: (R, L) int64, with `FREE` where none is drawn yet; read, never written.
        start: position of the first token of the stretch.
        stop: one past its last position.
    """

    def __init__(self, config: GPTConfig, tokens: Tensor, start: int, stop: int) -> None:
        t, h, w = config.grid
        self.back = h * w if t > 1 else w
        self.tokens = tokens
        self.start = start
        self.drawn = torch.full_like(tokens[:, start:stop], FREE)

    def fill(self, offsets: Tensor) -> Tensor:
        """Return the tokens at offsets (R, W) in the stretch, or the drafts of what is not drawn: (R, W) int64."""
        positions = self.start + offsets
        found = self.tokens.gather(1, positions)
        found = torch.where(found == FREE, self.drawn.gather(1, offsets), found)
        back = (positions - self.back).clamp(min=0)
        found = torch.where(found == FREE, self.tokens.gather(1, back), found)
        return found.clamp(min=0)

    def learn(self, offsets: Tensor, drawn: Tensor, logits: Tensor) -> None:
        """Keep what was drawn at offsets (R, W) in the stretch: (R, W) int64, from logits (R, W, V)."""
        self.drawn.scatter_(1, offsets, drawn)
