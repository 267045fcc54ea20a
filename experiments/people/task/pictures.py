"""The pictures of a task: files that every browser shows, under names that do not tell what was studied."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from data.images import load_image
from data.stimuli.lists import Stimulus

PLAIN = {"JPEG": ".jpg", "PNG": ".png"}
"""Kinds of files that are copied as they are, with their suffixes."""
ORIENTATION = 274
"""Number of the EXIF tag that turns an image."""


def place_pictures(root: Path, images: Iterable[Stimulus], folder: Path) -> dict[str, str]:
    """Write images into `folder`, named by the digest of their pixels, and return their names by path in the list.

    JPEG and PNG files without a colour profile, transparency or rotation are copied; others are written as PNG, as
    models see them (`data.images.load_image`).
    """
    folder.mkdir()
    names: dict[str, str] = {}
    placed: dict[str, str] = {}
    for image in images:
        if image.sha256 not in placed:
            placed[image.sha256] = _place(root / image.path, folder, image.sha256[:16])
        names[image.path] = placed[image.sha256]
    return names


def _place(source: Path, folder: Path, stem: str) -> str:
    suffix = _plain_suffix(source)
    name = f"{stem}{suffix or '.png'}"
    if suffix:
        shutil.copyfile(source, folder / name)
    else:
        load_image(source).convert("RGB").save(folder / name)
    return name


def _plain_suffix(source: Path) -> str | None:
    """Return the suffix of an image that browsers show exactly as models see it; None for others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(source) as image:
            changed = (
                image.mode not in ("RGB", "L")
                or "transparency" in image.info
                or "icc_profile" in image.info
                or "gamma" in image.info
                or getattr(image, "n_frames", 1) > 1
                or image.getexif().get(ORIENTATION, 1) != 1
            )
            return None if changed else PLAIN.get(image.format or "")
