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
from data.skipping import describe_skipped, write_skipped
from storage.files import to_json, write_text
from training.processes import best_device, describe_device
from training.progress import say_done, say_found
from vqgan.grouping import describe_groups, group_by_of
from vqgan.model import load_tokenizer
from vqgan.options import LeakageOptions
from vqgan.tokenizer import Tokenizer


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
    shown = units // 2 * (clips.shape[axis] // units)
    given, rest = clips.split([shown, clips.shape[axis] - shown], dim=axis)
    after = tokenizer.encode(torch.cat([given, -rest], dim=axis))
    return before.ne(after).narrow(axis - 1, 0, units // 2)


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
