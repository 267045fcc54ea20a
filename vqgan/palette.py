"""The colour palette: one token per pixel of a small image, the tokenizer of Image GPT (Chen et al. 2020)."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from einops import rearrange
from scipy.cluster.vq import kmeans2
from torch import Tensor

from vqgan.config import PaletteConfig
from vqgan.quantizers import nearest_code
from vqgan.tokenizer import Tokenizer

# More pixels than this do not change the centres visibly.
FIT_PIXELS = 100_000


class Palette(Tokenizer):
    """K colours; a pixel's token is the nearest of them.

    Args:
        colours: (K, 3) RGB in [-1, 1].
        size: pixels a side of the images it tokenizes.
    """

    kind = "palette"
    summary = "A colour palette, the tokenizer of Image GPT (Chen et al. 2020): one token per pixel of a small image."
    tags = ("tokenizer", "palette")
    config_class = PaletteConfig
    config: PaletteConfig
    causal = True
    colours: Tensor

    def __init__(self, colours: Tensor, size: int) -> None:
        super().__init__()
        self.config = PaletteConfig(len(colours), size)
        self.register_buffer("colours", colours)

    @classmethod
    def from_config(cls, config: PaletteConfig) -> Palette:
        """Build a palette whose colours are all the same."""
        return cls(torch.zeros(config.colours, 3), config.size)

    @classmethod
    def fit(cls, pixels: Tensor, colours: int, size: int, seed: int = 0) -> Palette:
        """Make a palette by k-means over (P, 3) pixels in [-1, 1].

        Raises:
            ValueError: there are fewer distinct pixels than colours.
        """
        generator = np.random.default_rng(seed)
        values = pixels.numpy().astype(np.float64)
        if len(values) > FIT_PIXELS:
            values = values[generator.choice(len(values), FIT_PIXELS, replace=False)]
        distinct = len(np.unique(values, axis=0))
        if distinct < colours:
            raise ValueError(f"--colours {colours} is more than the {distinct} colours of the images")
        with warnings.catch_warnings():
            # A colour that loses its last pixel on the way stays where it was, which is as good a place as any.
            warnings.filterwarnings("ignore", "One of the clusters is empty")
            centres, _ = kmeans2(values, colours, iter=20, minit="++", rng=generator, missing="warn")
        return cls(torch.from_numpy(centres).float(), size)

    @torch.no_grad()
    def encode(self, clip: Tensor) -> Tensor:
        pixels = rearrange(clip, "B C T H W -> (B T H W) C")
        return nearest_code(pixels, self.colours).view(len(clip), *clip.shape[2:])

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        return rearrange(self.colours[tokens], "B T H W C -> B C T H W").clamp(-1, 1)
