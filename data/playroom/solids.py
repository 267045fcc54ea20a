"""Painted solids that rays can hit: balls, boxes and tubes (cones are tapered tubes), stretched and turned.

Axes: N rays, P solids.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

BALL, BOX, TUBE = 0, 1, 2
PLAIN, STRIPES, CHECKS, DOTS = 0, 1, 2, 3
BUNDLE = 16384
"""Rays that are followed at a time: few enough for their numbers to stay in the processor's cache."""

TEXTURE_PERIOD = 0.85
"""Texture period over the half length of the largest solid: coarse, so that a small tokenizer can keep it."""


def pattern_weight(pattern: Tensor, points: Tensor) -> Tensor:
    """How much of a surface's second colour a point shows, with soft edges.

    Args:
        pattern: (...) int64, one of PLAIN, STRIPES, CHECKS, DOTS.
        points: (..., 3) float, in texture periods.

    Returns:
        (...) float in [0, 1].
    """
    x, y, z = torch.cos(2 * math.pi * points).unbind(-1)
    waves = torch.where(pattern == STRIPES, z, torch.where(pattern == CHECKS, x * y * z, (x + y + z - 1.6) * 0.8))
    return torch.where(pattern == PLAIN, 0.0, (waves * 2.5 + 0.5).clamp(0, 1))


