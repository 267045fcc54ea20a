"""Films of photographs: a camera that moves over one makes a clip of it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from data.errors import MediaError
from data.frames import resize
from data.images import load_image
from data.items import find_sources
from data.skipping import check_skipped
from data.sources import Skipped, Source
from data.synthetic.film import Layer
from data.synthetic.scenes import opaque

ATTEMPTS = 20
"""Photographs in a row that are tried before their folder is given up."""


def find_photographs(path: Path) -> tuple[tuple[Source, ...], list[Skipped]]:
    """List the images of a data set, and the files that are not used.

    Args:
        path: see `data.media.catalogue`.

    Raises:
        MediaError: the path holds no images, or more than half of its files are unusable.
    """
    found, skipped = find_sources(path)
    check_skipped(skipped, len(found) + sum(skip.is_media for skip in skipped), path)
    images = tuple(source for source in found if source.kind == "image")
    if not images:
        raise MediaError(f"{path} holds no images to make films of: name a folder of photographs, or leave it out")
    return images, skipped


def photograph(rng: np.random.Generator, sources: Sequence[Source], size: int) -> Layer:
    """Return a photograph drawn from some as the layer of a scene, of which films of a size in pixels see a part.

    One that cannot be read any more is replaced by the next.

    Raises:
        MediaError: none of `ATTEMPTS` in a row can be read.
    """
    first = int(rng.integers(len(sources)))
    reach = rng.uniform(1.1, 2.2)
    for attempt in range(ATTEMPTS):
        source = sources[(first + attempt) % len(sources)]
        try:
            source.check_unchanged()
            image = load_image(source.image_bytes())
        except MediaError as error:
            problem = error
            continue
        pixels = torch.from_numpy(np.array(image.convert("RGB")))
        high, wide = pixels.shape[:2]
        scale = min(1.0, 2 * reach * size / min(high, wide))
        small = resize(pixels, max(2, round(high * scale)), max(2, round(wide * scale)))
        light = opaque(small.permute(1, 2, 0).numpy().astype(np.float32) / 255)
        return Layer(light, reach * wide / min(high, wide))
    raise MediaError(f"{ATTEMPTS} photographs in a row cannot be read; the last: {problem}")
