"""Prompts: what is given of an image or clip, and where it lies in the token grid of the result.

Given are always the tokens at the front, top and left. By default the given pixels are encoded alone, so that a prompt
cannot know what follows it.

Axes: B batch, T frames, H rows, W columns of pixels; t, h, w of the token grid, of L tokens in raster order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from gpt.model import GPT
from sampling.decode import check_options
from sampling.options import STILL_KINDS, Prompt, PromptEncoding, Request
from sampling.sampled import FREE
from sampling.sliding import windows
from vqgan.tokenizer import Tokenizer

Size = tuple[int, int, int]


class PromptExtent(NamedTuple):
    """How much is given along each axis, from the front, the top and the left."""

    tokens: Size
    """Latent frames, rows and columns of tokens; zeros where nothing is given."""
    pixels: Size
    """Frames, rows and columns of pixels that these tokens stand for."""


def prompt_extent(tokenizer: Tokenizer, prompt: Prompt, size: Size) -> PromptExtent:
    """Return the extent of the part of clips of (T, H, W) pixels that a prompt gives.

    `half-image` is the upper half of an image and `rows` any share of its token rows. `half-clip` is the first half of
    a clip, of an odd number of latent frames the smaller part but at least one; `frames` is any number of its latent
    frames. `first-frame` is the first frame alone, encoded as a still: one latent frame of tokens, of which only that
    frame's pixels count as given. `left` is a share of the token columns of an image or clip. A GPT reads tokens in
    raster order, so of a `left` prompt it sees, at every moment, only the rows that it has reached: what stands further
    down or later is given, but not yet known. Shares are rounded to whole rows or columns, at least one given and one
    free.

    Raises:
        ValueError: the prompt does not fit an image, or a clip, or one so short; or the size does not divide into
            tokens.
    """
    frames, rows, columns = size
    t, h, w = tokenizer.grid(*size)
    if prompt.kind == "none":
        return PromptExtent((0, 0, 0), (0, 0, 0))
    if prompt.kind in STILL_KINDS and frames > 1:
        raise ValueError(f"--prompt {prompt.kind} gives a part of a still image, not of a clip: use --prompt half-clip")
    if prompt.kind == "half-clip" and frames == 1:
        raise ValueError("half a clip cannot be given of a still image: use --prompt half-image")
    amount = prompt.given or 0.0
    if prompt.kind == "frames" and amount > t:
        raise ValueError(f"--given {amount:g} latent frames are more than the {t} that the input's clips have")
    tokens = {
        "half-image": (t, max(1, h // 2), w),
        "half-clip": (max(1, t // 2), h, w),
        "rows": (t, _share(h, amount), w),
        "left": (t, h, _share(w, amount)),
        "frames": (int(amount), h, w),
        "first-frame": (1, h, w),
    }[prompt.kind]
    shown = frames if tokens[0] == t else tokenizer.frames_of(tokens[0])
    if prompt.kind == "first-frame":
        shown = 1
    return PromptExtent(tokens, (shown, tokens[1] * rows // h, tokens[2] * columns // w))


def describe_rounding(tokenizer: Tokenizer, prompt: Prompt, size: Size) -> str | None:
    """Return a sentence for people where a share is no whole number of token rows or columns, otherwise None."""
    if prompt.kind not in ("rows", "left") or prompt.given is None:
        return None
    axis, name = (1, "rows") if prompt.kind == "rows" else (2, "columns")
    total = tokenizer.grid(*size)[axis]
    given = prompt_extent(tokenizer, prompt, size).tokens[axis]
    wanted = prompt.given * total
    if abs(wanted - given) < 1e-6:
        return None
    return f"--given {prompt.given:g} of {total} token {name} is {wanted:g}: {given} are given."


def encode_prompt(tokenizer: Tokenizer, clips: Tensor, prompt: Prompt) -> Tensor:
    """Return the tokens of what is given of clips (B, 3, T, H, W) in [-1, 1].

    Returns:
        (B, t, h, w) int64 of the prompt's extent; (B, 0, 0, 0) where nothing is given.

    Raises:
        ValueError: see `prompt_extent`.
    """
    tokens, pixels = prompt_extent(tokenizer, prompt, size_of(clips))
    if prompt.kind == "none":
        return clips.new_zeros(len(clips), 0, 0, 0).long()
    if prompt.encoding == "alone":
        return tokenizer.encode(_corner(clips, pixels).contiguous())
    return _corner(tokenizer.encode(clips), tokens)


def count_changed(tokenizer: Tokenizer, clips: Tensor, prompt: Prompt) -> Tensor:
    """Return how many prompt tokens of each clip differ between the encodings `alone` and `full`: (B,) int64."""
    encodings: tuple[PromptEncoding, ...] = ("alone", "full")
    alone, full = (encode_prompt(tokenizer, clips, replace(prompt, encoding=encoding)) for encoding in encodings)
    return alone.ne(full).flatten(1).sum(dim=1)


def size_of(clips: Tensor) -> Size:
    """Return frames, rows and columns (T, H, W) of clips (B, 3, T, H, W)."""
    frames, rows, columns = clips.shape[2:]
    return frames, rows, columns


@dataclass(frozen=True)
class Layout:
    """The result's size, what of it is given, and how the GPT's window passes over it."""

    size: Size
    """Frames, rows and columns of pixels."""
    grid: Size
    """Latent frames, rows and columns of tokens."""
    extent: PromptExtent
    """What is given, at the front, top and left."""
    window_starts: tuple[int, ...]
    """Frames at which a new window begins to sample."""

    @property
    def given(self) -> Tensor:
        """(t, h, w) bool: the tokens that are given."""
        return _corner_mask(self.grid, self.extent.tokens)

    @property
    def tokens_to_sample(self) -> int:
        """Tokens of a continuation from the first that is not given on, with what is given behind it."""
        given = self.given.flatten().int()
        return len(given) - int(given.cumprod(dim=0).sum())

    @property
    def given_pixels(self) -> Tensor:
        """(T, H, W) bool: the pixels that are given."""
        return _corner_mask(self.size, self.extent.pixels)

    def place(self, prompt: Tensor) -> Tensor:
        """Put the tokens (B, t, h, w) of what is given into grids that are otherwise free.

        Returns:
            (B, L) int64 in raster order, `FREE` where tokens are to be sampled.
        """
        grids = prompt.new_full((len(prompt), *self.grid), FREE)
        t, h, w = self.extent.tokens
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
    gpt.config.check_tokens(grid, tokenizer.vocab_size, tokenizer.fingerprint, longer=True)
    check_options(gpt, request.sampling)
    extent = prompt_extent(tokenizer, request.prompt, size)
    if any(given > there for given, there in zip(extent.tokens, grid, strict=True)):
        raise ValueError(f"a prompt of {extent.tokens} tokens does not fit into a result of {grid}: give less")
    if extent.tokens == grid:
        raise ValueError(f"the prompt is the whole result of {grid} tokens, and nothing is left to imagine: give less")
    free = ~_corner_mask(grid, extent.tokens).flatten()
    todo = windows(gpt.config, int(free.int().argmax()), math.prod(grid), request.overlap)
    latent_frame = grid[1] * grid[2]
    starts = tuple(tokenizer.frames_of(window.start // latent_frame) for window in todo[1:])
    return Layout(size=result, grid=grid, extent=extent, window_starts=starts)


def count_frames(tokenizer: Tokenizer, seconds: float) -> int:
    """Return the frames of a clip of that many seconds.

    Raises:
        ValueError: they are no whole number of latent frames; the nearest lengths that are get named.
    """
    latent = tokenizer.temporal_factor / tokenizer.fps
    first = tokenizer.frames_of(1) / tokenizer.fps
    count = 1 + (seconds - first) / latent
    # Lengths are typed with a few digits, such as 0.533 for 16 frames of a video with 29.97 a second.
    if count < 0.99 or abs(count - round(count)) > 0.01:
        lengths = [tokenizer.frames_of(whole) for whole in (math.floor(count), math.ceil(count)) if whole > 0]
        near = [f"{frames / tokenizer.fps:.6g}" for frames in lengths]
        verb = "would be" if len(near) > 1 else "is the shortest"
        raise ValueError(
            f"--seconds {seconds:g} is no whole number of latent frames of {latent:.6g} s: {' or '.join(near)} {verb}"
        )
    return tokenizer.frames_of(round(count))


def _share(count: int, share: float) -> int:
    """Return a share of so many rows or columns, at least one and not all."""
    return max(1, min(count - 1, round(share * count)))


def _corner(x: Tensor, size: Size) -> Tensor:
    """Return the front, top, left corner of the last three axes."""
    return x[..., : size[0], : size[1], : size[2]]


def _corner_mask(size: Size, corner: Size) -> Tensor:
    mask = torch.zeros(size, dtype=torch.bool)
    _corner(mask, corner).fill_(True)
    return mask


def _default_frames(tokenizer: Tokenizer, frames: int, request: Request) -> int:
    """Return the frames of the clip itself, unless it is a still image that is to be continued in time."""
    stays_still = request.prompt.kind in STILL_KINDS or request.prompt.kind == "left"
    return frames if frames > 1 or stays_still else tokenizer.frames
