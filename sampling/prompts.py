"""What is given of an image or clip: always the tokens at its front, top and left.

By default the given pixels are encoded alone, so that a prompt cannot know what follows it.

Axes: B batch, T frames, H rows, W columns of pixels; t, h, w of the token grid.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from gpt.model import GPT
from sampling.options import STILL_KINDS, Prompt
from vqgan.tokenizer import Tokenizer

Size = tuple[int, int, int]


class MismatchError(ValueError):
    """A GPT and a tokenizer, or a clip, do not belong together."""


class Part(NamedTuple):
    """How much is given along each axis, from the front, the top and the left."""

    tokens: Size
    """Latent frames, rows and columns of tokens; zeros where nothing is given."""
    pixels: Size
    """Frames, rows and columns of pixels that these tokens stand for."""


def given_part(tokenizer: Tokenizer, prompt: Prompt, size: Size) -> Part:
    """Return the part of clips of (T, H, W) pixels that a prompt gives.

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
        return Part((0, 0, 0), (0, 0, 0))
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
    shown = frames if tokens[0] == t else tokens[0] * tokenizer.temporal_factor
    if prompt.kind == "first-frame":
        shown = 1
    return Part(tokens, (shown, tokens[1] * rows // h, tokens[2] * columns // w))


def describe_rounding(tokenizer: Tokenizer, prompt: Prompt, size: Size) -> str | None:
    """Return a sentence for people where a share is no whole number of token rows or columns, otherwise None."""
    if prompt.kind not in ("rows", "left") or prompt.given is None:
        return None
    axis, name = (1, "rows") if prompt.kind == "rows" else (2, "columns")
    places, given = tokenizer.grid(*size)[axis], given_part(tokenizer, prompt, size).tokens[axis]
    if abs(prompt.given * places - given) < 1e-6:
        return None
    return f"--given {prompt.given:g} of {places} token {name} is {prompt.given * places:g}: {given} are given."


def encode_prompt(tokenizer: Tokenizer, clips: Tensor, prompt: Prompt) -> Tensor:
    """Return the tokens of what is given of clips (B, 3, T, H, W) in [-1, 1].

    Returns:
        (B, t, h, w) int64 of the given part's size; (B, 0, 0, 0) where nothing is given.

    Raises:
        ValueError: see `given_part`.
    """
    tokens, pixels = given_part(tokenizer, prompt, _size(clips))
    if prompt.kind == "none":
        return clips.new_zeros(len(clips), 0, 0, 0).long()
    if prompt.encoding == "alone":
        return tokenizer.encode(_corner(clips, pixels).contiguous())
    return _corner(tokenizer.encode(clips), tokens)


def count_changed(tokenizer: Tokenizer, clips: Tensor, prompt: Prompt) -> Tensor:
    """Return how many prompt tokens of each clip differ between the encodings `alone` and `full`: (B,) int64."""
    alone, full = (encode_prompt(tokenizer, clips, replace(prompt, encoding=way)) for way in ("alone", "full"))
    return alone.ne(full).flatten(1).sum(dim=1)


def check_match(gpt: GPT, tokenizer: Tokenizer, grid: Size) -> None:
    """Refuse a GPT that cannot continue token grids of this tokenizer.

    A GPT of clips can continue grids of more latent frames than it learned, by sliding its window.

    Raises:
        MismatchError: vocabulary, weights of the tokenizer, or grid differ from what the GPT learned.
    """
    config = gpt.config
    if config.vocab_size != tokenizer.vocab_size:
        raise MismatchError(
            f"the GPT knows {config.vocab_size} tokens, the tokenizer makes {tokenizer.vocab_size}: "
            "give the tokenizer whose tokens the GPT was trained on"
        )
    if config.tokenizer and config.tokenizer != tokenizer.fingerprint:
        raise MismatchError(
            f"the GPT learned the tokens of tokenizer {config.tokenizer}, this one is {tokenizer.fingerprint}: "
            "give the tokenizer whose tokens the GPT was trained on"
        )
    if grid[1:] != config.grid[1:] or grid[0] > config.grid[0] == 1:
        raise MismatchError(f"grids of {grid} do not fit a GPT that learned grids of {config.grid}")


def _share(places: int, share: float) -> int:
    return max(1, min(places - 1, round(share * places)))


def _size(clips: Tensor) -> Size:
    frames, rows, columns = clips.shape[2:]
    return frames, rows, columns


def _corner(x: Tensor, size: Size) -> Tensor:
    """Return the front, top, left corner of the last three axes."""
    return x[..., : size[0], : size[1], : size[2]]
