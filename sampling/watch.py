"""Training a GPT and looking at what it imagines meanwhile."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gpt.model import GPT
from gpt.options import TrainOptions
from gpt.train import train
from sampling.decode import generate

SAMPLES = 4


def train_and_watch(options: TrainOptions) -> Path:
    """Train a GPT, with samples every `options.sample_every` steps; see `gpt.train.train`."""
    return train(options, draw_samples)


def draw_samples(gpt: GPT, held: Tensor) -> Tensor:
    """Return what a GPT imagines from nothing, and how it continues halves of grids that it does not learn from.

    The same random numbers decide at every step of training, so that samples differ by what was learned in between.

    Args:
        gpt: the model; it is put into evaluation mode for the sampling and back afterwards.
        held: (B, L) int64 held-out tokens, whose first `SAMPLES` are used.

    Returns:
        (2, n, t, h, w) int64 token grids: those from nothing, then those whose first half (the upper one of images,
        the earlier one of clips) was given.
    """
    held = held[:SAMPLES].to(gpt.device)
    training, window = gpt.training, gpt.config.window
    gpt.eval()
    nothing = generate(gpt, held[:, :0], window)
    halves = generate(gpt, held[:, : _half(gpt.config.grid)], window)
    gpt.train(training)
    return torch.stack([nothing, halves]).reshape(2, len(held), *gpt.config.grid)


def _half(grid: tuple[int, int, int]) -> int:
    """Return the tokens of the first half of a grid (t, h, w): of its latent frames, or of the rows of a still."""
    t, h, w = grid
    return t // 2 * h * w if t > 1 else h // 2 * w
