"""Complete half images and half clips several times each, and show the completions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.clips import ClipFormat, Item
from data.media import Skipped, write_skipped
from gpt.model import GPT
from sampling.completion import complete_clips
from sampling.config import CompleteOptions
from sampling.gallery import show_films, show_images
from training.run_folder import environment, to_json, write_text
from vqgan.model import load_tokenizer
from vqgan.reading import clip_format, find_items, read_batches
from vqgan.tokenizer import Tokenizer


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
        show_images(completion, options.prompt, options.out)
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


def _read_input(options: CompleteOptions, tokenizer: Tokenizer) -> tuple[list[Item], Tensor, list[Skipped]]:
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
