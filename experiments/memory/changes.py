"""Changes to a test image that people hardly notice: is it still recognised?

They are made to the image as it was read, before it is scaled down to what the tokenizer sees, because that is where
they happen to images: load, change, scale, encode.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

CROPPED = 0.9
"""Share of each side that is left of a cropped image."""

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


def darken(image: Image.Image, size: int) -> Image.Image:
    """Multiply every channel by 0.8."""
    return ImageEnhance.Brightness(image).enhance(0.8)


def lower_contrast(image: Image.Image, size: int) -> Image.Image:
    """Bring every channel nearer to the mean grey of the image, to 0.8 of the contrast."""
    return ImageEnhance.Contrast(image).enhance(0.8)


def raise_contrast(image: Image.Image, size: int) -> Image.Image:
    """Move every channel away from the mean grey of the image, to 1.2 of the contrast; what exceeds black or white
    becomes that.
    """
    return ImageEnhance.Contrast(image).enhance(1.2)


def crop(image: Image.Image, size: int) -> Image.Image:
    """Cut out the middle 90 % of each side and scale it up to the whole."""
    width, height = image.size
    left, top = width * (1 - CROPPED) / 2, height * (1 - CROPPED) / 2
    return image.resize(image.size, Image.Resampling.BICUBIC, (left, top, width - left, height - top))


def mirror(image: Image.Image, size: int) -> Image.Image:
    """Swap left and right."""
    return ImageOps.mirror(image)


CHANGES: dict[str, Change] = {
    "jpeg-50": jpeg,
    "shift-1": shift,
    "brightness": brighten,
    "brightness-0.8": darken,
    "contrast-0.8": lower_contrast,
    "contrast-1.2": raise_contrast,
    "crop-90": crop,
    "mirror": mirror,
}
"""By the name that `--changes` and `trials.csv` use; test images without a change are called `none`."""
