"""Matched films beside one another, and below each the surprise of every token laid over it.

Axes: T frames, H rows, W columns of pixels as shown; t, h, w of the token grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from data.drawing import CAPTION, MARGIN, Tile, draw_grid, draw_text, stack_images
from experiments.physics.manifest import CONTROL
from experiments.physics.stimuli.sheets import BORDER, GREEN, RED
from experiments.physics.tables import FilmRow
from sampling.heat import HEAT
from sampling.panels import PLAIN, Panel, draw_scale, heated

LATENT_FRAMES = 5
"""Latent frames of a strip, at most."""
STRIP_SIDE = 96
"""Pixels of a frame of a strip."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class DrawnFilm:
    """A film with its surprise."""

    row: FilmRow
    pixels: Pixels
    """(T, H, W, 3)."""
    fps: float
    """Frames a second of these."""
    latent_frames: Sequence[int]
    """(T,) the latent frame that stands for each frame."""
    surprise: NDArray[np.float32]
    """(t, h, w); NaN where a token has none."""

    @property
    def name(self) -> str:
        """What it is, in two or three words."""
        other = "is changed" if self.row.concept == CONTROL else "cannot"
        return f"{self.row.beginning}{self.row.ending} {'can happen' if self.row.possible else other}".strip()

    @property
    def colour(self) -> tuple[int, int, int]:
        """Of its border from the event on."""
        return GREEN if self.row.possible else RED

    def heat(self, top: float) -> Pixels:
        """Return the film (T, H, W, 3) in grey with the surprise over it, from dark (0) to bright (`top`)."""
        levels = (np.nan_to_num(self.surprise) / top * 255).clip(0, 255).round().astype(np.uint8)
        at = list(self.latent_frames)
        plain = np.full(self.pixels.shape[:3], PLAIN, dtype=np.uint8)
        return heated(Panel("", self.pixels, plain), HEAT[levels][at], ~np.isnan(self.surprise)[at]).pixels


def top_of(films: Sequence[DrawnFilm]) -> float:
    """Return the top of the common scale of matched films: their largest surprise, rounded up to a whole number.

    Where it is less than 1, it stays as it is.
    """
    largest = max(float(np.nan_to_num(film.surprise).max()) for film in films)
    return float(math.ceil(largest)) if largest > 1 else largest or 1.0


def draw_video(films: Sequence[DrawnFilm], unit: str) -> Tensor:
    """Return matched films beside one another, their surprise below: (3, T, H, W) in [-1, 1]."""
    top = top_of(films)
    frames = min(len(film.pixels) for film in films)
    columns = [
        np.concatenate([_framed(film, pixels[:frames]) for pixels in (film.pixels, film.heat(top))], axis=1)
        for film in films
    ]
    body = np.concatenate(columns, axis=2)
    head = _captions([film.name for film in films], columns[0].shape[2])
    foot = np.asarray(draw_scale(top, f"{unit} per token"))
    parts = (np.broadcast_to(head, (frames, *head.shape)), body, np.broadcast_to(foot, (frames, *foot.shape)))
    width = max(part.shape[2] for part in parts)
    whole = [np.pad(part, ((0, 0), (0, 0), (0, width - part.shape[2]), (0, 0)), constant_values=255) for part in parts]
    return torch.from_numpy(np.concatenate(whole, axis=1)).permute(3, 0, 1, 2) / 127.5 - 1


def draw_strip(films: Sequence[DrawnFilm], unit: str) -> Image.Image:
    """Return the latent frames of the event as an image: a row of each film, the film first and then its surprise."""
    top = top_of(films)
    rows = []
    for film in films:
        frames = _strip_frames(film)
        row = [_tile(film, film.pixels[frame], frame) for frame in frames]
        row[0] = replace(row[0], caption=film.name)
        heat = film.heat(top)
        rows.append([*row, *(_tile(film, heat[frame], frame) for frame in frames)])
    return stack_images([draw_grid(rows, STRIP_SIDE), draw_scale(top, f"{unit} per token")])


def event_frame(film: DrawnFilm) -> int:
    """Return the first frame of the event as shown; the first of the film where its time is not known."""
    if film.row.event_first is None:
        return 0
    return next((frame for frame, at in enumerate(film.latent_frames) if at >= (film.row.event_first or 0)), 0)


def _strip_frames(film: DrawnFilm) -> list[int]:
    """Return a frame for each latent frame from the one before the event on, of films without its time from the first.

    It is the last that the latent frame stands for.
    """
    last = {latent: frame for frame, latent in enumerate(film.latent_frames)}
    first = max((film.row.event_first or 0) - 1, 0)
    end = max(film.row.event_end or film.row.latent_frames, first + 1)
    return [last[latent] for latent in sorted(last) if first <= latent < end][:LATENT_FRAMES]


def _tile(film: DrawnFilm, pixels: Pixels, frame: int) -> Tile:
    first = film.row.event_first
    after = first is not None and film.latent_frames[frame] >= first
    border = "#{:02x}{:02x}{:02x}".format(*film.colour) if after else "white"
    return Tile(Image.fromarray(pixels), f"{frame / film.fps:.2f} s", border)


def _framed(film: DrawnFilm, pixels: Pixels) -> Pixels:
    """Return frames with a border that is coloured from the event on."""
    framed = np.pad(pixels, ((0, 0), (BORDER, BORDER), (BORDER, BORDER), (0, 0)), constant_values=255)
    if film.row.event_first is not None:
        inside = framed[event_frame(film) :, BORDER:-BORDER, BORDER:-BORDER].copy()
        framed[event_frame(film) :] = film.colour
        framed[event_frame(film) :, BORDER:-BORDER, BORDER:-BORDER] = inside
    return framed


def _captions(names: Sequence[str], width: int) -> Pixels:
    line = Image.new("RGB", (width * len(names), CAPTION + MARGIN), "white")
    for index, name in enumerate(names):
        draw_text(ImageDraw.Draw(line), (index * width + MARGIN, 2), name, width - MARGIN)
    return np.asarray(line)
