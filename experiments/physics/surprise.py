"""The surprise of every token of a film: minus the logarithm of the probability that a GPT gave it, exactly.

A film that is longer than the window of the GPT slides through it over whole latent frames. A later window begins with
the last latent frames of the one before, its overlap, which are context and are not counted again: every latent frame
is counted once. No token's surprise depends on later tokens.

Axes: t latent frames, h rows, w columns of a token grid; L tokens of a window.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from gpt.config import GPTConfig
from gpt.model import GPT
from gpt.scoring import layers_for_scoring
from sampling.sliding import Stretch, windows

MANY_TOKENS = 1 << 20
"""Tokens of a set of films, or more: for so many, layers are packed where that makes them faster."""


def to_bits(nats: Tensor) -> Tensor:
    """Return nats as bits, float32."""
    return (nats.double() / math.log(2)).float()


class SurpriseMeter:
    """Measures the surprise of token grids under a GPT, each window of each film in a pass of its own.

    So the numbers of a film do not depend on which other films there are, nor on their order, to the last bit.

    Args:
        gpt: the model, in evaluation mode.
        overlap: latent frames of context at the beginning of later windows; half of the window's if not given.
    """

    def __init__(self, gpt: GPT, overlap: int | None = None) -> None:
        self.gpt = gpt
        self.overlap = overlap
        self._fast = layers_for_scoring(gpt, MANY_TOKENS, gpt.config.window)

    @torch.no_grad()
    def nats(self, grid: Tensor) -> Tensor:
        """Return the surprise (t, h, w) float32 in nats of a token grid (t, h, w) int64, on the CPU.

        It is NaN for a token that has no probability: the first one that a GPT without a BOS token sees.

        Raises:
            ValueError: the overlap does not fit the window.
        """
        sequence = grid.flatten()
        nats = torch.full((len(sequence),), torch.nan)
        for window in windows_over(self.gpt.config, grid.shape[0], self.overlap):
            tokens = sequence[window.first : window.stop]
            scored = self._fast.nll(tokens[None].to(self.gpt.device))[0].float().cpu()
            scored[: self.gpt.first_scored] = torch.nan
            nats[window.start : window.stop] = scored[window.start - window.first :]
        return nats.view(grid.shape)


def windows_over(config: GPTConfig, latent_frames: int, overlap: int | None = None) -> Iterator[Stretch]:
    """Yield the windows over a film; what is counted of a window begins at its `start`. All are positions of tokens.

    A GPT of single latent frames, such as one of still images, reads each by itself.

    Raises:
        ValueError: the overlap does not fit the window.
    """
    frame = config.grid[1] * config.grid[2]
    if config.grid[0] > 1:
        yield from windows(config, 0, latent_frames * frame, overlap)
        return
    for first in range(0, latent_frames * frame, frame):
        yield Stretch(first, first, first + frame)


def describe_windows(config: GPTConfig, latent_frames: int, overlap: int | None = None) -> str:
    """Return in words how a film of so many latent frames passes through the window of a GPT."""
    count = len(list(windows_over(config, latent_frames, overlap)))
    if count == 1:
        return f"{latent_frames} latent frames in one window of {config.grid[0]}"
    if config.grid[0] == 1:
        return f"{latent_frames} latent frames, each by itself"
    kept = config.grid[0] // 2 if overlap is None else overlap
    return f"{latent_frames} latent frames in {count} windows of {config.grid[0]}, {kept} of them context in later ones"
