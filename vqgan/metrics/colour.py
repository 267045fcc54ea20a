"""How much colour and sharpness reconstructions keep.

Chroma is that of CIELAB: how far a colour lies from the grey of its lightness, on a scale made so that equal distances
look about equally different. Sharpness is the slope of luma between neighbouring pixels. Both are told as the mean of
the reconstruction over that of the original, which a mean square error hides: it falls for a picture that is a little
too grey and too soft everywhere.

Letters: B clips, T frames, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
"""X, Y and Z of linear red, green and blue of sRGB (IEC 61966-2-1); their sums are its white, D65. Y is luma, too."""
GREY = 1.0
"""Mean chroma below which an original counts as grey: people hardly tell it from grey."""
FLAT = 1e-3
"""Mean gradient below which an original counts as flat: a quarter of a level of 8 bits a pixel."""


class Kept(NamedTuple):
    """How much a reconstruction keeps of the colour and the sharpness of its original, and how much there is."""

    chroma_error: float
    chroma: float
    """Mean chroma of the original."""
    saturation_kept: float | None
    """None where the original is grey."""
    gradient: float
    """Mean gradient of the original."""
    sharpness_ratio: float | None
    """None where the original is flat."""


def measure_kept(decoded: Tensor, clips: Tensor) -> list[Kept]:
    """Return what the reconstruction of each clip keeps.

    Args:
        decoded: (B, 3, T, H, W) in [-1, 1].
        clips: the originals, of the same shape.
    """
    made, original = chroma_plane(decoded), chroma_plane(clips)
    chroma, gradient = mean_chroma(original), mean_gradient(clips)
    saturation = shares_kept(mean_chroma(made), chroma, GREY)
    sharpness = shares_kept(mean_gradient(decoded), gradient, FLAT)
    error = chroma_error(made, original).tolist()
    columns = zip(error, chroma.tolist(), saturation, gradient.tolist(), sharpness, strict=True)
    return [Kept(*column) for column in columns]


def overall_kept(kept: Sequence[Kept]) -> dict[str, float]:
    """Return `saturation_kept` and `sharpness_ratio` over all clips; left out where all are grey, or flat."""
    shares = {
        "saturation_kept": overall_share([each.saturation_kept for each in kept], [each.chroma for each in kept]),
        "sharpness_ratio": overall_share([each.sharpness_ratio for each in kept], [each.gradient for each in kept]),
    }
    return {name: share for name, share in shares.items() if share is not None}


def chroma_plane(clips: Tensor) -> Tensor:
    """Return a* and b* of CIELAB (CIE 15), under sRGB's own white: (B, 2, T, H, W), 0 for grey.

    Args:
        clips: (B, 3, T, H, W) of sRGB in [-1, 1]; what lies beyond counts as it is shown, cut off.
    """
    linear = _linear((clips.clamp(-1, 1) + 1) / 2)
    x, y, z = (_root(_mix(linear, row)) for row in XYZ)
    return torch.cat([500 * (x - y), 200 * (y - z)], dim=1)


def chroma_error(decoded: Tensor, original: Tensor) -> Tensor:
    """Return the mean distance (B,) of colours in the plane of a* and b*, lightness left out.

    Args:
        decoded: (B, 2, T, H, W) of `chroma_plane`.
        original: of the same shape.
    """
    return mean_chroma(decoded - original)


def mean_chroma(plane: Tensor) -> Tensor:
    """Return the mean chroma (B,) of pixels whose a* and b* (B, 2, T, H, W) `chroma_plane` returned."""
    return torch.hypot(*plane.unbind(dim=1)).mean(dim=(1, 2, 3))  # a vector norm over channels takes 50 times as long


def mean_gradient(clips: Tensor) -> Tensor:
    """Return the mean length (B,) of the gradient of luma (Rec. ITU-R BT.709), on [0, 1], per pixel; at least 0.

    It is of the differences to the next pixel in the row and in the column, where there are both.

    Args:
        clips: (B, 3, T, H, W) in [-1, 1].
    """
    luma = _mix((clips.clamp(-1, 1) + 1) / 2, XYZ[1])
    beside = luma[..., :-1, 1:] - luma[..., :-1, :-1]
    below = luma[..., 1:, :-1] - luma[..., :-1, :-1]
    lengths = torch.hypot(beside, below).flatten(1)
    return lengths.sum(dim=1) / max(1, lengths.shape[1])


def shares_kept(made: Tensor, original: Tensor, least: float) -> list[float | None]:
    """Return what reconstructions have of a quantity over what the originals have, of each clip.

    Args:
        made: (B,) of the reconstructions.
        original: (B,) of the originals.
        least: None stands for originals that have less.
    """
    pairs = zip(made.tolist(), original.tolist(), strict=True)
    return [None if there < least else kept / there for kept, there in pairs]


def overall_share(shares: Sequence[float | None], originals: Sequence[float]) -> float | None:
    """Return the mean of the reconstructions over that of the originals, of all that have a share; None if none has.

    Args:
        shares: of each clip.
        originals: what each original has.
    """
    kept = [(share * there, there) for share, there in zip(shares, originals, strict=True) if share is not None]
    return sum(made for made, _ in kept) / sum(there for _, there in kept) if kept else None


def _linear(intensities: Tensor) -> Tensor:
    """Return the light of sRGB intensities in [0, 1], in [0, 1] (IEC 61966-2-1)."""
    curved = ((intensities + 0.055) / 1.055).pow(2.4)
    return torch.where(intensities <= 0.04045, intensities / 12.92, curved)


def _mix(channels: Tensor, shares: Sequence[float]) -> Tensor:
    """Return a weighted mean (B, 1, T, H, W) of channels (B, 3, T, H, W), exact where GPUs round products."""
    parts = zip(shares, channels.split(1, dim=1), strict=True)
    return torch.stack([share / sum(shares) * channel for share, channel in parts]).sum(dim=0)


def _root(relative: Tensor) -> Tensor:
    """Return f of CIELAB: a cube root that is a straight line near 0."""
    return torch.where(relative > (6 / 29) ** 3, relative.pow(1 / 3), relative / (3 * (6 / 29) ** 2) + 4 / 29)
