"""Pictures of many shapes that hide each other: dead leaves of a power law of sizes, and foliage.

Shapes are drawn as numbers into one map; colour, texture and shading are looked up by number afterwards.
Dead leaves: Lee, Mumford and Huang, "Occlusion models for natural images" (2001).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from data.synthetic.chance import happens, log_uniform, pick
from data.synthetic.colours import Array, dulled, hsv, palette, vivid
from data.synthetic.textures import USUAL_SLOPE, noise


class Shapes(NamedTuple):
    """Shapes from the hindmost to the foremost, N of them, in pixels of a square."""

    centre: Array
    """(N, 2): x, y."""
    radius: Array
    """(N,)."""
    angle: Array
    """(N,) in radians."""


def power_law(rng: np.random.Generator, count: int, low: float, high: float) -> Array:
    """Return radii (count,) between two whose density falls with the third power, as in pictures of any scale."""
    share = rng.uniform(size=count)
    return ((low**-2 - share * (low**-2 - high**-2)) ** -0.5).astype(np.float32)


def scatter(rng: np.random.Generator, side: int, radius: Array) -> Shapes:
    """Return shapes of these radii at random places of a square and turned at random."""
    count = len(radius)
    centre = rng.uniform(-0.03, 1.03, (count, 2)) * side
    return Shapes(centre.astype(np.float32), radius, rng.uniform(0, 2 * np.pi, count).astype(np.float32))


def draw(shapes: Shapes, outline: NDArray[np.floating], side: int) -> NDArray[np.int64]:
    """Return which shape is seen at each pixel (side, side), counted from 1; 0 where there is none.

    Args:
        shapes: N shapes.
        outline: (N, P, 2) or (P, 2), corners around a centre at 0 of shapes of radius 1.
        side: of the square in pixels.
    """
    cosine, sine = np.cos(shapes.angle)[:, None], np.sin(shapes.angle)[:, None]
    x = outline[..., 0] * cosine - outline[..., 1] * sine
    y = outline[..., 0] * sine + outline[..., 1] * cosine
    corners = np.stack([x, y], axis=-1) * shapes.radius[:, None, None] + shapes.centre[:, None]
    image = Image.new("I", (side, side))
    pen = ImageDraw.Draw(image)
    for number, polygon in enumerate(corners.reshape(len(corners), -1).tolist(), 1):
        pen.polygon(polygon, fill=number)
    return np.array(image, dtype=np.int64)


def dead_leaves(rng: np.random.Generator, side: int) -> Array:
    """Return overlapping discs, blobs and boxes with texture inside, coded colours (side, side, 3)."""
    smallest = log_uniform(rng, 0.012, 0.05)
    count = int(np.clip(0.9 / smallest**1.5, 80, 500))
    shapes = scatter(rng, side, power_law(rng, count, smallest * side, rng.uniform(0.15, 0.45) * side))
    number = draw(shapes, _outlines(rng, count), side)
    colours = _colours_of_leaves(rng, count)
    return np.clip(colours[number] + _inside(rng, shapes, number, side), 0, 1)


def _outlines(rng: np.random.Generator, count: int) -> NDArray[np.floating]:
    """Corners (count, P, 2) of shapes of radius 1: all discs, all boxes, or stars and blobs."""
    kind = pick(rng, ("disc", "box", "blob", "blob"))
    corners = 4 if kind == "box" else 18
    turn = 2 * np.pi * np.arange(corners) / corners
    reach = np.ones((count, corners))
    if kind == "blob":
        waves = rng.integers(2, 6, (count, 1))
        reach += rng.uniform(0, 0.5, (count, 1)) * np.sin(waves * turn + rng.uniform(0, 6, (count, 1)))
    flat = rng.uniform(0.35 if kind == "box" else 0.6, 1, (count, 1))
    return np.stack([reach * np.cos(turn + np.pi / 4), flat * reach * np.sin(turn + np.pi / 4)], axis=-1)


def _colours_of_leaves(rng: np.random.Generator, count: int) -> Array:
    """Colours (1 + count, 3), the first of what lies behind: around those of a palette, or of all hues."""
    if happens(rng, 0.25):
        return dulled(rng, vivid(rng, count + 1))
    few = palette(rng, int(rng.integers(3, 9)))
    spread = rng.normal(0, 0.08, (count + 1, 1)) + rng.normal(0, 0.04, (count + 1, 3))
    return dulled(rng, (few[rng.integers(len(few), size=count + 1)] + spread).astype(np.float32))


def _inside(rng: np.random.Generator, shapes: Shapes, number: NDArray[np.int64], side: int) -> Array:
    """What texture and shading add (side, side, 3) inside of shapes: each has its own part of one noise."""
    count = len(shapes.radius) + 1
    grain = noise(rng, side, rng.uniform(*USUAL_SLOPE))
    strength = (rng.uniform(0, 0.22, (2, count)) * np.array([[1.0], [0.4]])).astype(np.float32)
    row, column = np.indices((side, side))
    shift = rng.integers(side, size=(2, count))
    row, column = (row + shift[0][number]) % side, (column + shift[1][number]) % side
    light = strength[0][number] * grain[0][row, column]
    tint = strength[1][number] * grain[1][row, column]
    across, along = own_places(shapes, number, side)
    light = light + rng.normal(0, 0.1, count).astype(np.float32)[number] * across
    light = light + rng.normal(0, 0.05, count).astype(np.float32)[number] * along
    bend = rng.normal(0, 1, (count, 3)).astype(np.float32)
    added: Array = light[..., None] + tint[..., None] * bend[number]
    return added


def own_places(shapes: Shapes, number: NDArray[np.int64], side: int) -> tuple[Array, Array]:
    """Return where each pixel (side, side) lies in its shape, across and along its axis in its radii; 0 in none."""
    front = np.concatenate([[[0, 0]], shapes.centre]).astype(np.float32)[number]
    scale = np.concatenate([[np.inf], shapes.radius]).astype(np.float32)[number]
    angle = np.concatenate([[0], shapes.angle]).astype(np.float32)
    down, across = np.indices((side, side), dtype=np.float32)
    x, y = (across - front[..., 0]) / scale, (down - front[..., 1]) / scale
    cosine, sine = np.cos(angle)[number], np.sin(angle)[number]
    return y * cosine - x * sine, x * cosine + y * sine


def foliage(rng: np.random.Generator, side: int) -> tuple[Array, Array]:
    """Return leaves in front of each other: coded colours (side, side, 3), and where there are any (side, side)."""
    size = log_uniform(rng, 0.025, 0.11)
    count = int(np.clip(1.6 / size**1.6, 60, 500))
    radius = (size * side * rng.uniform(0.6, 1.4, count)).astype(np.float32)
    shapes = scatter(rng, side, radius)
    if happens(rng, 0.5):  # most leaves of a plant hang one way
        shapes = shapes._replace(angle=rng.normal(rng.uniform(0, 6), 0.5, count).astype(np.float32))
    number = draw(shapes, _leaf(rng), side)
    across, along = own_places(shapes, number, side)
    depth = np.concatenate([[0], np.linspace(rng.uniform(0.15, 0.5), 1, count)]).astype(np.float32)
    side_light = np.concatenate([[0], rng.normal(0, 0.22, count)]).astype(np.float32)
    shade = depth[number] * (1 + side_light[number] * np.sign(across) + 0.15 * along)
    shade = np.where(np.abs(across) < 0.035, 1.25 * shade, shade)
    light, _ = noise(rng, side, 1.3)
    colours = _greens(rng, count)[number] * (shade * (1 + 0.2 * light))[..., None]
    return np.clip(colours, 0, 1), (number > 0).astype(np.float32)


def _leaf(rng: np.random.Generator) -> Array:
    """Corners (P, 2) of a leaf of length 2 along x: broad or narrow, pointed."""
    along = np.linspace(-1, 1, 8)
    wide = rng.uniform(0.12, 0.6) * (1 - along**2) ** rng.uniform(0.7, 1.3) * (1 - rng.uniform(0, 0.5) * along)
    upper, lower = np.stack([along, wide], axis=1), np.stack([along, -wide], axis=1)
    return np.concatenate([upper, lower[-2:0:-1]]).astype(np.float32)


def _greens(rng: np.random.Generator, count: int) -> Array:
    """Colours (1 + count, 3) of leaves in summer or autumn, sometimes with blossoms; the first of what is behind."""
    hue = rng.normal(rng.uniform(0.19, 0.38), 0.03, count + 1)
    if happens(rng, 0.3):
        hue = rng.normal(rng.uniform(-0.02, 0.16), 0.035, count + 1)
    saturation = np.clip(rng.normal(rng.uniform(0.45, 0.9), 0.1, count + 1), 0, 1)
    value = np.clip(rng.normal(rng.uniform(0.45, 0.95), 0.12, count + 1), 0.05, 1)
    colours = hsv(hue, saturation, value)
    blossoms = rng.uniform(size=count + 1) < pick(rng, (0.0, 0.0, 0.05, 0.2))
    colours[blossoms] = vivid(rng, 1)[0] * rng.uniform(0.8, 1, (int(blossoms.sum()), 1))
    return colours.astype(np.float32)
