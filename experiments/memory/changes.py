"""Changes to a test image that people hardly notice: is it still recognised?

They are made to the image as it was read, before it is scaled down to what the tokenizer sees, because that is where
they happen to images: load, change, scale, encode.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

Change = Callable[[Image.Image, int], Image.Image]
"""Makes of an RGB image another of the same size. `size` is the pixels a side at which the model sees it, so that a
change can be as large as one of those pixels."""


def jpeg(image: Image.Image, size: int) -> Image.Image:
    """Compress as JPEG of quality 50, with half the resolution in colour, and decode again."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=50, subsampling="4:2:0")
    return Image.open(file).convert("RGB")


def shift(image: Image.Image, size: int) -> Image.Image:
    """Shift to the right by one pixel as the model sees it; what comes in on the left repeats the edge."""
    step = max(1, round(min(image.size) / size))
    pixels = np.pad(np.asarray(image), ((0, 0), (step, 0), (0, 0)), mode="edge")
    return Image.fromarray(pixels[:, : image.width])


def brighten(image: Image.Image, size: int) -> Image.Image:
    """Multiply every channel by 1.2; what exceeds white becomes white."""
    return ImageEnhance.Brightness(image).enhance(1.2)


def mirror(image: Image.Image, size: int) -> Image.Image:
    """Swap left and right."""
    return ImageOps.mirror(image)


CHANGES: dict[str, Change] = {"jpeg-50": jpeg, "shift-1": shift, "brightness": brighten, "mirror": mirror}
"""By the name that `--changes` and `trials.csv` use; test images without a change are called `none`."""
