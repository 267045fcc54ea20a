"""Completions: what was given of a clip, what was made of it, and what really followed.

Axes: B clips, n continuations of each, T frames, H rows, W columns of pixels; t, h, w of the token grid. The result's
T' frames and t' latent frames may be more than the T and t of the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gpt.model import GPT
from sampling.decode import sample
from sampling.options import Request, SamplingPrecision, WindowOption
from sampling.parallel import DecodingCounts
from sampling.prompts import Layout, encode_prompt, lay_out, size_of
from sampling.sampled import Sampled, Watch
from vqgan.tokenizer import Tokenizer

CHUNK = 16
"""Latent frames that are decoded at a time."""


@dataclass(frozen=True)
class Completion:
    """The n continuations of one item, all on the CPU."""

    original: Tensor | None
    """(3, T, H, W) in [-1, 1]; None where nothing was given."""
    reconstruction: Tensor | None
    """(3, T, H, W) in [-1, 1]: what the tokenizer makes of the original."""
    continuations: Tensor
    """(n, 3, T', H, W) in [-1, 1], the given part decoded from the prompt's tokens."""
    sampled: Sampled
    """(n, t', h, w): tokens, given ones included, and their scores, NaN where given."""
    truth: Tensor | None
    """(t, h, w) int64: the tokens of the original."""
    given: Tensor
    """(t', h, w) bool: tokens that were given."""
    given_pixels: Tensor
    """(T', H, W) bool: pixels that were given."""
    window_starts: tuple[int, ...]
    """Frames at which a new window begins to sample."""


def complete_clips(
    gpt: GPT,
    tokenizer: Tokenizer,
    clips: Tensor | None,
    request: Request,
    items: Sequence[int] | None = None,
    window: WindowOption = "auto",
    counts: DecodingCounts | None = None,
) -> list[Completion]:
    """Continue each clip from the part of it that is given.

    Args:
        gpt: the model.
        tokenizer: of the tokens that it learned, on the same device.
        clips: (B, 3, T, H, W) in [-1, 1]; None where nothing is given, which makes one item.
        request: what is given, and what is asked for.
        items: index of each clip among all those of a run, on which chance depends; by default 0 to B - 1.
        window: see `sampling.decode.sample`, also for `counts`.
        counts: where passes of the model are counted.

    Raises:
        MismatchError: GPT, tokenizer and clips do not belong together.
        ValueError: prompt, result and window do not fit.
    """
    layout = lay_out(gpt, tokenizer, None if clips is None else size_of(clips), request)
    sampled = sample_layout(gpt, tokenizer, clips, layout, request, items, window=window, counts=counts)
    originals = [None] if clips is None else list(clips)
    return [assemble(tokenizer, clip, layout, of_clip) for clip, of_clip in zip(originals, sampled, strict=True)]


def sample_layout(
    gpt: GPT,
    tokenizer: Tokenizer,
    clips: Tensor | None,
    layout: Layout,
    request: Request,
    items: Sequence[int] | None = None,
    precision: SamplingPrecision | None = None,
    window: WindowOption = "auto",
    counts: DecodingCounts | None = None,
    watch: Watch | None = None,
) -> Sampled:
    """Sample the continuations of the clips that a layout was made for; see `complete_clips`, and `sample`.

    Returns:
        (B, n, t', h, w) tokens and scores, on the CPU; the scores are NaN where tokens are given.
    """
    device = gpt.device
    if clips is None:
        prompt = torch.zeros(1, 0, 0, 0, dtype=torch.int64, device=device)
    else:
        prompt = encode_prompt(tokenizer, clips.to(device), request.prompt)
    given = layout.place(prompt)
    sampled = sample(
        gpt,
        given,
        request.n,
        request.sampling,
        request.seed,
        items,
        request.overlap,
        precision=precision,
        window=window,
        counts=counts,
        watch=watch,
    )
    return sampled.cpu().unflatten(layout.grid).hide_scores(layout.given)


def assemble(tokenizer: Tokenizer, clip: Tensor | None, layout: Layout, sampled: Sampled) -> Completion:
    """Decode what was sampled for an item, and set it beside the item's clip.

    Args:
        tokenizer: of the tokens.
        clip: (3, T, H, W) in [-1, 1]; None where nothing was given.
        layout: of the result.
        sampled: (n, t', h, w), on the CPU.
    """
    truth = reconstruction = None
    if clip is not None:
        truth = tokenizer.encode(clip[None].to(tokenizer.device))[0].cpu()
        reconstruction = render(tokenizer, truth, clip.shape[1])
    return Completion(
        original=clip,
        reconstruction=reconstruction,
        continuations=torch.stack([render(tokenizer, tokens, layout.size[0]) for tokens in sampled.tokens]),
        sampled=sampled,
        truth=truth,
        given=layout.given,
        given_pixels=layout.given_pixels,
        window_starts=layout.window_starts,
    )


def render(tokenizer: Tokenizer, tokens: Tensor, frames: int) -> Tensor:
    """Decode one token grid (t, h, w) of any length to a clip of `frames` frames, in bounded memory.

    Long grids are decoded in pieces, each with as much context as changes its pixels, so that the clip is that of one
    decoding up to rounding; only decoders with norms over all frames (of TATS with group norm) see each piece as a clip
    of its own.

    Returns:
        (3, T, H, W) float32 in [-1, 1], on the CPU.
    """
    tokens = tokens.to(tokenizer.device)
    if len(tokens) <= CHUNK:
        return tokenizer.decode_frames(tokens[None], frames)[0].cpu()
    before, after = tokenizer.decoder_reach
    pieces = []
    for start in range(0, len(tokens), CHUNK):
        first = max(0, start - before)
        stop = min(len(tokens), start + CHUNK)
        clip = tokenizer.decode(tokens[None, first : stop + after])[0]
        pieces.append(clip[:, tokenizer.frames_of(start - first) : tokenizer.frames_of(stop - first)].cpu())
    return torch.cat(pieces, dim=1)


def distances_to_truth(completion: Completion) -> list[float]:
    """Return the pixel distance of each continuation to the tokenizer's reconstruction of what really followed.

    Only what was imagined counts, and only as far as the original goes; the list is empty where that is nothing.
    """
    if completion.reconstruction is None:
        return []
    given = completion.given_pixels[: completion.reconstruction.shape[1]]
    if given.all():
        return []
    truth = imagined_pixels(completion.reconstruction, given)
    return [pixel_distance(imagined_pixels(clip, given), truth) for clip in completion.continuations]


def imagined_pixels(clip: Tensor, given: Tensor) -> Tensor:
    """Return the pixels of a clip (3, T, H, W) that were not given, as far as clip and `given` (T', H, W) go together.

    Returns:
        (3, P).
    """
    common = min(clip.shape[1], len(given))
    return clip[:, :common][:, ~given[:common]]


def pixel_distance(a: Tensor, b: Tensor) -> float:
    """Return the root mean square difference of pixels (3, T, H, W) in [-1, 1]; 1 is black against white."""
    return float(((a - b) / 2).square().mean().sqrt())
