"""Training a GPT and looking at what it imagines meanwhile: `secondsight gpt train`.

samples/000500.npy   token grids (2, n, t, h, w) int32: from nothing, and from the first half of held-out grids
samples/000500.png   the same decoded, where the tokenizer is at hand
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data.drawing import Tile, draw_grid, image_of, save_image
from data.tokens import TokenStore
from gpt.model import GPT
from gpt.options import TrainOptions
from gpt.train import train
from sampling.completion import render
from sampling.decode import generate
from sampling.options import NoiseKind
from storage.files import atomic_write
from storage.fingerprints import same_fingerprint
from storage.model_paths import CheckpointError
from storage.run_folder import RunFolderError, read_options
from training.processes import on_first_process
from training.progress import say_found
from vqgan.model import load_tokenizer
from vqgan.options import EncodeOptions
from vqgan.tokenizer import Tokenizer

SAMPLES = 4
"""Grids of each kind, at most."""
NOISE: NoiseKind = "inverse"
"""That of all versions, so that the samples of a run which goes on differ by what was learned alone."""


def train_and_watch(options: TrainOptions) -> Path:
    """Train a GPT, with samples every `options.sample_every` steps; see `gpt.train.train`.

    Raises:
        CheckpointError: `options.tokenizer` is no tokenizer, or another than that of the tokens.
    """
    tokenizer = find_tokenizer(options) if options.sample_every else None
    return train(options, partial(write_samples, tokenizer=tokenizer))


def find_tokenizer(options: TrainOptions) -> Tokenizer | None:
    """Return the tokenizer that shows samples, None if none was named and the one that encoded the store is gone.

    Raises:
        CheckpointError: the one that was named is no tokenizer, or another than that of the tokens.
    """
    wanted = TokenStore(options.tokens).metadata.tokenizer
    if options.tokenizer is not None:
        named = load_tokenizer(options.tokenizer)
        if not same_fingerprint(named.fingerprint, wanted):
            raise CheckpointError(
                f"--tokenizer {options.tokenizer} is {named.fingerprint}, the tokens are those of {wanted}: give the "
                "one that encoded them"
            )
        return named
    try:
        found = load_tokenizer(read_options(options.tokens, EncodeOptions).tokenizer)
        if same_fingerprint(found.fingerprint, wanted):
            return found
    except (CheckpointError, RunFolderError):
        pass
    say_found(samples="token grids only, as the tokenizer is not where it was: --tokenizer names it for images")
    return None


def write_samples(gpt: GPT, held: Tensor, path: Path, tokenizer: Tokenizer | None) -> None:
    """Sample grids and write them, and images of them, into files that begin with `path`; all processes call it.

    Args:
        gpt: the model, whose weights may be shared out among the processes.
        held: (B, L) int64 held-out tokens.
        path: of the files, without a suffix; its folder is made.
        tokenizer: shows the grids; None writes tokens alone.
    """
    grids = take_samples(gpt, held).cpu()

    def write() -> None:
        array = grids.numpy().astype(np.int32)
        atomic_write(path.with_suffix(".npy"), lambda file: np.save(file, array))
        if tokenizer is not None:
            save_image(path.with_suffix(".png"), draw_samples(tokenizer.to(gpt.device), grids))

    on_first_process(write)


def take_samples(gpt: GPT, held: Tensor) -> Tensor:
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
    training = gpt.training
    window = gpt.config.window
    gpt.eval()
    nothing = generate(gpt, held[:, :0], window, noise=NOISE)
    halves = generate(gpt, held[:, : _half(gpt.config.grid)], window, noise=NOISE)
    gpt.train(training)
    return torch.stack([nothing, halves]).reshape(2, len(held), *gpt.config.grid)


def draw_samples(tokenizer: Tokenizer, grids: Tensor) -> Image.Image:
    """Draw token grids (2, n, t, h, w) int64 as their tokenizer shows them, a row each; clips as film strips."""
    captions = ("from nothing", "from the first half")
    frames = _frames(tokenizer, grids.shape[2])
    rows = [
        [Tile(image_of(render(tokenizer, grid, frames)), caption)]
        for caption, of_kind in zip(captions, grids, strict=True)
        for grid in of_kind
    ]
    return draw_grid(rows)


def _half(grid: tuple[int, int, int]) -> int:
    """Return the tokens of the first half of a grid (t, h, w): of its latent frames, or of the rows of a still."""
    t, h, w = grid
    return t // 2 * h * w if t > 1 else h // 2 * w


def _frames(tokenizer: Tokenizer, latent_frames: int) -> int:
    """Return the frames that so many latent frames show: those of the tokenizer's clips, or the one of a still."""
    of_clips = tokenizer.grid(tokenizer.frames, tokenizer.size, tokenizer.size)[0]
    return tokenizer.frames if latent_frames == of_clips else 1
