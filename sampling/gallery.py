"""Showing completions: a grid of pictures for images; films, GIFs and a grid of film strips for clips.

Blue frames mark what was given, red frames what the model made up; grey is what it was not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from data.images import clip_to_image
from data.pictures import Tile, draw_grid, film_strip, save_picture
from data.video import write_film
from sampling.config import PromptKind
from sampling.prompts import given_part

if TYPE_CHECKING:
    from sampling.complete import Completion

GIVEN, IMAGINED = "royalblue", "crimson"


def blank_rest(clip: Tensor, kind: PromptKind) -> Tensor:
    """Return a clip (3, T, H, W) with everything that was not given in grey."""
    given = given_part(clip[None], kind)[0]
    shown = torch.zeros_like(clip)
    shown[:, : given.shape[1], : given.shape[2]] = given
    return shown


def show_images(completion: Completion, kind: PromptKind, names: Sequence[str], out: Path) -> None:
    """Write `grid.png`: a row per item with the original, the prompt and the continuations."""
    rows = []
    for original, continuations, name in zip(completion.originals, completion.continuations, names, strict=True):
        row = [Tile(clip_to_image(clip), f"continuation {i + 1}", IMAGINED) for i, clip in enumerate(continuations)]
        if kind != "none":
            prompt = Tile(clip_to_image(blank_rest(original, kind)), "prompt", GIVEN)
            row = [Tile(clip_to_image(original), f"original {name}"[:16]), prompt, *row]
        rows.append(row)
    save_picture(out / "grid.png", draw_grid(rows, side=128))


def show_films(completion: Completion, kind: PromptKind, names: Sequence[str], fps: float, out: Path) -> None:
    """Write `grid.png`, a film strip per clip, and for each item its clips side by side as MP4 and GIF."""
    strips = []
    for number, name in enumerate(names):
        clips = list(completion.continuations[number])
        captions = [f"{name}: continuation {i + 1}" for i in range(len(clips))]
        if kind != "none":
            original = completion.originals[number]
            clips = [original, blank_rest(original, kind), *clips]
            captions = [f"{name}: original", f"{name}: prompt", *captions]
        first = clips[0].shape[1] // 2 if kind == "half-clip" else 0
        film = side_by_side(clips, [caption.rsplit(": ", 1)[1] for caption in captions], first, kind != "none")
        for suffix in (".mp4", ".gif"):
            write_film(out / f"item_{number:03d}{suffix}", film, fps)
        strips += [[Tile(film_strip(clip), caption)] for clip, caption in zip(clips, captions, strict=True)]
    save_picture(out / "grid.png", draw_grid(strips, side=64))


def side_by_side(clips: Sequence[Tensor], captions: Sequence[str], first: int, prompted: bool) -> Tensor:
    """Return one clip (3, T, H, W) that shows several beside one another with captions.

    Args:
        clips: (3, T, H, W) in [-1, 1] each; with `prompted`, original and prompt stand first.
        captions: one for each clip.
        first: the first frame that was not given, from which continuations are framed in red.
        prompted: whether original and prompt are among the clips.
    """
    frames = []
    for frame in range(clips[0].shape[1]):
        row = []
        for place, (clip, caption) in enumerate(zip(clips, captions, strict=True)):
            border = IMAGINED if frame >= first else GIVEN
            if prompted and place < 2:
                border = "white" if place == 0 or frame >= first else GIVEN
            row.append(Tile(clip_to_image(clip[:, frame]), caption, border))
        frames.append(np.asarray(draw_grid([row], side=128)))
    pixels = torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2)
    return pixels.float() / 127.5 - 1
