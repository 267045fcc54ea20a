"""Continuations of prompts: what was given, what was made of it, and what really followed."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from gpt.model import GPT
from sampling.config import PromptKind, SamplingOptions
from sampling.decode import generate
from sampling.prompts import check_match, encode_prompt
from vqgan.tokenizer import Tokenizer


@dataclass(frozen=True)
class Completion:
    """Continuations of B prompts, n each."""

    originals: Tensor
    """The clips (B, 3, T, H, W) in [-1, 1]."""
    continuations: Tensor
    """(B, n, 3, T, H, W) in [-1, 1], the given part decoded from the prompt's tokens."""
    tokens: Tensor
    """(B, n, L) int64, prompt included."""
    truth: Tensor
    """(B, L) int64: the tokens of the originals."""
    given: int
    """Tokens of the prompt."""


def complete_clips(
    gpt: GPT,
    tokenizer: Tokenizer,
    clips: Tensor,
    kind: PromptKind,
    n: int,
    sampling: SamplingOptions | None = None,
    seed: int = 0,
) -> Completion:
    """Continue each of (B, 3, T, H, W) clips `n` times from the part of it that is given.

    Raises:
        MismatchError: GPT, tokenizer and clips do not belong together.
    """
    grid = tokenizer.grid(*clips.shape[2:])
    check_match(gpt, tokenizer, grid)
    prompt = encode_prompt(tokenizer, clips, kind)
    options = asdict(sampling or SamplingOptions())
    tokens = generate(gpt, prompt, int(np.prod(grid)), n, seed=seed, **options)
    decoded = [
        tokenizer.decode(rearrange(rows, "n (t h w) -> n t h w", t=grid[0], h=grid[1]))[:, :, -clips.shape[2] :]
        for rows in tokens
    ]
    return Completion(clips, torch.stack(decoded), tokens, tokenizer.encode(clips).flatten(1), given=prompt.shape[1])
