"""Looking at single items, in worker processes: a thumbnail, the film, what is measured, and hashes of some frames."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from data.clip_format import ClipFormat
from data.clips import CLIPS_OF_BATCH, Reading, read_items
from data.errors import MediaError
from data.frames import to_uint8
from data.images import image_to_clip, load_image
from data.items import Item
from data.near_duplicates import difference_hash
from data.probe import probe_video
from viewing.look.measuring import Measures, measure

QUALITY = 75
"""Of JPEG films and thumbnails, up to 100: faults of compression do not show at the size of a thumbnail."""

HASHES = 3
"""Frames of a clip that are hashed: the first, the middle and the last."""


@dataclass(frozen=True)
class Look:
    """How an item is to be looked at."""

    item: Item
    form: ClipFormat
    """How it is read."""
    side: int
    """Pixels a side of what is shown."""
    keep: bool
    """Whether the clip as it was read is wanted too, for a tokenizer."""


@dataclass(frozen=True)
class Examined:
    """What was seen of an item."""

    thumbnail: NDArray[np.uint8]
    """(side, side, 3) RGB: the middle frame."""
    film: bytes
    """JPEG of all frames side by side; empty of a still."""
    frames: int
    """How many frames it has."""
    measures: Measures
    hashes: tuple[int | None, ...]
    """Difference hashes of HASHES frames of a clip, or one of a still; None of a frame that is all one colour."""
    width: int | None = None
    """Pixels of the source as displayed; None where that is not known, as of prepared shards."""
    height: int | None = None
    """The same."""
    fps: float | None = None
    """Frames per second of the source; None of stills, and where that is not known."""
    levels: NDArray[Any] | None = None
    """The clip as it was read, where it is wanted: (3, T, H, W)."""


def examine(looks: Sequence[Look]) -> Iterator[Examined | MediaError]:
    """Yield what is seen of items, in this process or in a worker.

    Raises:
        MediaError: the file of the next item cannot be read; those behind it were not tried.
    """
    for is_image, group in itertools.groupby(looks, key=lambda look: look.item.source.kind == "image"):
        together = list(group)
        yield from map(_examine_image, together) if is_image else _examine_clips(together)


def examine_levels(levels: Tensor, side: int) -> Examined:
    """Return what is seen of a clip (3, T, H, W), bytes or in [-1, 1], without its source."""
    shown = shrink(levels if levels.dtype == torch.uint8 else to_uint8(levels), side)
    frames = shown.permute(1, 2, 3, 0).contiguous().numpy()
    return Examined(
        thumbnail=frames[len(frames) // 2],
        film=to_jpeg(np.concatenate(frames, axis=1)) if len(frames) > 1 else b"",
        frames=len(frames),
        measures=measure(shown),
        hashes=tuple(difference_hash(Image.fromarray(frames[index])) for index in hashed_frames(len(frames))),
    )


def hashed_frames(frames: int) -> tuple[int, ...]:
    """Return the indices of the frames of a clip that are hashed."""
    if frames == 1:
        return (0,)
    return tuple(round(number * (frames - 1) / (HASHES - 1)) for number in range(HASHES))


def shrink(levels: Tensor, side: int) -> Tensor:
    """Scale frames (3, T, H, H) uint8 to `side` pixels."""
    if levels.shape[-1] == side:
        return levels
    scaled = F.interpolate(levels.transpose(0, 1).float(), (side, side), mode="bilinear", antialias=True)
    return scaled.round().clamp(0, 255).to(torch.uint8).transpose(0, 1)


def to_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """Return an image (H, W, 3) as a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def batches_of_looks(looks: Sequence[Look]) -> Iterator[Sequence[Look]]:
    """Yield items in batches for `examine`: of a video so many that decoding up to the first of them counts little."""
    yield from (looks[first : first + CLIPS_OF_BATCH] for first in range(0, len(looks), CLIPS_OF_BATCH))


def _examine_image(look: Look) -> Examined:
    source = look.item.source
    source.check_unchanged()
    image = load_image(source.image_bytes())
    levels = image_to_clip(image, look.form.size)
    seen = replace(examine_levels(levels, look.side), width=image.width, height=image.height)
    return replace(seen, levels=levels.numpy()) if look.keep else seen


def _examine_clips(looks: Sequence[Look]) -> Iterator[Examined | MediaError]:
    readings = read_items([(look.item, look.form) for look in looks])
    for look, reading in zip(looks, readings, strict=True):
        yield reading if isinstance(reading, MediaError) else _examine_clip(look, reading)


def _examine_clip(look: Look, reading: Reading) -> Examined:
    seen = examine_levels(torch.from_numpy(reading.levels), look.side)
    if look.keep:
        seen = replace(seen, levels=reading.levels)
    source = look.item.source
    if source.prepared is not None:
        return seen
    info = probe_video(source.bytes_of_file, source.table)
    return replace(seen, width=info.width, height=info.height, fps=round(info.fps, 3))
