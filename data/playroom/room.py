"""The room the toys stand in, and the walk of the head camera through it.

Lengths are in metres, times in seconds, angles in radians; z points up and the floor is z = 0.
Axes: T frames, N rays.
"""

import math
from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor
from torch.nn.functional import normalize

from data.playroom.creatures import STATES
from data.playroom.solids import CHECKS, DOTS, PLAIN, STRIPES, Solids, pattern_weight
from data.playroom.toys import CATEGORIES, generator, make_toy, rgb

FIELD_OF_VIEW = math.radians(66)
FIXATIONS = 64
"""Length of the drawn sequence of fixations; a longer video begins it again."""

FLOOR = 4
"""Number of the floor among the sides of a room; the walls come before it, the ceiling after."""

TURN = 1.1
"""Seconds that the gaze takes from one fixation to the next."""

SKIRTING = 0.09

LOOKS = (
    # hue of the floor, its saturation and value, hues of the four walls, saturation and value of the walls
    (0.08, 0.55, 0.62, (0.55, 0.58, 0.13, 0.02), 0.34, 0.88),
    (0.60, 0.30, 0.55, (0.12, 0.10, 0.95, 0.33), 0.40, 0.92),
    (0.33, 0.40, 0.50, (0.14, 0.75, 0.13, 0.60), 0.25, 0.90),
    (0.04, 0.50, 0.45, (0.30, 0.42, 0.36, 0.10), 0.38, 0.78),
    (0.78, 0.30, 0.60, (0.50, 0.92, 0.48, 0.16), 0.36, 0.86),
    (0.12, 0.35, 0.78, (0.98, 0.60, 0.03, 0.70), 0.42, 0.76),
    (0.52, 0.38, 0.48, (0.08, 0.05, 0.55, 0.12), 0.45, 0.84),
    (0.10, 0.18, 0.42, (0.66, 0.30, 0.85, 0.50), 0.30, 0.70),
)


