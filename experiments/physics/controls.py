"""What any measure of surprise must be held against: numbers of the same form that no trained model made.

A test that one of them passes asks for nothing that a model would have to know.

Axes: T frames, H rows, W columns of a clip; t, h, w of its token grid.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from experiments.diversity.baselines import compressed_bits
from experiments.physics.places import Scale, cell_means

COMPRESSOR_MEMORY = 1 << 18
"""Bytes of the frames before a latent frame that a compressor knows, at most: 21 frames of 64 pixels a side."""


class Material(NamedTuple):
    """A film in the forms of which controls are computed."""

    scale: Scale
    levels: Tensor
    """(3, T, H, W) uint8."""
    tokens: Tensor
    """(t, h, w) int64."""
    shown: Tensor
    """(3, T, H, W) in [-1, 1]: what the tokenizer makes of it."""

    @property
    def pixels(self) -> Tensor:
        """(3, T, H, W) in [0, 1]."""
        return self.levels.float() / 255


def copy_of_last_frame(material: Material) -> Tensor:
    """Return where a copy of the latent frame before is wrong: (t, h, w), 1 for another token and 0 for the same.

    The first latent frame, before which there is none, is NaN.
    """
    tokens = material.tokens
    wrong = torch.full(tokens.shape, torch.nan)
    wrong[1:] = (tokens[1:] != tokens[:-1]).float()
    return wrong


def pixel_difference(material: Material) -> Tensor:
    """Return the mean absolute difference of pixels in [0, 1] to the frame before: (t, h, w)."""
    pixels = material.pixels
    change = torch.full(pixels.shape[1:], torch.nan)
    change[1:] = (pixels[:, 1:] - pixels[:, :-1]).abs().mean(dim=0)
    return cell_means(material.scale, change)


def zero_prediction(material: Material) -> Tensor:
    """Return the mean squared pixel in [-1, 1]: (t, h, w), the error of a model whose predictions are set to zero.

    An evaluation that has such a slip measures how bright and rich in contrast films are.
    """
    return cell_means(material.scale, (2 * material.pixels - 1).square().mean(dim=0))


def compressor(material: Material) -> Tensor:
    """Return the bits by which LZMA's code of the pixels grows with each latent frame, shared by its tokens: (t, h, w).

    Before it lie the frames of `COMPRESSOR_MEMORY`. Where the code becomes shorter, as of few bytes it may, it is 0.
    """
    t, h, w = material.scale.grid
    pictures = rearrange(material.levels, "C T H W -> T H W C").numpy()
    known = COMPRESSOR_MEMORY // pictures[0].nbytes
    bits = torch.empty(t, 1, 1)
    ends = material.scale.frames
    together, begins = 0, 0  # bits of the frames up to here, and the first of them
    for index, (first, end) in enumerate(pairwise(ends)):
        remembered = max(0, first - known)
        before = together if remembered == begins else _bits(pictures[remembered:first])
        begins = remembered
        together = _bits(pictures[begins:end])
        bits[index] = max(0, together - before)
    return (bits / (h * w)).expand(t, h, w).contiguous()


def _bits(pictures: NDArray[np.uint8]) -> int:
    return compressed_bits(pictures) if len(pictures) else 0


def reconstruction_error(material: Material) -> Tensor:
    """Return the mean squared error of the tokenizer's reconstruction, pixels in [0, 1]: (t, h, w)."""
    error = (material.pixels - (material.shown + 1) / 2).square().mean(dim=0)
    return cell_means(material.scale, error)


class Control(NamedTuple):
    """A control that is computed of a film alone."""

    measure: Callable[[Material], Tensor]
    unit: str
    """Of its numbers, per token."""
    localised: bool = True
    """Whether it tells the tokens of a latent frame apart."""


CONTROLS: dict[str, Control] = {
    "copy": Control(copy_of_last_frame, "share of tokens"),
    "pixel-difference": Control(pixel_difference, "of 1, from black to white"),
    "compressor": Control(compressor, "bits", localised=False),
    "zero": Control(zero_prediction, "squared, pixels in [-1, 1]"),
    "reconstruction": Control(reconstruction_error, "squared, pixels in [0, 1]"),
}
"""The controls by the name of the model that they stand for."""
