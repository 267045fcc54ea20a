"""The playroom: a small ray caster for unlimited head-camera clips and for pictures of single toys.

Every picture is a pure function of integers: same seed, same pixels. Lengths are in metres in rooms and in toy
units in object pictures.
Axes: T frames, H rows, W columns, N rays.
"""

import math

import torch
from einops import rearrange, reduce
from torch import Tensor
from torch.nn.functional import normalize

from data.creatures import STATES
from data.room import FLOOR, SHADOW, Scene, Walk, make_scene, make_walk
from data.solids import Solids
from data.toys import make_toy

SAMPLES = 2
OBJECT_SAMPLES = 3


def render_clip(seed: int, index: int, size: int = 64, frames: int = 16, fps: float = 8.0) -> Tensor:
    """Films one walk through one room."""
    return film(make_scene(seed, index), make_walk(seed, index, frames, fps), size)


def film(scene: Scene, walk: Walk, size: int) -> Tensor:
    """Films a scene from the eyes of a walk: (3, T, size, size) float in [-1, 1]."""
    rays = walk.rays(SAMPLES * size)
    directions = rearrange(rays, "t h w c -> (t h w) c")
    origins = walk.eye.repeat_interleave(rays.shape[1] * rays.shape[2], dim=0)
    distance, side = scene.surfaces.cast(origins, directions)
    points = origins + distance[:, None] * directions
    colour = scene.surfaces.paint(points, side)
    floor = (side == FLOOR).nonzero()[:, 0]
    colour[floor] *= _shadows(scene, points[floor])[:, None]
    for toy in scene.toys:
        rows = _near_rays(toy, walk.eye, rays)
        met, number = toy.cast(origins[rows], directions[rows])
        front = (met < distance[rows]).nonzero()[:, 0]
        rows = rows[front]
        distance[rows] = met[front]
        points = origins[rows] + met[front, None] * directions[rows]
        normal, paint = toy.surface(points, number[front])
        colour[rows] = shade(paint, normal, normalize(scene.light - points, dim=-1))
    picture = reduce(colour, "(t h i w j) c -> c t h w", "mean", t=len(rays), h=size, i=SAMPLES, w=size, j=SAMPLES)
    return picture.clamp(0, 1) * 2 - 1


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


def _near_rays(toy: Solids, eye: Tensor, rays: Tensor) -> Tensor:
    """Numbers of the rays that meet the sphere around a toy."""
    centre, radius = toy.sphere()
    offset = centre - eye
    along = torch.einsum("thwc,tc->thw", rays, offset)
    gap = (offset * offset).sum(-1)[:, None, None] - along * along
    return ((gap < radius * radius) & (along > 0)).flatten().nonzero()[:, 0]


def render_object(category: int, exemplar: int, state: int, seed: int = 0, size: int = 64) -> Tensor:
    """Pictures one toy on white in three-quarter view."""
    toy = make_toy(category, exemplar, state, seed)
    poses = [make_toy(category, exemplar, other, seed) for other in range(STATES)]
    azimuth, elevation = math.radians(32 + 16 * math.sin(2.4 * exemplar)), math.radians(24)
    back = torch.tensor(
        [
            math.sin(azimuth) * math.cos(elevation),
            -math.cos(azimuth) * math.cos(elevation),
            math.sin(elevation),
        ]
    )
    right = torch.tensor([math.cos(azimuth), math.sin(azimuth), 0.0])
    up = torch.linalg.cross(back, right)
    frames = torch.tensor([[pose.reach(axis) for pose in poses] for axis in (right, up)])
    low, high = frames[..., 0].amin(1), frames[..., 1].amax(1)
    width = float((high - low).max()) / 0.92
    grid = ((torch.arange(size * OBJECT_SAMPLES) + 0.5) / (size * OBJECT_SAMPLES) - 0.5) * width
    across, along = (low + high) / 2
    rows, columns = torch.meshgrid(along - grid, across + grid, indexing="ij")
    origins = columns.reshape(-1, 1) * right + rows.reshape(-1, 1) * up + 5 * back
    distance, number = toy.cast(origins, -back.expand_as(origins))
    rows = distance.isfinite().nonzero()[:, 0]
    normal, paint = toy.surface(origins[rows] - distance[rows, None] * back, number[rows])
    lamp = normalize(back + 0.8 * up - 0.5 * right, dim=0)
    colour = torch.ones_like(origins)
    colour[rows] = shade(paint, normal, lamp.expand_as(normal))
    picture = reduce(colour, "(h i w j) c -> c 1 h w", "mean", h=size, i=OBJECT_SAMPLES, w=size, j=OBJECT_SAMPLES)
    return picture.clamp(0, 1) * 2 - 1
