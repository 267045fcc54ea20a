"""Completions as the sampler makes them, of images that tell where they come from."""

import torch

from sampling.completion import Completion
from sampling.sampled import Sampled

ORIGINAL, CONTINUED = 0.6, -0.6
"""Levels in [-1, 1] of the original and of every continuation."""


def make_completion(
    given_pixels: torch.Tensor,
    original_frames: int | None = None,
    n: int = 2,
    grid: tuple[int, int, int] = (1, 2, 2),
    window_starts: tuple[int, ...] = (),
) -> Completion:
    """A completion of n continuations like `given_pixels` (T', H, W), each latent token one part of the grid.

    The entropy counts 0, 1, 2, ... bits over the tokens of each continuation. Nothing given means no original.
    """
    frames, height, width = given_pixels.shape
    original = None
    if given_pixels.any():
        original = torch.full((3, original_frames or frames, height, width), ORIGINAL)
    pixels = [torch.arange(small) * large // small for large, small in zip(given_pixels.shape, grid, strict=True)]
    given = given_pixels[pixels[0]][:, pixels[1]][:, :, pixels[2]]
    bits = torch.arange(given.numel()).reshape(grid) * torch.log(torch.tensor(2.0))
    entropy = bits.expand(n, *grid).masked_fill(given, torch.nan)
    tokens = torch.zeros(n, *grid, dtype=torch.int64)
    return Completion(
        original=original,
        reconstruction=original,
        continuations=torch.full((n, 3, frames, height, width), CONTINUED),
        sampled=Sampled(tokens, -entropy, entropy),
        truth=None if original is None else tokens[0],
        given=given,
        given_pixels=given_pixels,
        window_starts=window_starts,
    )


def nothing(frames: int = 1, size: int = 8) -> torch.Tensor:
    """(frames, size, size) bool: no pixel is given."""
    return torch.zeros(frames, size, size, dtype=torch.bool)


def first_half(frames: int = 8, size: int = 8) -> torch.Tensor:
    """(frames, size, size) bool: the first half of a clip is given."""
    given = nothing(frames, size)
    given[: frames // 2] = True
    return given


def upper_half(size: int = 8) -> torch.Tensor:
    """(1, size, size) bool: the upper half of an image is given."""
    given = nothing(1, size)
    given[:, : size // 2] = True
    return given
