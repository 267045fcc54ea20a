"""Complete half images and half clips several times each, and show the completions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from data.clips import ClipFormat, Item
from data.media import Skipped, write_skipped
from gpt.model import GPT
from sampling.config import CompleteOptions, PromptKind, SamplingOptions
from sampling.decode import generate
from sampling.gallery import show_films, show_images
from sampling.prompts import check_match, encode_prompt
from training.run_folder import environment, to_json, write_text
from vqgan.model import VQGAN, load_tokenizer
from vqgan.palette import Palette
from vqgan.reading import clip_format, find_items, read_batches


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
    tokenizer: VQGAN | Palette,
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


def complete(options: CompleteOptions) -> Path:
    """Complete items of a data set and write pictures or films, `tokens.npy` and `sample.json` into `out`.

    Raises:
        MediaError: the input holds nothing usable.
        MismatchError: GPT, tokenizer and input do not belong together.
    """
    gpt, tokenizer = GPT.from_pretrained(options.gpt), load_tokenizer(options.tokenizer)
    items, clips, skipped = _read_input(options, tokenizer)
    completion = complete_clips(gpt, tokenizer, clips, options.prompt, options.n, options.sampling, options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    names = [item.source.name for item in items] or ["imagined"]
    if clips.shape[2] == 1:
        show_images(completion, options.prompt, names, options.out)
    else:
        show_films(completion, options.prompt, names, tokenizer.fps, options.out)
    np.save(options.out / "tokens.npy", completion.tokens.numpy())
    write_skipped(options.out / "skipped.csv", skipped)
    record = {
        "options": asdict(options),
        "items": [{"source": item.source.name, "start": item.start} for item in items],
        "tokenizer": tokenizer.fingerprint,
        "grid": tokenizer.grid(*clips.shape[2:]),
        "prompt_tokens": completion.given,
        "environment": environment(),
    }
    write_text(options.out / "sample.json", to_json(record))
    return options.out


def _read_input(options: CompleteOptions, tokenizer: VQGAN | Palette) -> tuple[list[Item], Tensor, list[Skipped]]:
    form = clip_format(tokenizer)
    if options.prompt == "half-image":
        form = ClipFormat(1, form.fps, form.size)
    if options.input is None:
        return [], torch.zeros(1, 3, form.frames, form.size, form.size), []
    found, skipped = find_items(options.input, form)
    count = min(options.items, len(found))
    chosen = [found[place * len(found) // count] for place in range(count)]
    batches = list(read_batches(chosen, form, len(chosen), skipped))
    return batches[0][0], batches[0][1], skipped
