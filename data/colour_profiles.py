"""Embedded colour profiles: what turns the colours of an image into those of sRGB."""

import functools
import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

SRGB_SLACK = 3
"""Levels by which a profile may differ from sRGB and still be taken for it: its maker rounded the curve."""

MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
"""Pillow's mode of the colours of a profile."""


def colour_mode(image: Image.Image) -> str:
    """The mode of an image without alpha, palette and width of its levels: what a profile speaks of."""
    if image.mode in ("CMYK", "LAB"):
        return image.mode
    return "L" if image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I") else "RGB"


def profile_converter(image: Image.Image) -> Callable[[Image.Image], Image.Image] | None:
    """What turns colours in the mode `colour_mode(image)` into sRGB in mode RGB, by the profile of the image.

    None where they are sRGB already, where there is no profile, and where it is broken or of other colours.
    """
    mode = colour_mode(image)
    profile = image.info.get("icc_profile")
    transform = _transform(profile or b"", mode) if profile or mode == "LAB" else None
    if transform is None:
        return None

    def convert(colours: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(colours, transform)
        assert converted is not None, "only a conversion in place returns nothing"
        return converted

    return convert


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB") if mode == "LAB" else io.BytesIO(profile))
        if MODES.get(source.profile.xcolor_space.strip()) != mode:
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None
    return None if _is_srgb(transform, mode) else transform


def _is_srgb(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform to sRGB leaves colours as they are: sRGB profiles bear many names."""
    if mode not in ("L", "RGB"):
        return False
    grey = np.arange(256, dtype=np.uint8)[None]
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    before = grey if mode == "L" else np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    after = np.asarray(ImageCms.applyTransform(Image.fromarray(before), transform)).astype(int)
    return bool(np.abs(after - before.reshape(1, after.shape[1], -1)).max() <= SRGB_SLACK)
