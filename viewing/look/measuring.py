"""What is measured of an item, on its frames as the page shows them: light, motion, sharpness, and signs of defects.

Luma is that of Rec. ITU-R BT.709 in [0, 1]. All measures are of one item alone; what of them is a defect is decided by
`viewing.look.defects`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from data.frames import LUMA

BLACK_LUMA = 0.1
"""Luma below which a pixel counts as black: the default of FFmpeg's filter `blackdetect`."""

BLACK_PIXELS = 0.98
"""Share of black pixels from which a frame is black: the default of the same filter."""

STILL_MEAN = 0.5 / 255
STILL_MOST = 4 / 255
"""Change of luma, on average and at most, up to which two frames are the same: a level more or less is compression."""

FIELDS = 6
"""Fields across and down of the layout of a frame, by which cuts are told from motion."""

FLAT = 0.01
"""Standard deviation of the luma of fields up to which a frame has no layout."""

FLATTEST = 0.5 / 255
"""Mean difference of neighbouring pixels below which a frame has no edges that could be sharp."""

WINDOW = 16
"""Frames have so many windows side by side over which they are blurred to measure how sharp they were."""


@dataclass(frozen=True)
class Measures:
    """What was measured of an item."""

    brightness: float
    """Mean luma in [0, 1]."""
    contrast: float
    """Standard deviation of luma within frames, on average over frames, in [0, 0.5]."""
    motion: float
    """Mean absolute difference of luma between frames that follow each other; 0 of a still."""
    sharpness: float | None
    """In [0, 1]: see `sharpness_of`. None of an item without edges."""
    stillness: float
    """Longest run of frames that are the same, as a share of the steps between frames; 0 of a still."""
    cut: float
    """Strongest change of layout between two frames that motion does not explain, in [0, 1]: see `cut_of`."""
    black: float
    """Share of frames that are black."""


def measure(levels: Tensor) -> Measures:
    """Measure the frames of an item.

    Args:
        levels: (3, T, H, W) uint8 RGB; one frame of a still.
    """
    frames = levels.float() / 255
    luma = torch.einsum("cthw,c->thw", frames, torch.tensor(LUMA)).numpy()
    changes = np.abs(np.diff(luma, axis=0))
    return Measures(
        brightness=float(luma.mean()),
        contrast=float(luma.std(axis=(1, 2)).mean()),
        motion=float(changes.mean()) if len(changes) else 0.0,
        sharpness=sharpness_of(luma),
        stillness=stillness_of(changes),
        cut=cut_of(luma),
        black=float(((luma < BLACK_LUMA).mean(axis=(1, 2)) >= BLACK_PIXELS).mean()),
    )


def sharpness_of(luma: NDArray[np.float32]) -> float | None:
    """Return how sharp frames (T, H, W) are: the share of differences between neighbours that blurring takes away.

    A sharp frame loses most of them when it is blurred once more, a blurred one hardly any (F. Crete, T. Dolmiere, P.
    Ladret and M. Nicolas (2007), "The blur effect", Proc. SPIE 6492). It does not depend on contrast. Of the two
    directions the blurrier one counts, since motion blurs along one; of the frames the sharpest, since a clip of a
    moving head is sharp where it rests.
    """
    images = torch.from_numpy(luma)[:, None]
    length = max(3, round(luma.shape[-1] / WINDOW) | 1)
    shares = torch.stack([_lost(images, length), _lost(images.transpose(2, 3), length)]).amin(0)
    found = shares[shares.isfinite()]
    return float(found.max()) if len(found) else None


def _lost(images: Tensor, length: int) -> Tensor:
    """Return the share of horizontal differences (T,) lost to a mean over `length` pixels; NaN where there are none."""
    blurred = F.avg_pool2d(F.pad(images, (length // 2, length // 2, 0, 0), mode="replicate"), (1, length), 1)
    before = images.diff(dim=3).abs()
    after = blurred.diff(dim=3).abs()
    total = before.sum((1, 2, 3))
    share = (before - after).clamp(min=0).sum((1, 2, 3)) / total
    return torch.where(before.mean((1, 2, 3)) < FLATTEST, torch.nan, share)


def stillness_of(changes: NDArray[np.float32]) -> float:
    """Return the longest run of frames that are the same, from their changes of luma (T - 1, H, W), as a share."""
    same = (changes.mean(axis=(1, 2)) <= STILL_MEAN) & (changes.max(axis=(1, 2)) <= STILL_MOST)
    longest = run = 0
    for still in same.tolist():
        run = run + 1 if still else 0
        longest = max(longest, run)
    return longest / len(same) if len(same) else 0.0


def cut_of(luma: NDArray[np.float32]) -> float:
    """Return the strongest cut between frames (T, H, W): how much the layout of light and dark changes for good.

    The layout is luma averaged over FIELDS x FIELDS fields. Two of them differ by (1 - r) / 2 with their correlation r:
    0 are the same, 0.5 have nothing to do with each other. It stays much the same while a camera moves. The two frames
    before a cut are each compared with the two after it, and the smallest difference counts, which a flash does not
    raise; what changes anyway between two frames of the clip, its median, is taken off.

    Frames of one level have no layout and are passed over: a fade to black is no cut, one picture before black and
    another one after it are.
    """
    layouts = _layouts(luma)
    if len(layouts) < 2:
        return 0.0
    steps = _distance(layouts[1:], layouts[:-1])
    crossing = steps.copy()
    if len(layouts) > 2:
        twice = _distance(layouts[2:], layouts[:-2])
        crossing[1:] = np.minimum(crossing[1:], twice)
        crossing[:-1] = np.minimum(crossing[:-1], twice)
    return float(np.clip(crossing.max() - np.median(steps), 0, 1))


def _layouts(luma: NDArray[np.float32]) -> NDArray[Any]:
    """Return the layouts (N, FIELDS * FIELDS), of mean 0 and length 1, of the N frames that have one."""
    fields = F.adaptive_avg_pool2d(torch.from_numpy(luma), FIELDS).flatten(1).numpy()
    around = fields - fields.mean(axis=1, keepdims=True)
    length = np.linalg.norm(around, axis=1, keepdims=True)
    told = length[:, 0] > FLAT * FIELDS
    layouts: NDArray[Any] = around[told] / length[told]
    return layouts


def _distance(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Return how much layouts differ, in [0, 1]."""
    distance: NDArray[Any] = (1 - (one * other).sum(axis=1)) / 2
    return distance
