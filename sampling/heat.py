"""How uncertain the model was at each place: its entropy as a heat map over the continuations."""

from __future__ import annotations

import math

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from data.drawing import CAPTION, MARGIN, draw_text, text_width
from sampling.completion import Completion
from sampling.panels import Panel, continuation_panels

HEAT = (255 * colormaps["inferno"](np.linspace(0, 1, 256))[:, :3]).round().astype(np.uint8)
"""(256, 3): from no entropy to the top of the scale."""
SHARE = 0.65
"""Of the heat in a pixel; the rest is the image in grey."""


def heat_panels(completion: Completion) -> list[Panel]:
    """Return the continuations in grey with the entropy of every sampled token over them.

    Each pixel gets the colour of the token that stands at its place; what was given stays grey.
    """
    bits = completion.entropy.numpy() / math.log(2)
    levels = np.nan_to_num(bits / top_of_scale(completion) * 255).round().astype(np.uint8)
    panels = continuation_panels(completion)
    return [_heated(panel, HEAT[level], ~np.isnan(at)) for panel, level, at in zip(panels, levels, bits, strict=True)]


def top_of_scale(completion: Completion) -> int:
    """Return the highest entropy of the completion, rounded up to whole bits, at least one."""
    return max(1, math.ceil(np.nan_to_num(completion.entropy.numpy()).max() / math.log(2)))


def draw_scale(top: int) -> Image.Image:
    """Draw the colours from 0 to `top` bits, mixed with a middle grey as in the images."""
    width, height = len(HEAT), 12
    words = "bits per token, of the model's distribution"
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


def _heated(panel: Panel, heat: NDArray[np.uint8], sampled: NDArray[np.bool_]) -> Panel:
    """Lay (t, h, w, 3) colours over a panel where (t, h, w) says so."""
    places = np.ix_(
        *(np.arange(large) * small // large for large, small in zip(panel.marks.shape, sampled.shape, strict=True))
    )
    grey = np.broadcast_to(panel.pixels.mean(axis=-1, keepdims=True), panel.pixels.shape)
    pixels = np.where(sampled[places][..., None], _mixed(grey, heat[places]), grey.round().astype(np.uint8))
    return Panel(panel.caption, pixels, panel.marks)


def _mixed(grey: NDArray[np.floating | np.integer], heat: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return ((1 - SHARE) * grey + SHARE * heat).round().astype(np.uint8)
