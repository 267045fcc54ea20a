"""How complex a picture is, as far as its pixels tell, to say what is owed to that and not to memory.

Measured on the square in the middle of the picture, `SIDE` pixels a side, which is what models see of it too.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from scipy.ndimage import sobel

from data.errors import MediaError
from data.images import load_image
from experiments.memory.items.pictures import Pictures
from experiments.memory.items.sources import Unused
from experiments.statistics.correlation import Measure
from training.progress import Progress

JPEG = "jpeg"
EDGES = "edges"
SIDE = 256
"""Pixels a side."""
QUALITY = 75
"""Of the JPEG, Pillow's usual one."""
EDGE = 0.1
"""Least gradient of a pixel that counts as an edge, of 1 for a step from black to white."""
SOBEL_OF_A_STEP = 4.0
"""What Sobel's filter answers to a step of height 1."""


def measure_complexity(pictures: Pictures, folders: Mapping[str, Path]) -> tuple[dict[str, Measure], list[Unused]]:
    """Return the complexity of each picture, and the pictures that cannot be read.

    Args:
        pictures: N of them.
        folders: of the lists, by name, as far as they are there.

    Returns:
        `jpeg` and `edges`, NaN for pictures that are not there; neither where there are none at all.
    """
    found = [key for key in pictures.places if key[0] in folders]
    values = np.full((2, len(pictures)), np.nan)
    unused = []
    with Progress("Measuring complexity", len(found)) as progress:
        for number, (of_list, path) in enumerate(found, start=1):
            try:
                square = read_square(folders[of_list] / path, SIDE)
                values[:, list(pictures.places[of_list, path])] = np.array(
                    [[jpeg_kilobytes(square)], [edge_density(square)]]
                )
            except MediaError as error:
                unused.append(Unused(of_list, path, 1, f"its complexity is unknown: {error}"))
            progress.show(number)
    if not np.isfinite(values).any():
        return {}, unused
    return {name: Measure(((1.0, row[None, :]),)) for name, row in zip((JPEG, EDGES), values, strict=True)}, unused


def read_square(path: Path, side: int) -> Image.Image:
    """Return the square in the middle of a picture, scaled to so many pixels a side.

    Raises:
        MediaError: it cannot be read.
    """
    return ImageOps.fit(load_image(path), (side, side))


def jpeg_kilobytes(square: Image.Image) -> float:
    """Return the size of a picture as a JPEG, in kilobytes of 1,000 bytes."""
    file = io.BytesIO()
    square.convert("RGB").save(file, "JPEG", quality=QUALITY)
    return len(file.getvalue()) / 1000


def edge_density(square: Image.Image) -> float:
    """Return the share of pixels, 0 to 1, at which brightness changes as much as `EDGE` says (Sobel's gradient)."""
    grey = np.asarray(square.convert("L"), dtype=np.float64) / 255
    gradient = np.hypot(sobel(grey, axis=0), sobel(grey, axis=1)) / SOBEL_OF_A_STEP
    return float((gradient >= EDGE).mean())
