"""Contact sheets, and films to look at: by these people judge whether events are plain to see.

Axes: T frames, H rows, W columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from data.drawing import Tile, draw_grid, save_image
from data.images import clip_to_image
from data.video import read_clip
from data.video_writing import write_video
from experiments.physics.manifest import CONTROL, Film
from experiments.physics.options import StimuliOptions

ORDER = ("AA", "BB", "AB", "BA")
"""The films of a quadruple, possible ones first."""

SHOWN = 4
"""Scenes on a contact sheet: visible and hidden ones, with a camera that stands still and one that walks."""
COLUMNS = 16
"""Frames of a film on it, at most."""

SIDE = 128
"""Pixels of a frame, about, where people look at it."""
BORDER = 6
"""Pixels around a frame of a film to look at."""
GREEN, RED = (0, 150, 60), (220, 30, 30)
"""Colours that mark endings of films that can and that cannot happen."""


def write_sheets(options: StimuliOptions, films: Sequence[Film]) -> None:
    """Write for each concept a contact sheet and a film to look at, of the first scenes.

    Args:
        options: of the set.
        films: of the whole set; their files are read.
    """
    for concept in options.concepts:
        of_concept = [film for film in films if film.concept == concept]
        names = list(dict.fromkeys(film.quadruple for film in of_concept))[:SHOWN]
        quadruples = [_quadruple(options, [film for film in of_concept if film.quadruple == name]) for name in names]
        side = options.size * max(1, round(SIDE / options.size))
        rows = [row for shown in quadruples for row in _rows(shown, options.fps)]
        save_image(options.out / "sheets" / f"{concept}.png", draw_grid(rows, side))
        look = torch.cat([_side_by_side(shown, options.fps, side) for shown in quadruples], dim=2)
        path = options.out / "look" / f"{concept}.mp4"
        path.parent.mkdir(exist_ok=True)
        write_video(path, look, options.fps)


Shown = list[tuple[Film, Tensor]]
"""The films of a quadruple with their frames, (3, T, H, W) in [-1, 1], in ORDER."""


def _quadruple(options: StimuliOptions, films: Sequence[Film]) -> Shown:
    ordered = sorted(films, key=lambda film: ORDER.index(film.versions))
    asked = (0.0, options.frames, options.fps, options.size)
    return [(film, read_clip(options.out / film.film, *asked)) for film in ordered]


def _rows(shown: Shown, fps: float) -> list[list[Tile]]:
    """Return a row of frames of each film; the first after the event has a coloured border."""
    rows = []
    for film, clip in shown:
        event = _event(film, fps)
        row = []
        for frame in _chosen(clip.shape[1], event):
            image, caption = clip_to_image(clip[:, frame]), f"{frame / fps:.2f} s"
            row.append(Tile(image, f"{caption}: event", _hexadecimal(film)) if frame == event else Tile(image, caption))
        row[0] = replace(row[0], caption=f"{film.versions}  {_kind(film)}")
        rows.append(row)
    return rows


def _side_by_side(shown: Shown, fps: float, side: int) -> Tensor:
    """Return the films beside one another, with borders that are coloured from the event on: (3, T, H, W)."""
    panels = []
    for film, clip in shown:
        colour = torch.tensor(GREEN if film.possible else RED) / 127.5 - 1
        large = clip.repeat_interleave(side // clip.shape[2], 2).repeat_interleave(side // clip.shape[3], 3)
        panel = F.pad(large, (BORDER,) * 4, value=1.0)
        inside = F.pad(torch.ones_like(large[0], dtype=torch.bool), (BORDER,) * 4)
        inside[: _event(film, fps)] = True
        panels.append(torch.where(inside, panel, colour[:, None, None, None]))
    return torch.cat(panels, dim=3)


def _chosen(frames: int, event: int) -> list[int]:
    """Return the frames on a sheet, evenly spaced, that of the event among them."""
    step = math.ceil(frames / COLUMNS)
    return list(range(event % step, frames, step))


def _event(film: Film, fps: float) -> int:
    return round((film.event_s or 0.0) * fps)


def _hexadecimal(film: Film) -> str:
    return "#{:02x}{:02x}{:02x}".format(*(GREEN if film.possible else RED))


def _kind(film: Film) -> str:
    if film.possible:
        return "can happen"
    return "is changed" if film.concept == CONTROL else "cannot"
