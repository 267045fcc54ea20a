"""Does a prompt know the future? Replace what is not given and count the prompt tokens that change.

Given is half of the token grid, as with `--prompt half-clip` and `half-image`: of clips the latent frames of the first
half, of stills the rows of tokens of the upper half (of an odd number the smaller part). All that follows these is
replaced by its negative, and the tokens of the given half are compared with those of the unchanged item, both encoded
whole. A tokenizer that is causal in time changes none.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from data.clips import read_batches
from data.items import LISTING, describe_items, find_items, split_items
from data.playroom.make import render_clip
from data.skipping import describe_skipped, write_skipped
from storage.files import to_json, write_text
from training.processes import best_device, describe_device
from training.progress import say_done, say_found
from vqgan.grouping import describe_groups, group_by_of
from vqgan.model import load_tokenizer
from vqgan.options import LeakageOptions
from vqgan.tokenizer import Tokenizer

LEAST_PIXELS = 32
"""Pixels a side of the clips on which leakage is measured at import, where the tokenizer takes so few."""


def prompt_changes(tokenizer: Tokenizer, clips: Tensor) -> Tensor:
    """Return which prompt tokens of clips (B, 3, T, H, W) change with what is not given.

    Returns:
        (B, t // 2, h, w) bool for clips, (B, 1, h // 2, w) for stills.

    Raises:
        ValueError: the items are one latent frame long, or one row of tokens high, so that half of them is none.
    """
    axis = 2 if clips.shape[2] > 1 else 3
    before = tokenizer.encode(clips)
    units = before.shape[axis - 1]
    if units < 2:
        unit = "latent frame" if axis == 2 else "row of tokens"
        raise ValueError(f"items of one {unit} cannot be tested for leakage: no half of it can be given as a prompt")
    shown = tokenizer.frames_of(units // 2) if axis == 2 else units // 2 * (clips.shape[axis] // units)
    given, rest = clips.split([shown, clips.shape[axis] - shown], dim=axis)
    after = tokenizer.encode(torch.cat([given, -rest], dim=axis))
    return before.ne(after).narrow(axis - 1, 0, units // 2)


def latent_frame_changes(tokenizer: Tokenizer, clips: int = 2, latent_frames: int = 4) -> float | None:
    """Return the share of a latent frame's tokens that change when all frames behind it are replaced.

    Measured in seconds, without data: on clips of the playroom, of the fewest tokens that the tokenizer takes and at
    most so many latent frames. Each of these but the last is looked at in turn; what comes behind it is replaced by its
    negative.

    Returns:
        0 to 1; None for tokenizers whose clips are one latent frame long.

    Raises:
        ValueError: the tokenizer takes no clips of so few tokens, nor of the size that it was made for.
    """
    count = min(latent_frames, tokenizer.grid(tokenizer.frames, tokenizer.size, tokenizer.size)[0])
    if count < 2:
        return None
    frames = tokenizer.frames_of(count)
    size = _least_size(tokenizer, frames)
    drawn = torch.stack([render_clip(seed=0, index=index, size=size, frames=frames) for index in range(clips)])
    before = tokenizer.encode(drawn)
    changed = []
    for latent_frame in range(count - 1):
        shown = tokenizer.frames_of(latent_frame + 1)
        given, rest = drawn.split([shown, frames - shown], dim=2)
        after = tokenizer.encode(torch.cat([given, -rest], dim=2))
        changed.append(after[:, latent_frame].ne(before[:, latent_frame]))
    return float(torch.stack(changed).double().mean())


def _least_size(tokenizer: Tokenizer, frames: int) -> int:
    """Return the fewest pixels a side, of two tokens or more, that it takes of clips of so many frames."""
    token = tokenizer.size // tokenizer.grid(tokenizer.frames, tokenizer.size, tokenizer.size)[1]
    for size in range(max(2 * token, LEAST_PIXELS // token * token), tokenizer.size, token):
        try:
            tokenizer.grid(frames, size, size)
        except ValueError:
            continue
        return size
    return tokenizer.size


def measure_leakage(options: LeakageOptions) -> dict[str, Any]:
    """Measure `prompt_changes` over a data set; write `leakage.json`, print and return it.

    Raises:
        MediaError: nothing is usable, or more than half of the files are not.
        ValueError: see `prompt_changes`.
    """
    device = best_device()
    tokenizer = load_tokenizer(options.tokenizer).to(device)
    form = tokenizer.clip_format
    group_by = group_by_of(options.tokenizer, options.group_by, options.data) if options.split != "all" else None
    items, skipped = find_items(options.data, form, cache=options.out / LISTING, group_by=group_by)
    if options.split == "validation":
        items = split_items(items)[1]
    say_found(
        device=describe_device(device),
        tokenizer=tokenizer.describe(),
        data=describe_items(items),
        split=options.split,
        **describe_groups(group_by),
        skipped=describe_skipped(skipped),
    )
    stills = form.frames == 1 or items[0].source.kind == "image"
    batches = read_batches(items, form, options.batch, skipped)
    parts = [prompt_changes(tokenizer, clips.to(device)).cpu() for _, clips in batches]
    write_skipped(options.out / "skipped.csv", skipped)
    changes = torch.cat(parts)
    axes = (0, 1, 3) if stills else (0, 2, 3)
    result = {
        "prompt_tokens_changed": float(changes.double().mean()),
        "per_row" if stills else "per_latent_frame": changes.double().mean(dim=axes).tolist(),
        "items": len(changes),
    }
    write_text(options.out / "leakage.json", to_json(result))
    print(to_json(result))
    following = ("secondsight vqgan encode --tokenizer", options.tokenizer, "--data", options.data, "--out TOKENS")
    say_done(options.out / "leakage.json", *following)
    return result
