"""Showing completions: a grid of pictures for images; films, GIFs and a grid of film strips for clips.

Blue frames mark what was given, red frames what the model made up; grey is what it was not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.images import clip_to_image
from data.pictures import Tile, draw_grid, film_strip, save_picture
from data.video import write_film
from sampling.completion import Completion
from sampling.config import PromptKind
from sampling.prompts import given_part

GIVEN, IMAGINED = "royalblue", "crimson"


def blank_rest(clip: Tensor, kind: PromptKind) -> Tensor:
    """Return a clip (3, T, H, W) with everything that was not given in grey."""
    given = given_part(clip[None], kind)[0]
    shown = torch.zeros_like(clip)
    shown[:, : given.shape[1], : given.shape[2]] = given
    return shown


def show_images(completion: Completion, kind: PromptKind, out: Path) -> None:
    """Write `grid.png`: a row per item with the original, the prompt and the continuations."""
    rows = []
    for original, continuations in zip(completion.originals, completion.continuations, strict=True):
        row = [Tile(clip_to_image(clip), f"continuation {i + 1}", IMAGINED) for i, clip in enumerate(continuations)]
        if kind != "none":
            prompt = Tile(clip_to_image(blank_rest(original, kind)), "prompt", GIVEN)
            row = [Tile(clip_to_image(original), "original"), prompt, *row]
        rows.append(row)
    save_picture(out / "grid.png", draw_grid(rows, side=128))


def show_films(completion: Completion, kind: PromptKind, names: Sequence[str], fps: float, out: Path) -> None:
    """Write `grid.png`, a film strip per clip, and for each item its clips side by side as MP4 and GIF."""
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, name in enumerate(names):
        clips = list(completion.continuations[number])
        captions = [f"continuation {i + 1}" for i in range(len(clips))]
        if kind != "none":
            original = completion.originals[number]
            clips = [original, blank_rest(original, kind), *clips]
            captions = ["original", "prompt", *captions]
        first = clips[0].shape[1] // 2 if kind == "half-clip" else 0
        film = side_by_side(clips, captions, first)
        for suffix in (".mp4", ".gif"):
            write_film(out / f"item_{number:03d}{suffix}", film, fps)
        rows += [[Tile(film_strip(clip), f"{name}: {text}")] for clip, text in zip(clips, captions, strict=True)]
    save_picture(out / "grid.png", draw_grid(rows, side=64))


def side_by_side(clips: Sequence[Tensor], captions: Sequence[str], first: int) -> Tensor:
    """Return one clip (3, T, H, W) that shows several beside one another with captions.

    Args:
        clips: (3, T, H, W) in [-1, 1] each.
        captions: one for each clip; continuations are framed in blue while they repeat what was given, then in red.
        first: the first frame that was not given.
    """
    frames = []
    for frame in range(clips[0].shape[1]):
        shown = IMAGINED if frame >= first else GIVEN
        row = [
            Tile(clip_to_image(clip[:, frame]), caption, shown if caption.startswith("continuation") else "white")
            for clip, caption in zip(clips, captions, strict=True)
        ]
        frames.append(np.asarray(draw_grid([row], side=128)))
    pixels = torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2)
    return pixels.float() / 127.5 - 1
