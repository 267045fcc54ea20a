"""The colour palette: one token per pixel of a small image, the tokenizer of Image GPT (Chen et al. 2020)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from einops import rearrange
from scipy.cluster.vq import kmeans2
from torch import Tensor

from vqgan.config import PaletteConfig
from vqgan.tokenizer import Tokenizer

# More pixels than this do not change the centres visibly.
FIT_PIXELS = 100_000

CPU_DISTANCES = 2**15
"""Distances that are held at a time on a CPU, as many as its caches hold."""
GPU_DISTANCES = 2**24
"""The same on a GPU, as many as keep it busy."""

LEVEL_ERROR = 2e-5
"""By how much, in levels, a whole level is off at most when it was written as float32 in [-1, 1]."""
COLOUR_ERROR = 1e-12
"""By how much a float32 level is off at most when it was written as float64 in [-1, 1]."""


class Palette(Tokenizer):
    """K colours; a pixel's token is the nearest of them.

    Args:
        colours: (K, 3) RGB in [-1, 1], float32; float64 keeps apart colours that are equal in all digits of float32.
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

    @property
    def encoder_reach(self) -> int:
        return 0

    @torch.no_grad()
    def encode(self, clip: Tensor) -> Tensor:
        pixels = rearrange(clip, "B C T H W -> (B T H W) C")
        return nearest_colour(pixels, self.colours).view(len(clip), *clip.shape[2:])

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        return rearrange(self.colours.float()[tokens], "B T H W C -> B C T H W").clamp(-1, 1)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *others: Any) -> None:
        """Take over the type of the colours along with them: in float32 two of them may be one."""
        saved = state_dict.get(f"{prefix}colours")
        if saved is not None:
            self.colours = self.colours.to(torch.promote_types(saved.dtype, torch.float32))
        super()._load_from_state_dict(state_dict, prefix, *others)


def nearest_colour(pixels: Tensor, colours: Tensor) -> Tensor:
    """Return the index of the nearest of (K, 3) colours to each of (R, 3) pixels, both in [-1, 1]: (R,) int64.

    Exact, in float64: k-means over images on white ground makes palettes with several whites, whose distances differ
    in the last digits of float32. Of equally near colours the first is taken. Pixels that are whole levels up to the
    rounding of float32 count as those levels, so that the tokens of an 8-bit image are those that it has in [0, 255].
    """
    red, green, blue = _exact_levels(colours).T.contiguous()
    at_once = CPU_DISTANCES if pixels.device.type == "cpu" else GPU_DISTANCES
    found = []
    for part in pixels.split(max(1, at_once // len(colours))):
        levels = _whole_levels(part)
        # One channel after the other, and subtracted before it is squared: the sum of squares cannot cancel.
        distance = (levels[:, :1] - red).square_()
        difference = levels[:, 1:2] - green
        distance.addcmul_(difference, difference)
        torch.sub(levels[:, 2:], blue, out=difference)
        distance.addcmul_(difference, difference)
        found.append(distance.argmin(dim=1))
    return torch.cat(found)


def _exact_levels(colours: Tensor) -> Tensor:
    """Return (K, 3) colours in [-1, 1] as float64 levels in [0, 255]: those of float32 that they were made of, if any.

    Colours that lie equally far on two sides of a pixel would otherwise not tie.
    """
    levels = (colours.double() + 1) * 127.5
    rounded = levels.float().double()
    return torch.where((levels - rounded).abs() < COLOUR_ERROR, rounded, levels)


def _whole_levels(pixels: Tensor) -> Tensor:
    """Return (R, 3) pixels in [-1, 1] as float64 levels in [0, 255], whole ones where float32 had to round those."""
    levels = (pixels.double() + 1) * 127.5
    rounded = levels.round()
    return torch.where((levels - rounded).abs() < LEVEL_ERROR, rounded, levels)
