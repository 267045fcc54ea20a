"""Make a colour palette from a data set."""

from __future__ import annotations

from pathlib import Path

import torch
from einops import rearrange

from data.clip_format import ClipFormat
from data.clips import read_batches
from data.items import LISTING, describe_items, find_items
from data.skipping import describe_skipped, write_skipped
from data.training_images import write_training_images
from training.progress import say_done, say_found
from vqgan.options import PaletteOptions
from vqgan.palette import FIT_PIXELS, Palette


def make_palette(options: PaletteOptions) -> Path:
    """Make a palette from the pixels of a data set (a fixed, evenly spread choice of its items) and save it.

    Raises:
        MediaError: nothing is usable, or more than half of the files are not.
        ValueError: the images have fewer colours than were asked for.
    """
    form = ClipFormat(frames=1, fps=1.0, size=options.size)
    items, skipped = find_items(options.data, form, cache=options.out / LISTING)
    say_found(data=describe_items(items), skipped=describe_skipped(skipped))
    step = max(1, len(items) * options.size**2 // (4 * FIT_PIXELS))
    clips = torch.cat([clips for _, clips in read_batches(items[::step], form, 64, skipped)])
    write_skipped(options.out / "skipped.csv", skipped)
    write_training_images(options.out, (item.source for item in items[::step]))
    pixels = rearrange(clips, "B C T H W -> (B T H W) C")
    Palette.fit(pixels, options.colours, options.size, options.seed).save_pretrained(options.out)
    following = ("secondsight vqgan encode --tokenizer", options.out, "--data", options.data, "--out TOKENS")
    say_done(options.out, *following)
    return options.out
