"""Token grids whose latent frames stand alone, or in another order: what controls of experiments with films learn from.

Axes: B items, L tokens of an item; t latent frames, h rows, w columns of its grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from data.tokens import StoreMetadata, TokenStore


class SingleFrames(TokenStore):
    """A token store each of whose items is one latent frame of a clip; those of a clip follow one another.

    The files are those of the whole clips: tokens lie latent frame by latent frame in them.

    Raises:
        TokenStoreError: see `TokenStore`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._clips = self.metadata
        t, h, w = self._clips.grid
        seconds = self._clips.frames / self._clips.fps / t
        self.metadata = replace(self._clips, grid=(1, h, w), frames=1)
        self.items = [replace(item, start=item.start + index * seconds) for item in self.items for index in range(t)]
        self._tokens = [tokens.reshape(-1, h * w) for tokens in self._tokens]
        self._first = self._first * t

    @property
    def clips(self) -> StoreMetadata:
        return self._clips


def shuffle_latent_frames(tokens: Tensor, grid: tuple[int, int, int], seeds: Sequence[int]) -> Tensor:
    """Return token sequences with the latent frames of each in a random order, all orders being equally likely.

    Args:
        tokens: (B, L) int64, in raster order.
        grid: latent frames, rows and columns (t, h, w) of each.
        seeds: B of them, not negative: the same seed gives the same order, with every version of every library.

    Returns:
        (B, L) int64.
    """
    # Of random words no two are alike, and their order is one of all; torch and NumPy may change how they permute.
    words = np.stack([np.random.SeedSequence(seed).generate_state(grid[0], np.uint64) for seed in seeds])
    orders = torch.from_numpy(words.argsort(axis=1))
    frames = rearrange(tokens, "B (t p) -> B t p", t=grid[0])
    return frames[torch.arange(len(tokens))[:, None], orders].flatten(1)