@dataclass(frozen=True)
class Surfaces:
    """The six sides of a room: walls at -x, +x, -y and +y, floor, ceiling.

    On each lies one panel: an image on a wall, a rug on the floor. Positions on a side are (u, v) in metres, with
    v = z on the walls.
    """

    half: Tensor
    """(3,) half extents of the room, whose middle is (0, 0, half[2])."""

    colours: Tensor
    """(6, 2, 3) in [0, 1]: ground and texture colour."""

    pattern: Tensor
    """(6,) int64: texture of each side."""

    period: Tensor
    """(6,) period of the textures."""

    panel: Tensor
    """(6, 4): middle u, v and half extents of the panels."""

    panel_colours: Tensor
    """(6, 2, 3) in [0, 1]: the panels and their frames."""

    def cast(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Distance (N,) at which rays from inside leave the room, and the side (N,) they meet."""
        low = torch.tensor([-self.half[0], -self.half[1], 0.0])
        high = torch.tensor([self.half[0], self.half[1], 2 * self.half[2]])
        distance = torch.full((len(origins),), math.inf)
        side = torch.zeros(len(origins), dtype=torch.int64)
        for axis in range(3):
            start, step = origins[:, axis], directions[:, axis]
            leaving = torch.where(step > 0, high[axis] - start, low[axis] - start) / step
            side = torch.where(leaving < distance, 2 * axis + (step > 0).long(), side)
            distance = torch.fmin(leaving, distance)
        return distance, side

    def paint(self, points: Tensor, side: Tensor) -> Tensor:
        """Colours (N, 3) in [0, 1] of points (N, 3) on the sides (N,), darker towards the edges of the room."""
        colour = torch.empty_like(points)
        for number in range(6):
            rows = (side == number).nonzero()[:, 0]
            x, y, z = points.index_select(0, rows).unbind(-1)
            u, v = (y if number < 2 else x), (z if number < 4 else y)
            colour.index_copy_(0, rows, self._paint_side(number, u, v))
        return colour * self._corner_light(points)[:, None]

    def _paint_side(self, number: int, u: Tensor, v: Tensor) -> Tensor:
        grain = torch.stack([v, torch.zeros_like(u), u], dim=-1) / self.period[number]
        weight = pattern_weight(self.pattern[number], grain)[:, None]
        colour = torch.lerp(self.colours[number, 0], self.colours[number, 1], weight)
        middle_u, middle_v, half_u, half_v = self.panel[number]
        across, along = (u - middle_u).abs() / half_u, (v - middle_v).abs() / half_v
        depth = across.hypot(along) if number == FLOOR else torch.maximum(across, along)
        frame = ((depth > 0.82) & (depth < 1))[:, None]
        if number < FLOOR:
            frame |= (v < SKIRTING)[:, None]
        colour = torch.where((depth < 1)[:, None], self.panel_colours[number, 0], colour)
        return torch.where(frame, self.panel_colours[number, 1], colour)

    def _corner_light(self, points: Tensor) -> Tensor:
        """Brightness: near a corner a point sees less of the light that the room throws about."""
        x, y, z = points.unbind(-1)
        half_x, half_y, half_z = self.half
        gaps = (half_x - x.abs(), half_y - y.abs(), half_z - (z - half_z).abs())
        return 1.28 - 0.22 * sum((torch.exp(gap / -0.3) for gap in gaps), start=torch.zeros(()))


@dataclass(frozen=True)
class Scene:
    """A furnished room: its sides, the toys in it and the light."""

    surfaces: Surfaces
    toys: tuple[Solids, ...]
    light: Tensor
    """(3,) position of the lamp."""


@dataclass(frozen=True)
class Walk:
    """Where the head is, what it looks at and how far it leans, frame by frame."""

    eye: Tensor
    """(T, 3)"""

    target: Tensor
    """(T, 3)"""

    roll: Tensor
    """(T,)"""

    def part(self, begin: int, end: int) -> "Walk":
        """The walk from one frame to before another."""
        return Walk(self.eye[begin:end], self.target[begin:end], self.roll[begin:end])

    def rests(self) -> bool:
        """Whether all frames show the same view."""
        return all(bool((values == values[:1]).all()) for values in (self.eye, self.target, self.roll))

    def rays(self, size: int) -> Tensor:
        """Unit directions (T, size, size, 3) through the pixels, rows from top to bottom."""
        forward = normalize(self.target - self.eye, dim=-1)
        right = normalize(torch.linalg.cross(forward, torch.tensor([[0.0, 0.0, 1.0]])), dim=-1)
        up = torch.linalg.cross(right, forward)
        c, s = self.roll.cos()[:, None], self.roll.sin()[:, None]
        right, up = c * right + s * up, c * up - s * right
        across = math.tan(FIELD_OF_VIEW / 2) * ((torch.arange(size) + 0.5) * 2 / size - 1)
        columns = rearrange(across, "w -> 1 1 w 1") * rearrange(right, "t c -> t 1 1 c")
        rows = rearrange(-across, "h -> 1 h 1 1") * rearrange(up, "t c -> t 1 1 c")
        return normalize(rearrange(forward, "t c -> t 1 1 c") + columns + rows, dim=-1)


def make_scene(seed: int, index: int) -> Scene:
    """Furnishes room number `index` of the world `seed`: look, panels on the walls, lamp and three to six toys."""
    draws = torch.rand(40, generator=generator("room", seed, index))
    half = torch.tensor([2.4, 2.4, 1.15]) + draws[:3] * torch.tensor([0.5, 0.5, 0.1])
    light = (draws[3:6] - 0.5) * torch.tensor([2.0, 2.0, 0.0]) + torch.tensor([0.0, 0.0, 2.0])
    count = 3 + int(4 * draws[6])
    toys = tuple(_placed_toy(seed, index, k, count) for k in range(count))
    return Scene(_surfaces(index, half, draws[7:]), toys, light)


def _placed_toy(seed: int, index: int, number: int, count: int) -> Solids:
    """Toys stand around the middle of the room, each in its own sector."""
    rng = generator("place", seed, index, number)
    kind = torch.randint(2**31, (3,), generator=rng).tolist()
    draws = torch.rand(5, generator=rng).tolist()
    angle = 2 * math.pi * (number + 0.5 * draws[0]) / count
    radius = 0.4 + 0.38 * draws[1]
    position = torch.tensor([radius * math.cos(angle), radius * math.sin(angle), 0.0])
    toy = make_toy(kind[0] % len(CATEGORIES), kind[1], kind[2] % STATES, seed)
    return toy.placed(position, 2 * math.pi * draws[2], 0.52 + 0.14 * draws[3])


def _surfaces(index: int, half: Tensor, draws: Tensor) -> Surfaces:
    """The look of a room: one of LOOKS, so that neighbouring rooms differ, shifted a little by the draws."""
    hue, floor_saturation, floor_value, walls, saturation, value = LOOKS[index % len(LOOKS)]
    u = draws.tolist()
    shift, light = 0.08 * (u[0] - 0.5), 0.12 * (u[1] - 0.5)
    sides = [rgb(h + shift, saturation, value + light) for h in walls]
    sides += [rgb(hue + shift, floor_saturation, floor_value + light), rgb(walls[0], 0.05, 0.97)]
    colours = torch.tensor(sides)
    tint = torch.tensor([0.89, 0.89, 0.89, 0.89, 0.78, 1.0])[:, None]
    patterns = [(PLAIN, STRIPES, CHECKS, DOTS)[int(4 * d)] for d in u[2:6]]
    panel = [
        [1.6 * (d - 0.5), 1.0 + 0.3 * e, 0.35 + 0.3 * d, 0.3 + 0.2 * e] for d, e in zip(u[8:12], u[12:16], strict=True)
    ]
    panel += [
        [0.4 * u[16] - 0.2, 0.4 * u[17] - 0.2, 0.8 + 0.4 * u[18], 0.8 + 0.4 * u[19]],
        [0.0, 0.0, 0.5, 0.5],
    ]
    panels = [rgb(d, 0.55, 0.45 + 0.5 * e) for d, e in zip(u[20:26], u[26:32], strict=True)]
    frames = [rgb(hue, 0.1, 0.95)] * 4 + [rgb(u[24] + 0.4, 0.3, 0.9), (1.0, 1.0, 1.0)]
    return Surfaces(
        half=half,
        colours=torch.stack([colours, colours * tint], dim=1),
        pattern=torch.tensor([*patterns, (STRIPES, CHECKS)[int(2 * u[6])], PLAIN]),
        period=torch.tensor([0.9, 0.9, 0.9, 0.9, 0.8 + 0.4 * u[7], 1.0]),
        panel=torch.tensor(panel),
        panel_colours=torch.stack([torch.tensor(panels), torch.tensor(frames)], dim=1),
    )


def make_walk(seed: int, index: int, frames: int, fps: float) -> Walk:
    """The head's way through room `index`: around the toys at a toddler's height, from fixation to fixation.

    The first frames do not depend on how many follow.
    """
    rng = generator("walk", seed, index)
    u = torch.rand(12, generator=rng).tolist()
    time = torch.arange(frames) / fps
    angle = 2 * math.pi * u[0] + 0.7 * torch.sin(0.24 * time + 2 * math.pi * u[1])
    radius = 1.4 + 0.25 * u[2] + 0.2 * torch.sin(0.6 * time + 2 * math.pi * u[3])
    step = 2 * math.pi * (0.8 + 0.2 * u[4]) * time
    height = 0.75 + 0.2 * u[5] + 0.012 * torch.sin(2 * step)
    eye = torch.stack([radius * angle.cos(), radius * angle.sin(), height], dim=-1)
    return Walk(eye, _gaze(time, rng, make_scene(seed, index).toys), 0.02 * torch.sin(step))


def _gaze(time: Tensor, rng: torch.Generator, toys: tuple[Solids, ...]) -> Tensor:
    """Points (T, 3) looked at: toys for one to three seconds each, drawn towards the middle of them all."""
    choices = torch.randint(len(toys), (FIXATIONS,), generator=rng)
    draws = torch.rand(2, FIXATIONS, generator=rng)
    spots = torch.stack([toy.sphere()[0] for toy in toys])
    points = torch.lerp(spots[choices], spots.mean(0), 0.5)
    points[:, 2] = 0.2 + 0.4 * draws[1]
    ends = (1.2 + 2.0 * draws[0]).cumsum(0)
    time = time % (ends[-1] - 1)
    number = torch.searchsorted(ends, time, right=True)
    turn = ((time - ends[number] + TURN) / TURN).clamp(0, 1)
    turn = turn * turn * (3 - 2 * turn)
    return torch.lerp(points[number], points[(number + 1) % FIXATIONS], turn[:, None])
