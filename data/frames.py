"""Decoded images to clips: scale the short side, crop a square, map to [-1, 1]."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Crop = Literal["centre", "random"]


def resize_and_crop(images: Tensor, size: int, crop: Crop = "centre", seed: int = 0) -> Tensor:
    """Scales the short side to `size`, then cuts one and the same square out of every image.

    For still images: brightness between two levels is kept, as the results in `docs/results.md` were measured.

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
    return (
        torch.stack([_square(image.float(), size, crop, seed) for image in _checked(images, size)], dim=1) / 127.5 - 1
    )


def resize_and_crop_levels(images: Tensor, size: int, crop: Crop = "centre", seed: int = 0) -> Tensor:
    """The same, rounded to whole levels: (3, T, size, size) uint8. For video frames.

    Torch scales bytes ten times as fast as floats, and prepared shards hold whole levels too, so that both give the
    same clips.
    """
    return torch.stack([_square(image, size, crop, seed) for image in _checked(images, size)], dim=1)


def to_clip(levels: Tensor) -> Tensor:
    """[0, 255] uint8 to [-1, 1] float32, same shape."""
    return levels / 127.5 - 1


def to_uint8(clip: Tensor) -> Tensor:
    """[-1, 1] float to [0, 255] uint8 on the CPU, rounded to the nearest level, same shape."""
    levels = clip.detach().cpu().float() + 1
    return levels.mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def _scaled(height: int, width: int, size: int) -> tuple[int, int]:
    short = min(height, width)
    return round(height * size / short), round(width * size / short)


def _corner(spare_height: int, spare_width: int, crop: Crop, seed: int) -> tuple[int, int]:
    if crop == "centre":
        return spare_height // 2, spare_width // 2
    if crop != "random":
        raise ValueError(f"crop must be 'centre' or 'random', not {crop!r}")
    dice = torch.Generator().manual_seed(seed)
    top = torch.randint(spare_height + 1, (), generator=dice)
    left = torch.randint(spare_width + 1, (), generator=dice)
    return int(top), int(left)


def _checked(images: Tensor, size: int) -> Tensor:
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[-1] != 3:
        raise ValueError(f"images must be (T, H, W, 3) uint8, not {tuple(images.shape)} {images.dtype}")
    if size < 1:
        raise ValueError(f"size must be at least 1 pixel, not {size}")
    return images


def _square(image: Tensor, size: int, crop: Crop, seed: int) -> Tensor:
    """(H, W, 3) -> (3, size, size), uint8 or float32 in [0, 255]."""
    height, width = _scaled(image.shape[0], image.shape[1], size)
    top, left = _corner(height - size, width - size, crop, seed)
    return _resize(image, height, width)[:, top : top + size, left : left + size]


def _resize(image: Tensor, height: int, width: int) -> Tensor:
    """(H, W, 3) -> (3, height, width) of the same dtype, uint8 or float32 in [0, 255]."""
    planes = image.permute(2, 0, 1)
    if planes.shape[1:] == (height, width):
        return planes
    resized = F.interpolate(planes[None], (height, width), mode="bilinear", antialias=True)
    return resized[0].clamp(0, 255)
