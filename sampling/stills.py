"""A completion as one image: panels beside one another for images, film strips below one another for clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from data.drawing import CAPTION, MARGIN, draw_text, stack_images, text_width
from sampling.completion import Completion
from sampling.panels import BORDER, COLOURS, GIVEN, HIDDEN, IMAGINED, Panel, paint, scale_for

COLUMNS = 8
"""Panels in a row, at most."""
STRIP = 12
"""Frames of a film strip, at most."""
WINDOW_START = "darkorange"
"""Colour of the mark where a new window begins to sample."""
MIN_WIDTH = 300
"""Pixels, so that a title has room above a single small image."""

SQUARE = ((0, 4, 10, 14),)
LINE = ((4, 2, 6, 16),)
DASHES = ((4, 2, 6, 6), (4, 10, 6, 14))
"""Boxes (left, top, right, bottom) in pixels that make up a sign."""


@dataclass(frozen=True)
class Sign:
    """A colour or line of a still or video, and what it means."""

    shape: tuple[tuple[int, int, int, int], ...]
    colour: str
    meaning: str


def draw_still(
    completion: Completion, panels: Sequence[Panel], title: str, fps: float | None, side: int
) -> Image.Image:
    """Draw panels, each about `side` pixels high, below a title.

    Strips of clips show at most `STRIP` evenly spaced frames, with their times if `fps` is given; a black line
    stands where the prompt ends, a dashed one where a new window begins.
    """
    scale = scale_for(panels[0], side)
    images = completion.continuations.shape[2] == 1
    body = _draw_tiles(panels, scale) if images else _draw_strips(completion, panels, fps, scale)
    return stack_images([draw_title(title, max(body.width, MIN_WIDTH)), body])


def draw_title(title: str, width: int) -> Image.Image:
    """Draw one line of text, cut to `width` pixels."""
    line = Image.new("RGB", (width, CAPTION + MARGIN), "white")
    draw_text(ImageDraw.Draw(line), (MARGIN, MARGIN), title, width - 2 * MARGIN)
    return line


def draw_legend(signs: Sequence[Sign], width: int) -> Image.Image:
    """Draw signs with their meaning, in as many lines as `width` pixels make of them."""
    width = max(width, MIN_WIDTH)
    corners = []
    x = MARGIN
    y = 0
    for sign in signs:
        needed = CAPTION + text_width(sign.meaning) + 3 * MARGIN
        if x + needed > width and x > MARGIN:
            x = MARGIN
            y = y + CAPTION
        corners.append((x, y))
        x += needed
    canvas = Image.new("RGB", (width, y + CAPTION + MARGIN), "white")
    pen = ImageDraw.Draw(canvas)
    for sign, (x, y) in zip(signs, corners, strict=True):
        for left, top, right, bottom in sign.shape:
            pen.rectangle((x + left, y + top, x + right, y + bottom), fill=sign.colour)
        draw_text(pen, (x + CAPTION, y), sign.meaning, width)
    return canvas


def colour_signs(panels: Sequence[Panel]) -> list[Sign]:
    """Return what the colours mean that occur in panels."""
    present = {mark for panel in panels for mark in np.unique(panel.marks).tolist()}
    return [
        Sign(SQUARE, f"rgb{tuple(COLOURS[mark].tolist())}", meaning)
        for mark, meaning in ((GIVEN, "given"), (IMAGINED, "imagined"), (HIDDEN, "not shown"))
        if mark in present
    ]


def line_signs(completion: Completion) -> list[Sign]:
    """Return what the lines between the frames of strips mean."""
    ends = [Sign(LINE, "black", "prompt ends")] if prompt_ends(completion.given_pixels.numpy()) else []
    return ends + ([Sign(DASHES, WINDOW_START, "new window")] if completion.window_starts else [])


def arrange_panels(height: int, width: int, count: int) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Return where `count` equal panels with captions go, row by row.

    Args:
        height: of each panel, in pixels.
        width: of each panel.
        count: of panels.

    Returns:
        The upper left corner (x, y) of each, and width and height of the whole.
    """
    columns = min(COLUMNS, count)
    step = (width + MARGIN, height + CAPTION + MARGIN)
    corners = [(MARGIN + index % columns * step[0], index // columns * step[1]) for index in range(count)]
    return corners, (columns * step[0] + MARGIN, -(-count // columns) * step[1])


def prompt_ends(given: NDArray[np.bool_]) -> list[int]:
    """Return the frames of which other pixels are given than of the frame before, of `given` (T, H, W)."""
    return [frame for frame in range(1, len(given)) if (given[frame] != given[frame - 1]).any()]


def _draw_tiles(panels: Sequence[Panel], scale: int) -> Image.Image:
    painted = [paint(panel, scale)[0] for panel in panels]
    height, width = painted[0].shape[:2]
    corners, size = arrange_panels(height, width, len(panels))
    canvas = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(canvas)
    for panel, pixels, (x, y) in zip(panels, painted, corners, strict=True):
        canvas.paste(Image.fromarray(pixels), (x, y))
        draw_text(pen, (x, y + height), panel.caption, width)
    return canvas


def _draw_strips(completion: Completion, panels: Sequence[Panel], fps: float | None, scale: int) -> Image.Image:
    frames = completion.continuations.shape[2]
    shown = range(0, frames, -(-frames // STRIP))
    painted = [paint(Panel(panel.caption, panel.pixels[shown], panel.marks[shown]), scale) for panel in panels]
    height, width = painted[0].shape[1:3]
    left = 2 * MARGIN + max(text_width(panel.caption) for panel in panels)
    size = (left + len(shown) * (width + MARGIN), CAPTION + len(panels) * (height + MARGIN))
    canvas = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(canvas)
    times = [] if fps is None else [f"{round(frame / fps, 2):g} s" for frame in shown]
    for column, time in enumerate(times):
        draw_text(pen, (left + column * (width + MARGIN) + BORDER, 0), time, width)
    for row, (panel, strip) in enumerate(zip(panels, painted, strict=True)):
        y = CAPTION + row * (height + MARGIN)
        draw_text(pen, (MARGIN, y + (height - CAPTION) // 2), panel.caption, left)
        for column, pixels in enumerate(strip):
            canvas.paste(Image.fromarray(pixels), (left + column * (width + MARGIN), y))
    _mark_borders(pen, completion, shown, left, width, size[1])
    return canvas


def _mark_borders(
    pen: ImageDraw.ImageDraw, completion: Completion, shown: range, left: int, width: int, bottom: int
) -> None:
    """Draw lines from top to bottom between the frames where the prompt ends and where windows begin."""
    ends = prompt_ends(completion.given_pixels.numpy())
    for column in range(1, len(shown)):
        x = left + column * (width + MARGIN) - MARGIN
        passed = range(shown[column - 1] + 1, shown[column] + 1)
        if any(frame in passed for frame in ends):
            pen.rectangle((x, 0, x + 2, bottom), fill="black")
        if any(frame in passed for frame in completion.window_starts):
            for y in range(0, bottom, 12):
                pen.rectangle((x + 3, y, x + 5, y + 6), fill=WINDOW_START)
