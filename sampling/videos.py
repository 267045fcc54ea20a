"""A completion of a clip as a video: all panels side by side above a bar that says when the model imagines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from data.drawing import CAPTION, MARGIN, draw_text, stack_images, text_width
from sampling.completion import Completion
from sampling.panels import COLOURS, GIVEN, IMAGINED, Panel, paint, scale_for
from sampling.stills import (
    LINE,
    MIN_WIDTH,
    WINDOW_START,
    Sign,
    arrange_panels,
    colour_signs,
    draw_legend,
    draw_title,
)

BAR = 10
"""Height in pixels of the bar."""


def draw_video(completion: Completion, panels: Sequence[Panel], title: str, fps: float, side: int) -> Tensor:
    """Return one clip (3, T, H, W) in [-1, 1] that shows panels about `side` pixels high beside one another.

    Captions stand below the panels. Below all of them, each frame has a piece of a bar, blue as far as the frame was
    given and red as far as it was imagined, with a mark where a new window begins; a black hand and the time in
    seconds go with the video.
    """
    painted = [paint(panel, scale_for(panel, side)) for panel in panels]
    frames, height, width = painted[0].shape[:3]
    corners, size = arrange_panels(height, width, len(panels))
    bar = _draw_bar(completion, max(size[0], MIN_WIDTH), fps)
    captions = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(captions)
    for panel, (x, y) in zip(panels, corners, strict=True):
        draw_text(pen, (x, y + height), panel.caption, width)
    heading = draw_title(title, bar.shape[2])
    still = np.asarray(stack_images([heading, captions]))
    body = np.repeat(still[None], frames, axis=0)
    for pixels, (x, y) in zip(painted, corners, strict=True):
        body[:, heading.height + y : heading.height + y + height, x : x + width] = pixels
    signs = colour_signs(panels) + ([Sign(LINE, WINDOW_START, "new window")] if completion.window_starts else [])
    legend = np.asarray(draw_legend(signs, bar.shape[2]))
    video = np.concatenate([body, bar, np.broadcast_to(legend, (frames, *legend.shape))], axis=1)
    return torch.from_numpy(video).permute(3, 0, 1, 2).float().div_(127.5).sub_(1)


def _draw_bar(completion: Completion, width: int, fps: float) -> NDArray[np.uint8]:
    """(T, height, width, 3): the bar with its hand, and the time."""
    given = completion.given_pixels.float().mean(dim=(1, 2)).tolist()
    frames = len(given)
    clock = MARGIN + text_width(f"{frames / fps:.2f} s")
    edges = np.linspace(MARGIN, width - MARGIN - clock, frames + 1).round().astype(int).tolist()
    bar = Image.new("RGB", (width, CAPTION + MARGIN), "white")
    pen = ImageDraw.Draw(bar)
    for frame, share in enumerate(given):
        left = edges[frame]
        right = edges[frame + 1] - 1
        pen.rectangle((left, MARGIN, right, MARGIN + BAR), fill=tuple(COLOURS[IMAGINED].tolist()))
        if share:
            depth = MARGIN + round(share * BAR)
            pen.rectangle((left, MARGIN, right, depth), fill=tuple(COLOURS[GIVEN].tolist()))
    for start in completion.window_starts:
        pen.rectangle((edges[start] - 1, MARGIN - 3, edges[start] + 1, MARGIN + BAR + 3), fill=WINDOW_START)
    images = []
    for frame in range(frames):
        moment = bar.copy()
        pen = ImageDraw.Draw(moment)
        pen.rectangle((edges[frame], MARGIN - 4, edges[frame] + 3, MARGIN + BAR + 4), fill="black")
        draw_text(pen, (width - clock, MARGIN // 2), f"{frame / fps:.2f} s", clock)
        images.append(np.asarray(moment))
    return np.stack(images)
