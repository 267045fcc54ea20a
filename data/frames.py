"""Decoded images to clips: scale the short side, crop a square, map to [-1, 1]."""

import functools
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Crop = Literal["centre", "random"]

LUMA = (0.2126, 0.7152, 0.0722)
"""Shares of red, green and blue in luma (Rec. ITU-R BT.709-6, item 3.2), whose primaries those of sRGB are."""

LONGEST = 4
"""Long sides up to this many short sides are scaled whole; of longer ones only what surrounds the square."""


def resize_and_crop(images: Tensor, size: int, crop: Crop = "centre", seed: int = 0) -> Tensor:
    """Scales the short side to `size`, then cuts one and the same square out of every image.

    For still images, whose scaled levels are not rounded: the results in `docs/results.md` were measured so.

    Args:
        images: (T, H, W, 3) uint8 RGB.
        size: side of the square in pixels; a short side that has it already keeps its exact pixels.
        crop: 'centre', or 'random' for a position that depends on `seed` and the shape alone.
        seed: of the random crop.

    Returns:
        (3, T, size, size) float32 in [-1, 1].

    Raises:
        ValueError: `images` has another shape or dtype, `size` is below 1 or `crop` is unknown.
    """
    square = _square_of(images, size, crop, seed)
    return to_clip(torch.stack([square.cut(square.part_of(image).float()) for image in images], dim=1))


def resize_and_crop_levels(images: Tensor, size: int, crop: Crop = "centre", seed: int = 0) -> Tensor:
    """The same square rounded to whole levels: (3, T, size, size) uint8. For the frames of videos.

    Torch scales bytes ten times as fast as floats, and prepared shards hold whole levels too, so that both give the
    same clips.
    """
    square = _square_of(images, size, crop, seed)
    return torch.stack([square.cut(square.part_of(image)) for image in images], dim=1)


def resize_short_side(image: Tensor, size: int) -> Tensor:
    """Scales the short side of an (H, W, 3) uint8 image down to `size` pixels: (3, H', W') uint8; never up."""
    short = min(image.shape[:2])
    height, width = (round(side * min(size, short) / short) for side in image.shape[:2])
    return resize(image, height, width)


def to_clip(levels: Tensor) -> Tensor:
    """[0, 255] uint8 or float32 to [-1, 1] float32, same shape; of bytes the same bits on every device."""
    if levels.dtype == torch.uint8 and levels.device.type != "cpu":
        return _values_of_bytes(levels.device)[levels.int()]  # GPUs multiply by 1 / 127.5, which is not the same
    return levels / 127.5 - 1


@functools.cache
def _values_of_bytes(device: torch.device) -> Tensor:
    """Return what each of the 256 bytes stands for: (256,) float32."""
    return (torch.arange(256, dtype=torch.uint8) / 127.5 - 1).to(device)


def to_uint8(clip: Tensor) -> Tensor:
    """[-1, 1] float to [0, 255] uint8 on the CPU, rounded to the nearest level, same shape."""
    levels = clip.detach().cpu().float() + 1
    return levels.mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def _square_of(images: Tensor, size: int, crop: Crop, seed: int) -> "Square":
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[-1] != 3:
        raise ValueError(f"images must be (T, H, W, 3) uint8, not {tuple(images.shape)} {images.dtype}")
    return find_square(images.shape[1], images.shape[2], size, crop, seed)


class Square(NamedTuple):
    """Where a square lies in an image: the part of the image that is scaled, its scaled size, and the corner in it."""

    top: int
    left: int
    height: int
    width: int
    """Of the part, in pixels of the image."""
    scaled_height: int
    scaled_width: int
    corner: tuple[int, int]
    """First row and column of the square in the scaled part."""
    size: int
    """Its side in pixels."""

    def part_of(self, image: Tensor) -> Tensor:
        """Return the (height, width, 3) part of an (H, W, 3) image."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]

    def cut(self, part: Tensor) -> Tensor:
        """Return the (3, size, size) square of a (height, width or scaled_width, 3) part: see `resize`."""
        row, column = self.corner
        scaled = resize(part, self.scaled_height, self.scaled_width)
        return scaled[:, row : row + self.size, column : column + self.size]


def find_square(height: int, width: int, size: int, crop: Crop = "centre", seed: int = 0) -> Square:
    """Find the square that `resize_and_crop` cuts out of an image of this shape.

    Raises:
        ValueError: `size` is below 1 or `crop` is unknown.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1 pixel, not {size}")
    short = min(height, width)
    scaled_height = round(height * size / short)
    scaled_width = round(width * size / short)
    row, column = _corner(scaled_height - size, scaled_width - size, crop, seed)
    rows = _surroundings(height, short, scaled_height, row, size)
    columns = _surroundings(width, short, scaled_width, column, size)
    return Square(
        top=rows.start,
        left=columns.start,
        height=rows.length,
        width=columns.length,
        scaled_height=rows.scaled,
        scaled_width=columns.scaled,
        corner=(rows.corner, columns.corner),
        size=size,
    )


def resize(image: Tensor, height: int, width: int) -> Tensor:
    """(H, W, 3) -> (3, height, width) of the same dtype, bilinear with antialiasing: uint8, or float32 in [0, 255].

    Bytes come within one level of exact arithmetic. Torch scales the width first and then the height: one after the
    other gives the same.
    """
    # On bytes with the channels last, as decoders give them, this is ten times faster than on floats. Torch has errors
    # where a side is one pixel in other layouts.
    planes = image.contiguous().permute(2, 0, 1)
    if planes.shape[1:] == (height, width):
        return planes
    scaled = F.interpolate(planes[None], (height, width), mode="bilinear", antialias=True)[0]
    return scaled.clamp(0, 255) if scaled.is_floating_point() else scaled


class _Side(NamedTuple):
    """One side of the part that is scaled: first pixel, pixels, scaled pixels, and where the square begins in them."""

    start: int
    length: int
    scaled: int
    corner: int


def _surroundings(length: int, short: int, scaled: int, corner: int, size: int) -> _Side:
    """A part that begins at a multiple of the short side: scaled, it begins at the same multiple of `size`."""
    if length <= LONGEST * short:
        return _Side(0, length, scaled, corner)
    first = max(corner // size - 1, 0)
    begins = first * short
    scaled_begins = first * size
    if length - begins <= LONGEST * short:
        return _Side(begins, length - begins, scaled - scaled_begins, corner - scaled_begins)
    return _Side(begins, LONGEST * short, LONGEST * size, corner - scaled_begins)


def _corner(spare_height: int, spare_width: int, crop: Crop, seed: int) -> tuple[int, int]:
    if crop == "centre":
        return spare_height // 2, spare_width // 2
    if crop != "random":
        raise ValueError(f"crop must be 'centre' or 'random', not {crop!r}")
    dice = torch.Generator().manual_seed(seed)
    top = torch.randint(spare_height + 1, (), generator=dice)
    left = torch.randint(spare_width + 1, (), generator=dice)
    return int(top), int(left)
