"""Further crops of training items: a clip and its mirror image, or ten crops."""

from __future__ import annotations

from torch import Tensor

from vqgan.options import Augment

TEN_CROP_SCALE = 1.1
"""Side of the square that ten crops are cut from against their own (LlamaGen, Sun et al. 2024)."""


def augmented_size(augment: Augment, size: int) -> int:
    """Return the pixels a side at which clips are read so that crops of `size` pixels can be cut out of them."""
    return int(TEN_CROP_SCALE * size) if augment == "ten-crop" else size


def crop_names(augment: Augment) -> tuple[str, ...]:
    """Return the names of the crops that `cut_crops` makes, in their order."""
    if augment == "none":
        return ("centre",)
    positions = ("centre",) if augment == "flip" else ("top left", "top right", "bottom left", "bottom right", "centre")
    return (*positions, *(f"{place}, mirrored" for place in positions))


def cut_crops(clip: Tensor, augment: Augment, size: int) -> list[Tensor]:
    """Cut crops out of a clip: itself, or itself and its mirror, or the corners, the centre and their mirrors.

    Args:
        clip: (3, T, H, W), read at `augmented_size`.
        augment: which crops.
        size: pixels a side of a crop.

    Returns:
        (3, T, size, size) each, in the order of `crop_names`.
    """
    bottom = clip.shape[2] - size
    right = clip.shape[3] - size
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right)] if augment == "ten-crop" else []
    positions = [*corners, (bottom // 2, right // 2)]
    crops = [clip[:, :, top : top + size, left : left + size] for top, left in positions]
    return crops if augment == "none" else crops + [crop.flip(-1) for crop in crops]
