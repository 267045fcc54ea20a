"""Films of one scene in which things move: the same room, lamp, walk and resting toys, other things frame by frame.

What rests is rendered once for all films. Frames in which the same things are seen are the same, bit for bit: a thing
that is hidden, and whose shadow is hidden too, leaves no trace.

Axes: T frames, H rows, W columns, N points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

import torch
from torch import Tensor

from data.playroom.rendering import SAMPLES, SHADOW, View
from data.playroom.room import Scene, Walk
from data.playroom.solids import Solids

RAYS_AT_ONCE = 2**19
"""Rays that are followed together, 32 frames of 64 x 64 pixels: memory stays bounded."""

SHADOW_SIZE = 1.2
"""Radius at which the shadow of a thing that moves ends, over the thing's: it must fit behind what hides the thing."""

SHADOW_SHIFT = 0.06
"""Metres by which such a shadow lies away from the lamp, for every metre between the two."""

SHADOW_HEIGHT = 0.8
"""Height in metres of a thing above the floor at which it throws no shadow any more."""


class Thing(NamedTuple):
    """What is in one frame of a film, besides what rests in all of them."""

    solids: Solids
    shadow: bool = True
    """Whether it throws a shadow on the floor."""
    tracked: bool = False
    """Whether `Film.coverage` is of it."""


class Film(NamedTuple):
    """What a walk sees of a scene in which things move."""

    clip: Tensor
    """(3, T, H, W) in [-1, 1]"""
    coverage: Tensor
    """(T, H, W) in [0, 1]: the share of each pixel's rays that meet what is tracked before anything else."""


def render_films(
    scene: Scene, walk: Walk, films: Sequence[Sequence[Sequence[Thing]]], size: int, furniture: Sequence[Solids] = ()
) -> list[Film]:
    """Render films of one scene and one walk of T frames.

    Args:
        scene: the room and what rests in it.
        walk: of T frames; a camera that stands still sees what rests only once, which is quicker.
        films: for each film, for each of its T frames, the things that are there.
        size: height and width in pixels.
        furniture: what rests in all films and throws no shadow.

    Raises:
        ValueError: a film has another number of frames than the walk.
    """
    frames = len(walk.eye)
    for things in films:
        if len(things) != frames:
            raise ValueError(f"a film has {len(things)} frames, but the walk {frames}")
    parts: list[list[Film]] = [[] for _ in films]
    for frame, (view, floor) in enumerate(_views(scene, walk, size, furniture)):
        for things, done in zip(films, parts, strict=True):
            done.append(_frame(view.frames(0, 1), floor, things[frame], len(scene.toys)))
    return [_joined(done) for done in parts]


Floor = tuple[Tensor, Tensor]
"""What `View.floor` returns."""


def _views(scene: Scene, walk: Walk, size: int, furniture: Sequence[Solids]) -> Iterator[tuple[View, Floor]]:
    """Yield for each frame what is seen of what rests, and where the floor is; these must not be changed."""
    if walk.rests():
        view = _furnished(scene, walk.part(0, 1), size, furniture)
        yield from repeat((view, view.floor()), len(walk.eye))
        return
    at_once = max(1, RAYS_AT_ONCE // (SAMPLES * size) ** 2)
    for begin in range(0, len(walk.eye), at_once):
        part = walk.part(begin, begin + at_once)
        view = _furnished(scene, part, size, furniture)
        frames = (view.frames(index, index + 1) for index in range(len(part.eye)))
        yield from ((frame, frame.floor()) for frame in frames)


def _furnished(scene: Scene, walk: Walk, size: int, furniture: Sequence[Solids]) -> View:
    view = View.of(scene, walk, size)
    for solids in furniture:
        view.put(solids, len(scene.toys))
    return view


def _frame(view: View, floor: Floor, things: Sequence[Thing], number: int) -> Film:
    """Put things into a view of one frame; their number in it is `number`, and that of what is tracked the next."""
    rows, points = floor
    for thing in things:
        if thing.shadow:
            view.colour[rows] *= _shadow(thing.solids, points, view.light)[:, None]
    for thing in things:
        view.put(thing.solids, number + thing.tracked)
    return Film(view.image(), view.coverage(number + 1))


def _shadow(solids: Solids, points: Tensor, light: Tensor) -> Tensor:
    """Brightness (N,) of points (N, 3) on the floor: a soft round shadow that ends, weaker the higher the thing is."""
    centre, radius = solids.sphere()
    away = (centre - light)[:2] * SHADOW_SHIFT
    gap = (points[:, :2] - centre[:2] - away).norm(dim=-1) / (SHADOW_SIZE * radius)
    low = ((centre[2] - radius) / SHADOW_HEIGHT).clamp(0, 1)
    return 1 - SHADOW * (1 - low) * (1 - gap**2).clamp(min=0) ** 2


def _joined(frames: Sequence[Film]) -> Film:
    clips, coverages = zip(*frames, strict=True)
    return Film(torch.cat(clips, dim=1), torch.cat(coverages))
