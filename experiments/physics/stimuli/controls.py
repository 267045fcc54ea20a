"""Controls: films in which nothing is violated, though something changes at the event.

A and B show the same, in two ways of filming it; a film that begins as A and ends as B changes from one to the other.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from data.frames import to_clip, to_uint8
from data.playroom.moving import Film
from experiments.physics.stimuli.setting import Setting
from experiments.physics.stimuli.stage import Plot

Change = Literal["cut", "light", "compression"]
"""What changes: the place of the camera, the brightness of the light, or the quality of the pictures."""

BESIDE = 0.6
"""Radians between the two places of the camera."""
DARK = 0.6
"""Brightness of the darker film over that of the other."""
QUALITY = 20
"""Of the JPEG pictures of the compressed film."""


def change_of(number: int) -> Change:
    """Return what changes in the control of a scene's number."""
    changes: tuple[Change, ...] = get_args(Change)
    return changes[number % len(changes)]


def shoot_control(setting: Setting, plot: Plot, change: Change) -> list[Film]:
    """Return the two films, A and B, of the first course of a plot."""
    course, walk = plot.courses[0], setting.walk()
    (film,) = setting.shoot(plot, [course], walk)
    if change == "cut":
        return [film, *setting.shoot(plot, [course], setting.walk(BESIDE))]
    filters: dict[Change, Callable[[Tensor], Tensor]] = {"light": _darkened, "compression": _compressed}
    return [film, film._replace(clip=filters[change](film.clip))]


def _darkened(clip: Tensor) -> Tensor:
    """(3, T, H, W) in [-1, 1]."""
    return (clip + 1) * DARK - 1


def _compressed(clip: Tensor) -> Tensor:
    """(3, T, H, W) in [-1, 1]; each frame for itself."""
    images = to_uint8(clip).permute(1, 2, 3, 0).contiguous().numpy()
    frames = torch.from_numpy(np.stack([_jpeg(Image.fromarray(image)) for image in images]))
    return to_clip(frames.permute(3, 0, 1, 2))


def _jpeg(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of what JPEG leaves of an image."""
    file = io.BytesIO()
    image.save(file, format="JPEG", quality=QUALITY)
    return np.asarray(Image.open(file).convert("RGB"))
