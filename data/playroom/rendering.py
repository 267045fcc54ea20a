"""The ray caster of the playroom: what the frames of a walk show of a scene.

Axes: T frames, H rows, W columns, N rays in the order (T, H, W), of which each pixel has SAMPLES along both axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from torch import Tensor
from torch.nn.functional import normalize

from data.playroom.room import FLOOR, Scene, Walk
from data.playroom.solids import Solids

SAMPLES = 2
"""Rays per pixel and axis in clips."""

SHADOW = 0.5
"""Part of the light that is missing right under a toy."""

AIR = (0.60, 0.58, 0.55)
HAZE = 0.22
"""Rooms are veiled a little by the colour AIR: head cameras have little contrast, and small tokenizers need it."""

SIDES = 6
"""Sides of a room; things that rays meet are numbered on from there."""


def render_walk(scene: Scene, walk: Walk, size: int) -> Tensor:
    """Render a scene from the eyes of a walk of T frames: (3, T, size, size) float32 in [-1, 1]."""
    return View.of(scene, walk, size).image()


@dataclass
class View:
    """What the rays of some frames meet first; things that are put into it hide what is behind them."""

    eye: Tensor
    """(T, 3)"""
    rays: Tensor
    """(T, H, W, 3) unit directions; H and W of rays, not of pixels."""
    light: Tensor
    """(3,) position of the lamp."""
    distance: Tensor
    """(N,)"""
    colour: Tensor
    """(N, 3) in [0, 1]"""
    thing: Tensor
    """(N,) int64: the side of the room that is met, or SIDES plus the number of the thing in front of it."""

    @classmethod
    def of(cls, scene: Scene, walk: Walk, size: int) -> View:
        """Return the view of a scene whose things do not move; they are numbered in the order of its toys."""
        rays = walk.rays(SAMPLES * size)
        directions = rearrange(rays, "t h w c -> (t h w) c")
        origins = walk.eye.repeat_interleave(rays.shape[1] * rays.shape[2], dim=0)
        distance, side = scene.surfaces.cast(origins, directions)
        points = origins + distance[:, None] * directions
        colour = scene.surfaces.paint(points, side)
        floor = (side == FLOOR).nonzero()[:, 0]
        colour[floor] *= _shadows(scene, points.index_select(0, floor))[:, None]
        view = cls(walk.eye, rays, scene.light, distance, colour, side)
        for number, toy in enumerate(scene.toys):
            view.put(toy, number)
        return view

    def put(self, toy: Solids, number: int) -> None:
        """Put a thing where it is, in front of some of what is there and behind the rest."""
        rows = self._near_rays(toy)
        starts, steps = self._starts(rows), self._steps(rows)
        met, part = toy.cast(starts, steps)
        front = (met < self.distance[rows]).nonzero()[:, 0]
        rows = rows[front]
        self.distance[rows] = met[front]
        points = (starts + met[:, None] * steps).index_select(0, front)
        normal, paint = toy.surface(points, part[front])
        self.colour[rows] = shade(paint, normal, normalize(self.light - points, dim=-1))
        self.thing[rows] = SIDES + number

    def floor(self) -> tuple[Tensor, Tensor]:
        """Return the numbers (n,) of the rays that meet the floor, and the points (n, 3) where they do."""
        rows = (self.thing == FLOOR).nonzero()[:, 0]
        return rows, self._starts(rows) + self.distance[rows, None] * self._steps(rows)

    def frames(self, begin: int, end: int) -> View:
        """Return a copy of some frames of the view, into which other things can be put."""
        of_frame = self.rays.shape[1] * self.rays.shape[2]
        chosen = slice(begin * of_frame, end * of_frame)
        copies = (values[chosen].clone() for values in (self.distance, self.colour, self.thing))
        return View(self.eye[begin:end], self.rays[begin:end], self.light, *copies)

    def image(self) -> Tensor:
        """Return the frames: (3, T, H, W) in [-1, 1]."""
        image = reduce(self.colour, "(t h i w j) c -> c t h w", "mean", **self._pixels()).clamp(0, 1)
        return image.lerp(rearrange(torch.tensor(AIR), "c -> c 1 1 1"), HAZE) * 2 - 1

    def coverage(self, number: int) -> Tensor:
        """Return the share of each pixel's rays that meet a thing first: (T, H, W) in [0, 1]."""
        met = (self.thing == SIDES + number).float()
        return reduce(met, "(t h i w j) -> t h w", "mean", **self._pixels())

    def _pixels(self) -> dict[str, int]:
        frames, height, width, _ = self.rays.shape
        return {"t": frames, "h": height // SAMPLES, "i": SAMPLES, "w": width // SAMPLES, "j": SAMPLES}

    def _near_rays(self, toy: Solids) -> Tensor:
        """Numbers of the rays that meet the sphere around a toy: only they are worth the exact test."""
        centre, radius = toy.sphere()
        offset = centre - self.eye
        along = torch.einsum("thwc,tc->thw", self.rays, offset)
        gap = (offset * offset).sum(-1)[:, None, None] - along * along
        return ((gap < radius * radius) & (along > 0)).flatten().nonzero()[:, 0]

    def _starts(self, rows: Tensor) -> Tensor:
        return self.eye.index_select(0, rows // (self.rays.shape[1] * self.rays.shape[2]))

    def _steps(self, rows: Tensor) -> Tensor:
        return self.rays.flatten(0, 2).index_select(0, rows)


def shade(colour: Tensor, normal: Tensor, to_light: Tensor) -> Tensor:
    """Colours (N, 3) of matt surfaces under a lamp and a bright ceiling."""
    lamp = (normal * to_light).sum(-1).clamp(min=0)
    return colour * (0.6 + 0.14 * normal[:, 2] + 0.42 * lamp)[:, None]


def _shadows(scene: Scene, points: Tensor) -> Tensor:
    """Brightness (N,) of points on the floor: soft round shadows under the toys, away from the lamp."""
    brightness = torch.ones(len(points))
    for toy in scene.toys:
        centre, radius = toy.sphere()
        away = (centre - scene.light)[:2] * 0.12
        gap = (points[:, :2] - centre[:2] - away).norm(dim=-1) / (0.8 * radius)
        brightness *= 1 - SHADOW * torch.exp(-(gap**2))
    return brightness