@dataclass(frozen=True)
class Solids:
    """P solids, affine images of the unit ball, the cube [-1, 1]^3 or the tube of radius 1 with |z| <= 1."""

    kind: Tensor
    """(P,) int64: BALL, BOX or TUBE."""

    centre: Tensor
    """(P, 3) float."""

    axes: Tensor
    """(P, 3, 3) float, orthonormal: column k is the solid's own axis k."""

    half: Tensor
    """(P, 3) float: half extents along the solid's own axes."""

    taper: Tensor
    """(P,) float in [0, 1]: a tube's upper radius over its lower one; 0 makes a cone."""

    colours: Tensor
    """(P, 2, 3) float in [0, 1]: ground and texture colour."""

    pattern: Tensor
    """(P,) int64: PLAIN, STRIPES, CHECKS or DOTS."""

    def placed(self, position: Tensor, yaw: float, scale: float) -> "Solids":
        """The same solids scaled, turned about z by `yaw` radians and moved to `position` (3,)."""
        c, s = math.cos(yaw), math.sin(yaw)
        spin = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        centre = self.centre @ spin.T * scale + position
        return replace(self, centre=centre, axes=spin @ self.axes, half=self.half * scale)

    def reach(self, direction: Tensor) -> tuple[float, float]:
        """Lowest and highest coordinate of the solids along a unit vector (3,)."""
        local = (direction @ self.axes).abs() * self.half
        tube = local[:, :2].norm(dim=-1) + local[:, 2]
        extent = torch.where(self.kind == BOX, local.sum(-1), torch.where(self.kind == BALL, local.norm(dim=-1), tube))
        middle = self.centre @ direction
        return float((middle - extent).min()), float((middle + extent).max())

    def sphere(self) -> tuple[Tensor, float]:
        """Centre (3,) and radius of a sphere around all solids."""
        low, high = zip(*(self.reach(axis) for axis in torch.eye(3)), strict=True)
        centre = (torch.tensor(low) + torch.tensor(high)) / 2
        ball, tube = self.half.amax(-1), self.half[:, :2].amax(-1).hypot(self.half[:, 2])
        radii = torch.where(self.kind == BOX, self.half.norm(dim=-1), torch.where(self.kind == BALL, ball, tube))
        around = ((self.centre - centre).norm(dim=-1) + radii).max()
        return centre, min(float(around), math.dist(low, high) / 2)

    def cast(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Finds where rays first meet a solid.

        Args:
            origins: (N, 3) float, outside every solid.
            directions: (N, 3) float, any length.

        Returns:
            Distances (N,) in lengths of the directions, infinite where a ray meets nothing, and the number
            (N,) of the solid met.
        """
        bundles = zip(origins.split(BUNDLE), directions.split(BUNDLE), strict=True)
        distance = torch.cat([self._distances(starts, steps) for starts, steps in bundles])
        nearest, number = distance.min(dim=1)
        return nearest, number

    def _distances(self, origins: Tensor, directions: Tensor) -> Tensor:
        """Distance (N, P) of each ray to each solid."""
        frames = self.axes / self.half[:, None]
        shift = torch.einsum("pi,pij->pj", self.centre, frames)
        distance = torch.empty(len(origins), len(frames))
        for kind, meet in ((BALL, _meet_ball), (BOX, _meet_box), (TUBE, _meet_tube)):
            chosen = (self.kind == kind).nonzero()[:, 0]
            if len(chosen):
                start = torch.einsum("ni,pij->npj", origins, frames[chosen]) - shift[chosen]
                step = torch.einsum("ni,pij->npj", directions, frames[chosen])
                distance[:, chosen] = meet(start, step, self.taper[chosen])
        return distance

    def surface(self, points: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
        """Unit normals (N, 3) and colours (N, 3) in [0, 1] at points (N, 3) on the solids numbered (N,)."""
        axes, half, centre = (table.index_select(0, number) for table in (self.axes, self.half, self.centre))
        local = torch.einsum("nij,ni->nj", axes, points - centre) / half
        normal = torch.einsum("nij,nj->ni", axes, self._normals(local, number) / half)
        weight = pattern_weight(self.pattern[number], local * half / self.half.max() / TEXTURE_PERIOD)
        ground, texture = self.colours.index_select(0, number).unbind(1)
        colour = torch.lerp(ground, texture, weight[:, None])
        return normalize(normal, dim=-1), colour

    def _normals(self, local: Tensor, number: Tensor) -> Tensor:
        """Normals (N, 3) of the unit solids at local points (N, 3)."""
        x, y, z = local.unbind(-1)
        slope = (self.taper[number] - 1) / 2
        side = torch.stack([x, y, -slope * ((1 + self.taper[number]) / 2 + slope * z)], dim=-1)
        flat = one_hot(local.abs().argmax(-1), 3) * local.sign()
        cap = torch.stack([torch.zeros_like(x), torch.zeros_like(x), z], dim=-1)
        tube = torch.where((z.abs() > 1 - 1e-4)[:, None], cap, side)
        kind = self.kind[number][:, None]
        return torch.where(kind == BALL, local, torch.where(kind == BOX, flat, tube))


def _meet_ball(start: Tensor, step: Tensor, taper: Tensor) -> Tensor:
    a, b, c = (step * step).sum(-1), (step * start).sum(-1), (start * start).sum(-1) - 1
    root = b * b - a * c
    distance = (-b - root.clamp(min=0).sqrt()) / a
    return torch.where((root > 0) & (distance > 0), distance, math.inf)


def _meet_box(start: Tensor, step: Tensor, taper: Tensor) -> Tensor:
    inverse = 1 / torch.where(step.abs() < 1e-6, 1e-6, step)
    middle, reach = -start * inverse, inverse.abs()
    near, far = (middle - reach).amax(-1), (middle + reach).amin(-1)
    return torch.where((near < far) & (near > 0), near, math.inf)


def _meet_tube(start: Tensor, step: Tensor, taper: Tensor) -> Tensor:
    """The radius at height z is `middle + slope * z`, so the mantle is a quadric and the caps are discs."""
    slope, middle = (taper - 1) / 2, (taper + 1) / 2
    (x, y, z), (dx, dy, dz) = start.unbind(-1), step.unbind(-1)
    dz = torch.where(dz.abs() < 1e-6, 1e-6, dz)
    radius, widening = middle + slope * z, slope * dz
    a, b, c = dx * dx + dy * dy - widening**2, x * dx + y * dy - radius * widening, x * x + y * y - radius**2
    a = torch.where(a.abs() < 1e-9, 1e-9, a)
    root = b * b - a * c
    spread = root.clamp(min=0).sqrt()
    best = torch.full_like(a, math.inf)
    for distance in ((-b - spread) / a, (-b + spread) / a):
        inside = (root > 0) & ((z + distance * dz).abs() <= 1) & (radius + distance * widening >= 0)
        best = torch.where(inside & (distance > 0), torch.minimum(best, distance), best)
    for cap in (-1.0, 1.0):
        distance = (cap - z) / dz
        inside = (x + distance * dx) ** 2 + (y + distance * dy) ** 2 <= (middle + slope * cap) ** 2
        best = torch.where(inside & (distance > 0), torch.minimum(best, distance), best)
    return best
