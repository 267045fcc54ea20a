"""Where in a token grid the event and the object of a film are.

Axes: T frames, H rows, W columns of a square clip; t, h, w of its token grid.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data.video import TIME_SLACK
from experiments.physics.manifest import Box, Film
from vqgan.tokenizer import Tokenizer

AFTER = 1
"""Latent frames of the event window behind the one in which the event is seen: a token may stand for its beginning."""


class Scale(NamedTuple):
    """How a clip becomes a grid."""

    frames: tuple[int, ...]
    """(t + 1,) frames before each latent frame, and in all."""
    fps: float
    """Of the clip."""
    size: int
    """Pixels a side of the clip."""
    grid: tuple[int, int, int]
    """Latent frames, rows and columns of tokens."""

    @classmethod
    def of(cls, tokenizer: Tokenizer, latent_frames: int) -> Scale:
        """Return the scale of clips of so many latent frames."""
        frames = tuple(tokenizer.frames_of(count) for count in range(latent_frames + 1))
        grid = tokenizer.grid(frames[-1], tokenizer.size, tokenizer.size)
        return cls(frames, tokenizer.fps, tokenizer.size, grid)

    def frame(self, seconds: float) -> int:
        """Return the first frame of the clip that is shown at a time or later."""
        return math.ceil(round((seconds - TIME_SLACK) * self.fps, 6))

    def latent_frame(self, seconds: float) -> int:
        """Return the latent frame that stands for what begins at a time; the last one for times behind the clip."""
        frame = self.frame(seconds)
        return next((index for index, end in enumerate(self.frames[1:]) if end > frame), self.grid[0] - 1)


def event_window(scale: Scale, films: Iterable[Film]) -> tuple[int, int] | None:
    """Return the first latent frame of the event of matched films, and one past the last.

    It begins with the latent frame in which the ending begins and ends `AFTER` latent frames behind the one in which
    its outcome can be seen: at once, or when the object comes from behind the occluder. Where matched films differ in
    these times, it holds all of them. None where a film does not say.
    """
    spans = []
    for film in films:
        if film.event_s is None:
            return None
        seen = max(film.event_s, film.occluded_to_s or 0.0)
        spans.append((scale.latent_frame(film.event_s), scale.latent_frame(seen) + AFTER + 1))
    return min(first for first, _ in spans), min(scale.grid[0], max(end for _, end in spans))


def object_pixels(scale: Scale, boxes: Sequence[Box], indices: NDArray[np.int64], sides: tuple[int, int]) -> Tensor:
    """Return the rectangles of a clip's pixels in which an object is: (T, H, W) bool.

    Args:
        scale: of the clip.
        boxes: of the object in one film.
        indices: (T,) of the film's frames that the clip shows.
        sides: height and width of the film in pixels; its centre is what the clip shows.
    """
    by_frame: dict[int, list[Box]] = {}
    for box in boxes:
        by_frame.setdefault(box.frame, []).append(box)
    pixels = torch.zeros(len(indices), scale.size, scale.size, dtype=torch.bool)
    for frame, index in enumerate(indices.tolist()):
        for box in by_frame.get(index, []):
            rows, columns = _in_clip(box, sides, scale.size)
            pixels[frame, rows, columns] = True
    return pixels


def object_cells(scale: Scale, pixels: Tensor) -> Tensor:
    """Return the tokens that stand for a marked pixel: (t, h, w) bool, of (T, H, W) bool."""
    t, h, w = scale.grid
    rows, columns = scale.size // h, scale.size // w
    latent = [pixels[first:end].any(dim=0) for first, end in zip(scale.frames, scale.frames[1:], strict=False)]
    return torch.stack(latent).view(t, h, rows, w, columns).any(dim=4).any(dim=2)


def cell_means(scale: Scale, values: Tensor) -> Tensor:
    """Return the mean over the pixels that each token stands for: (t, h, w), of (T, H, W); NaN counts nowhere."""
    _, h, w = scale.grid
    rows, columns = scale.size // h, scale.size // w
    latent = [values[first:end] for first, end in zip(scale.frames, scale.frames[1:], strict=False)]
    places = [frames.reshape(len(frames), h, rows, w, columns) for frames in latent]
    return torch.stack([of_latent.nanmean(dim=(0, 2, 4)) for of_latent in places])


def _in_clip(box: Box, sides: tuple[int, int], size: int) -> tuple[slice, slice]:
    """Return the rows and the columns of a box in a clip of the centre of a film; there may be none."""
    scaled = [side * size / min(sides) for side in sides]
    rows, columns = (round(length) for length in scaled)
    return (
        _pixels(box.top * scaled[0], box.bottom * scaled[0], (rows - size) // 2, size),
        _pixels(box.left * scaled[1], box.right * scaled[1], (columns - size) // 2, size),
    )


def _pixels(low: float, high: float, offset: int, size: int) -> slice:
    """Return the pixels that lie, be it in part, between two places of a scaled film whose first ones are cut off."""
    ends = math.floor(round(low - offset, 6)), math.ceil(round(high - offset, 6))
    return slice(*(min(max(end, 0), size) for end in ends))
