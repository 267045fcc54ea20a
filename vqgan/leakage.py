"""Does a prompt know the future? Replace what is not given and count the prompt tokens that change.

For clips the second half is replaced by that of the next clip in the set, for stills the lower half; tokens of the
given half are compared with those of the unchanged item, both encoded whole. A tokenizer that is causal in time
changes none.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from training.run_folder import to_json, write_text
from vqgan.config import LeakageOptions
from vqgan.model import VQGAN, load_tokenizer
from vqgan.palette import Palette
from vqgan.reading import clip_format, find_items, read_batches, split_items


def prompt_changes(tokenizer: VQGAN | Palette, clips: Tensor) -> Tensor:
    """Return which prompt tokens of clips (B, 3, T, H, W) change with the half that is not given.

    Returns:
        (B, t / 2, h, w) bool for clips, (B, 1, h / 2, w) for stills.

    Raises:
        ValueError: fewer than two clips, so that there is no other half to put in.
    """
    if len(clips) < 2:
        raise ValueError("measuring leakage takes at least two items: each gets the other's second half")
    axis = 2 if clips.shape[2] > 1 else 3
    half = clips.shape[axis] // 2
    given, rest = clips.split([half, clips.shape[axis] - half], dim=axis)
    changed = torch.cat([given, rest.roll(1, dims=0)], dim=axis)
    before, after = tokenizer.encode(clips), tokenizer.encode(changed)
    prompt = slice(0, before.shape[axis - 1] // 2)
    return before.ne(after).narrow(axis - 1, 0, prompt.stop)


def measure_leakage(options: LeakageOptions) -> dict[str, float | Sequence[float] | int]:
    """Measure `prompt_changes` over a data set; write `leakage.json`, print and return it."""
    tokenizer = load_tokenizer(options.tokenizer)
    form = clip_format(tokenizer)
    items, skipped = find_items(options.data, form)
    if options.part == "validation":
        items = split_items(items)[1]
    changes = torch.cat(
        [
            prompt_changes(tokenizer, clips)
            for _, clips in read_batches(items, form, max(2, options.batch), skipped)
            if len(clips) > 1
        ]
    )
    clips = changes.shape[1] > 1 or tokenizer.frames > 1
    places = (0, 2, 3) if clips else (0, 1, 3)
    result = {
        "prompt_tokens_changed": float(changes.float().mean()),
        "per_latent_frame" if clips else "per_row": changes.float().mean(dim=places).tolist(),
        "items": len(changes),
    }
    write_text(options.out / "leakage.json", to_json(result))
    print(to_json(result))
    return result
