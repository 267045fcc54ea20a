"""What there is to see of a completion: clips of which every pixel is given, imagined or not shown, and heat maps.

Everything given is outlined in blue, everything imagined in red, whatever the shape of the prompt; grey is what was
not shown. A heat map lays the model's entropy over the continuations: how uncertain it was at each position.

Axes: T frames, H rows, W columns of pixels; t, h, w of the token grid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw
from torch import Tensor

from data.drawing import CAPTION, MARGIN, draw_text, text_width
from data.frames import to_uint8
from sampling.completion import Completion
from sampling.heat import HEAT

PLAIN, GIVEN, IMAGINED, HIDDEN = range(4)
"""What a pixel can be; `PLAIN` where the question does not arise."""
COLOURS = np.array([ImageColor.getrgb(name) for name in ("white", "mediumblue", "crimson", "grey")], dtype=np.uint8)
"""(4, 3): the colour that stands for each; blue is much darker than red, so that they stay apart in grey."""
BORDER = 3
"""Width in pixels of the frame around an image."""
LINE = 2
"""Width in pixels of the line along each side of a change inside an image."""
HEAT_SHARE = 0.65
"""Of the heat in a pixel; the rest is the image in grey."""


@dataclass(frozen=True)
class Panel:
    """One clip of an image or video with its caption."""

    caption: str
    pixels: NDArray[np.uint8]
    """(T, H, W, 3)."""
    marks: NDArray[np.uint8]
    """(T, H, W): `PLAIN`, `GIVEN`, `IMAGINED` or `HIDDEN`."""


def completion_panels(completion: Completion) -> list[Panel]:
    """Return the original, the prompt, the reconstruction and the continuations, all as long as the continuations.

    Where the original ends earlier it is grey from then on; what was not given is grey in the prompt. Without an
    original there are only the continuations.
    """
    frames = completion.continuations.shape[2]
    given = completion.given_pixels.numpy()
    panels = []
    if completion.original is not None:
        shown = _until(completion.original, frames)
        hidden = np.where(np.arange(frames) < completion.original.shape[1], PLAIN, HIDDEN)
        plain = np.broadcast_to(hidden.astype(np.uint8)[:, None, None], given.shape)
        prompt = np.where(given[..., None], shown, COLOURS[HIDDEN])
        panels = [Panel("original", shown, plain), Panel("prompt", prompt, _marks(given, GIVEN, HIDDEN))]
        if completion.reconstruction is not None:
            panels.append(Panel("reconstruction", _until(completion.reconstruction, frames), plain))
    return panels + continuation_panels(completion)


def continuation_panels(completion: Completion) -> list[Panel]:
    """Return the continuations alone."""
    marks = _marks(completion.given_pixels.numpy(), GIVEN, IMAGINED)
    return [
        Panel(f"continuation {number}", _until(clip, clip.shape[1]), marks)
        for number, clip in enumerate(completion.continuations, start=1)
    ]


def heat_panels(completion: Completion) -> list[Panel]:
    """Return the continuations in grey with the entropy of every sampled token over them.

    Each pixel gets the colour of the token that stands for it; what was given stays grey.
    """
    bits = completion.sampled.entropy.numpy() / math.log(2)
    levels = np.nan_to_num(bits / top_of_scale(completion) * 255).round().astype(np.uint8)
    panels = continuation_panels(completion)
    return [heated(panel, HEAT[level], ~np.isnan(at)) for panel, level, at in zip(panels, levels, bits, strict=True)]


def heated(panel: Panel, heat: NDArray[np.uint8], sampled: NDArray[np.bool_]) -> Panel:
    """Return a panel in grey with colours over it.

    Args:
        panel: of T frames, H rows and W columns.
        heat: (t, h, w, 3) colours, each over the pixels that its token stands for.
        sampled: (t, h, w): where there is a colour.
    """
    positions = np.ix_(
        *(np.arange(large) * small // large for large, small in zip(panel.marks.shape, sampled.shape, strict=True))
    )
    grey = np.broadcast_to(panel.pixels.mean(axis=-1, keepdims=True), panel.pixels.shape)
    pixels = np.where(sampled[positions][..., None], _mixed(grey, heat[positions]), grey.round().astype(np.uint8))
    return Panel(panel.caption, pixels, panel.marks)


def top_of_scale(completion: Completion) -> int:
    """Return the highest entropy of the completion, rounded up to whole bits, at least one."""
    return max(1, math.ceil(np.nan_to_num(completion.sampled.entropy.numpy()).max() / math.log(2)))


def draw_scale(top: float, words: str = "bits per token, of the model's distribution") -> Image.Image:
    """Draw the colours of heat maps from 0 to `top`, mixed with a middle grey as in the images.

    Args:
        top: of the scale.
        words: what the numbers are, and of what.
    """
    width = len(HEAT)
    height = 12
    canvas = Image.new("RGB", (width + text_width(words) + 4 * MARGIN, 2 * CAPTION + MARGIN), "white")
    ramp = _mixed(np.full((height, width, 3), 128), np.broadcast_to(HEAT, (height, width, 3)))
    canvas.paste(Image.fromarray(ramp), (MARGIN, 3))
    pen = ImageDraw.Draw(canvas)
    for value in (0.0, top / 2, float(top)):
        text = f"{value:g}"
        x = round(MARGIN + value / top * (width - text_width(text)))
        draw_text(pen, (x, CAPTION), text, width)
    draw_text(pen, (width + 3 * MARGIN, 0), words, canvas.width)
    return canvas


def paint(panel: Panel, scale: int) -> NDArray[np.uint8]:
    """Return the frames of a panel, `scale` times as large, each with a border in the colours of its marks.

    Where marks change inside an image, a line in both colours follows the change.

    Returns:
        (T, scale * H + 2 * BORDER, scale * W + 2 * BORDER, 3).
    """
    marks = panel.marks.repeat(scale, axis=1).repeat(scale, axis=2)
    framed = np.pad(marks, ((0, 0), (BORDER, BORDER), (BORDER, BORDER)), mode="edge")
    painted = COLOURS[framed]
    inside = slice(BORDER, -BORDER)
    change = _changes(marks)[..., None]
    pixels = panel.pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    painted[:, inside, inside] = np.where(change, painted[:, inside, inside], pixels)
    return painted


def scale_for(panel: Panel, side: int) -> int:
    """Return the whole number of times by which an image must grow to be about `side` pixels high."""
    return max(1, round(side / panel.pixels.shape[1]))


def _until(clip: Tensor, frames: int) -> NDArray[np.uint8]:
    """(3, T, H, W) in [-1, 1] as (frames, H, W, 3): cut, or continued in grey."""
    pixels = to_uint8(clip).permute(1, 2, 3, 0).numpy()[:frames]
    grey = np.broadcast_to(COLOURS[HIDDEN], (frames - len(pixels), *pixels.shape[1:]))
    return np.concatenate([pixels, grey])


def _marks(given: NDArray[np.bool_], there: int, elsewhere: int) -> NDArray[np.uint8]:
    return np.where(given, there, elsewhere).astype(np.uint8)


def _mixed(grey: NDArray[np.floating | np.integer], heat: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return ((1 - HEAT_SHARE) * grey + HEAT_SHARE * heat).round().astype(np.uint8)


def _changes(marks: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(T, H, W): pixels less than `LINE` away from one with another mark, up, down, left or right."""
    change = np.zeros(marks.shape, dtype=bool)
    rows = marks[:, LINE:] != marks[:, :-LINE]
    columns = marks[:, :, LINE:] != marks[:, :, :-LINE]
    change[:, LINE:] |= rows
    change[:, :-LINE] |= rows
    change[:, :, LINE:] |= columns
    change[:, :, :-LINE] |= columns
    return change
