"""How a video's stored images are turned and mirrored for display."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from av.video.frame import VideoFrame

from data.containers import conversion_hint
from data.errors import MediaError
from data.sources import ByteRange


class Orientation(NamedTuple):
    """How stored images are shown."""

    rotation: Literal[0, 90, 180, 270]
    """Degrees clockwise that they are turned."""
    mirrored: bool
    """Whether left and right are exchanged before."""


TURNS: dict[tuple[int, int, int, int], Orientation] = {
    (1, 0, 0, 1): Orientation(0, False),
    (0, 1, -1, 0): Orientation(90, False),
    (-1, 0, 0, -1): Orientation(180, False),
    (0, -1, 1, 0): Orientation(270, False),
    (-1, 0, 0, 1): Orientation(0, True),
    (1, 0, 0, -1): Orientation(180, True),
    (0, 1, 1, 0): Orientation(270, True),
    (0, -1, -1, 0): Orientation(90, True),
}
"""Signs of a display matrix (a, b, c, d) to degrees clockwise after, perhaps, an exchange of left and right."""


def find_orientation(frame: VideoFrame, file: ByteRange) -> Orientation:
    """Return how stored images are turned for display, and whether they are mirrored before.

    Raises:
        MediaError: by another angle than a quarter turn, or scaled unevenly.
    """
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Orientation(0, False)
    matrix = np.frombuffer(bytes(data), np.int32)[[0, 1, 3, 4]].astype(np.float64)
    scale = np.abs(matrix).max()
    signs = tuple(int(value) for value in np.round(matrix / scale)) if scale else ()
    if signs not in TURNS or np.abs(np.abs(matrix / scale) - np.abs(signs)).max() > 0.02:
        angle = math.degrees(math.atan2(matrix[1], matrix[0]))
        raise MediaError(
            f"{file.path} asks to be turned by {angle:.0f} degrees for display, not by a quarter;"
            f" {conversion_hint(file)}"
        )
    return TURNS[signs]
