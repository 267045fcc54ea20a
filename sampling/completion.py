"""Continuations of prompts: what was given, what was made of it, and what really followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gpt.model import GPT
from sampling.decode import sample
from sampling.layout import Layout, lay_out
from sampling.options import Request
from sampling.prompts import encode_prompt
from sampling.rendering import render
from vqgan.tokenizer import Tokenizer


@dataclass(frozen=True)
class Completion:
    """The n continuations of one item, all on the CPU.

    The result's T' frames and t' latent frames may be more than the T and t of the original.
    """

    original: Tensor | None
    """(3, T, H, W) in [-1, 1]; None where nothing was given."""
    reconstruction: Tensor | None
    """(3, T, H, W) in [-1, 1]: what the tokenizer makes of the original."""
    continuations: Tensor
    """(n, 3, T', H, W) in [-1, 1], the given part decoded from the prompt's tokens."""
    tokens: Tensor
    """(n, t', h, w) int64, given ones included."""
    truth: Tensor | None
    """(t, h, w) int64: the tokens of the original."""
    given: Tensor
    """(t', h, w) bool: tokens that were given."""
    given_pixels: Tensor
    """(T', H, W) bool: pixels that were given."""
    log_probability: Tensor
    """(n, t', h, w) float32: log-probability of each token under the model, in nats; NaN where given, and for the
    first token of a model without a start token."""
    entropy: Tensor
    """(n, t', h, w) float32: entropy of the model's distribution there, in nats; NaN at the same places."""
    seams: tuple[int, ...]
    """Frames at which a new window begins to sample."""


@dataclass(frozen=True)
class Drawn:
    """What was sampled for one item: the fields of `Completion` of the same names."""

    tokens: Tensor
    log_probability: Tensor
    entropy: Tensor


def complete_clips(
    gpt: GPT, tokenizer: Tokenizer, clips: Tensor | None, request: Request, items: Sequence[int] | None = None
) -> list[Completion]:
    """Continue each clip from the part of it that is given.

    Args:
        gpt: the model.
        tokenizer: of the tokens that it learned, on the same device.
        clips: (B, 3, T, H, W) in [-1, 1]; None where nothing is given, which makes one item.
        request: what is given, and what is asked for.
        items: number of each clip among all those of a run, on which chance depends; by default 0 to B - 1.

    Raises:
        MismatchError: GPT, tokenizer and clips do not belong together.
        ValueError: prompt, result and window do not fit.
    """
    size = None if clips is None else (clips.shape[2], clips.shape[3], clips.shape[4])
    layout = lay_out(gpt, tokenizer, size, request)
    drawn = draw(gpt, tokenizer, clips, layout, request, items)
    originals = [None] if clips is None else list(clips)
    return [assemble(tokenizer, clip, layout, one) for clip, one in zip(originals, drawn, strict=True)]


def draw(
    gpt: GPT,
    tokenizer: Tokenizer,
    clips: Tensor | None,
    layout: Layout,
    request: Request,
    items: Sequence[int] | None = None,
) -> Iterator[Drawn]:
    """Sample the continuations of clips that `layout` was made for; see `complete_clips`."""
    device = gpt.device
    if clips is None:
        prompt = torch.zeros(1, 0, 0, 0, dtype=torch.int64, device=device)
    else:
        prompt = encode_prompt(tokenizer, clips.to(device), request.prompt)
    given = layout.place(prompt)
    sampled = sample(gpt, given, request.n, request.sampling, request.seed, items, request.overlap)
    parts = (sampled.tokens, sampled.log_probability, sampled.entropy)
    for tokens, *scores in zip(*(part.cpu().unflatten(2, layout.grid) for part in parts), strict=True):
        yield Drawn(tokens, *(score.masked_fill(layout.given, torch.nan) for score in scores))


def assemble(tokenizer: Tokenizer, clip: Tensor | None, layout: Layout, drawn: Drawn) -> Completion:
    """Decode what was sampled for an item, and set it beside the item's clip (3, T, H, W), if there is one."""
    truth = reconstruction = None
    if clip is not None:
        truth = tokenizer.encode(clip[None].to(tokenizer.device))[0].cpu()
        reconstruction = render(tokenizer, truth, clip.shape[1])
    return Completion(
        original=clip,
        reconstruction=reconstruction,
        continuations=torch.stack([render(tokenizer, tokens, layout.size[0]) for tokens in drawn.tokens]),
        tokens=drawn.tokens,
        truth=truth,
        given=layout.given,
        given_pixels=layout.given_pixels,
        log_probability=drawn.log_probability,
        entropy=drawn.entropy,
        seams=layout.seams,
    )
