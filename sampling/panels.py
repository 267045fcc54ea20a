"""What there is to see of a completion: clips of which every pixel is given, imagined or not shown.

Everything given is outlined in blue, everything imagined in red, whatever the shape of the prompt; grey is what
was not shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor
from torch import Tensor

from data.frames import to_uint8
from sampling.completion import Completion

PLAIN, GIVEN, IMAGINED, HIDDEN = range(4)
"""What a pixel can be; `PLAIN` where the question does not arise."""
COLOURS = np.array([ImageColor.getrgb(name) for name in ("white", "royalblue", "crimson", "grey")], dtype=np.uint8)
"""(4, 3): the colour that stands for each."""
BORDER = 3
"""Width in pixels of the frame around an image."""
LINE = 2
"""Width in pixels of the line along each side of a change inside an image."""


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
        Panel(f"continuation {number + 1}", _until(clip, clip.shape[1]), marks)
        for number, clip in enumerate(completion.continuations)
    ]


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
