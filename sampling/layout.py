"""Where the given part of a clip lies in the token grid of the result, and how the GPT's window passes over it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gpt.model import GPT
from sampling.decode import FREE, check_options
from sampling.options import STILL_KINDS, Request
from sampling.prompts import Part, Size, check_match, given_part
from sampling.windows import windows
from vqgan.tokenizer import Tokenizer


@dataclass(frozen=True)
class Layout:
    """The result's size and what of it is given."""

    size: Size
    """Frames, rows and columns of pixels."""
    grid: Size
    """Latent frames, rows and columns of tokens."""
    part: Part
    """What is given, at the front, top and left."""
    seams: tuple[int, ...]
    """Frames at which a new window begins to sample."""

    @property
    def given(self) -> Tensor:
        """(t, h, w) bool: the tokens that are given."""
        return _corner_mask(self.grid, self.part.tokens)

    @property
    def given_pixels(self) -> Tensor:
        """(T, H, W) bool: the pixels that are given."""
        return _corner_mask(self.size, self.part.pixels)

    def place(self, prompt: Tensor) -> Tensor:
        """Put the tokens (B, t, h, w) of what is given into grids that are otherwise free.

        Returns:
            (B, L) int64 in raster order, `FREE` where tokens are to be sampled.
        """
        grids = prompt.new_full((len(prompt), *self.grid), FREE)
        t, h, w = self.part.tokens
        grids[:, :t, :h, :w] = prompt
        return grids.flatten(1)


def lay_out(gpt: GPT, tokenizer: Tokenizer, size: Size | None, request: Request) -> Layout:
    """Plan the continuation of clips, refusing whatever cannot be done.

    Args:
        gpt: the model.
        tokenizer: of the clips.
        size: frames, rows and columns (T, H, W) of the clips; None where nothing is given.
        request: what is asked for.

    Raises:
        MismatchError: GPT and tokenizer do not belong together, or grids do not fit the GPT.
        ValueError: what is given does not fit the clips, the result or the GPT's window; top-k or overlap is out of
            range.
    """
    size = size or (tokenizer.frames, tokenizer.size, tokenizer.size)
    result = (request.frames or _default_frames(tokenizer, size[0], request), *size[1:])
    grid = tokenizer.grid(*result)
    check_match(gpt, tokenizer, grid)
    check_options(gpt, request.sampling)
    part = given_part(tokenizer, request.prompt, size)
    if any(given > there for given, there in zip(part.tokens, grid, strict=True)):
        raise ValueError(f"a prompt of {part.tokens} tokens does not fit into a result of {grid}: give less")
    if part.tokens == grid:
        raise ValueError(f"the prompt is the whole result of {grid} tokens, and nothing is left to imagine: give less")
    free = ~_corner_mask(grid, part.tokens).flatten()
    todo = windows(gpt.config, int(free.int().argmax()), math.prod(grid), request.overlap)
    latent_frame = grid[1] * grid[2]
    seams = tuple(window.start // latent_frame * tokenizer.temporal_factor for window in todo[1:])
    return Layout(result, grid, part, seams)


def count_frames(tokenizer: Tokenizer, seconds: float) -> int:
    """Return the frames of a clip of that many seconds.

    Raises:
        ValueError: they are no whole number of latent frames; the nearest lengths that are get named.
    """
    latent = tokenizer.temporal_factor / tokenizer.fps
    count = seconds / latent
    # Lengths are typed with a few digits, such as 0.533 for 16 frames of a video with 29.97 a second.
    if count < 0.99 or abs(count - round(count)) > 0.01:
        near = [f"{number * latent:.6g}" for number in (math.floor(count), math.ceil(count)) if number]
        verb = "would be" if len(near) > 1 else "is the shortest"
        raise ValueError(
            f"--seconds {seconds:g} is no whole number of latent frames of {latent:.6g} s: {' or '.join(near)} {verb}"
        )
    return round(count) * tokenizer.temporal_factor


def _default_frames(tokenizer: Tokenizer, frames: int, request: Request) -> int:
    """Return the frames of the clip itself, unless it is a still image that is to be continued in time."""
    stays_still = request.prompt.kind in STILL_KINDS or request.prompt.kind == "left"
    return frames if frames > 1 or stays_still else tokenizer.frames


def _corner_mask(size: Size, corner: Size) -> Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    mask[: corner[0], : corner[1], : corner[2]] = True
    return mask
