"""Coloured things with light on them: balls, boxes, drums and cones, painted onto a layer.

A painting is (side, side, 4) float32: coded colours and where something is, in [0, 1]; what is painted later is nearer.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from data.synthetic.chance import happens, log_uniform, pick
from data.synthetic.colours import Array, palette, vivid


class Window(NamedTuple):
    """The part of a painting around a thing, with places in units of the thing's radius."""

    rows: slice
    columns: slice
    x: Array
    """(h, w), to the right."""
    y: Array
    """(h, w), downwards."""
    pixel: float
    """Width of a pixel in these units: edges are softened over it."""


def window(side: int, centre: tuple[float, float], radius: float, reach: float = 1.5) -> Window | None:
    """Return the part of a square painting within `reach` radii of a centre in pixels; None if it is outside."""
    low = [max(0, int(place - reach * radius)) for place in centre]
    high = [min(side, int(place + reach * radius) + 1) for place in centre]
    if low[0] >= high[0] or low[1] >= high[1]:
        return None
    columns = (np.arange(low[0], high[0], dtype=np.float32) + 0.5 - centre[0]) / radius
    rows = (np.arange(low[1], high[1], dtype=np.float32) + 0.5 - centre[1]) / radius
    y, x = np.meshgrid(rows, columns, indexing="ij")
    return Window(slice(low[1], high[1]), slice(low[0], high[0]), x, y, 1 / radius)


def soft(distance: Array, width: float) -> Array:
    """Return 1 where a distance inwards is positive and 0 where it is negative, over a width in between."""
    return np.clip(distance / np.float32(width) + 0.5, 0, 1)


def lay(painting: Array, place: Window, colours: Array, cover: Array) -> None:
    """Lay colours (h, w, 3) or (3,) over a part of a painting where they cover it (h, w)."""
    part = painting[place.rows, place.columns]
    cover = cover[..., None]
    part[..., :3] += cover * (colours - part[..., :3])
    part[..., 3:] += cover * (1 - part[..., 3:])


def things(rng: np.random.Generator, side: int) -> Array:
    """Return a painting of one to a dozen things, most of them of saturated colours, with shadows below."""
    painting = np.zeros((side, side, 4), np.float32)
    count = int(np.round(log_uniform(rng, 1, 14)))
    sizes = np.sort(log_uniform(rng, 0.06, 0.26) * rng.uniform(0.5, 1.6, count)) * side
    light = rng.normal(0, 1, 2)
    light = light / (np.hypot(*light) + 0.3)
    colours = vivid(rng, 2 * count) if happens(rng, 0.75) else palette(rng, 2 * count)
    for radius, colour in zip(sizes, colours.reshape(count, 2, 3), strict=True):
        centre = rng.uniform(0.18, 0.82, 2) * side
        place = window(side, (centre[0], centre[1]), radius)
        if place is not None:
            _shadow(painting, place)
            pick(rng, SOLIDS)(rng, painting, place, colour, (float(light[0]), -abs(float(light[1]))))
    return painting


def _shadow(painting: Array, place: Window) -> None:
    gap = np.sqrt((place.x / 1.15) ** 2 + ((place.y - 0.8) / 0.45) ** 2)
    lay(painting, place, np.zeros(3, np.float32), 0.55 * np.clip(1.2 - gap, 0, 1).astype(np.float32))


Light = tuple[float, float]
"""Where light comes from: to the right, and down, at most 1 together."""


def _ball(rng: np.random.Generator, painting: Array, place: Window, colour: Array, light: Light) -> None:
    inside = 1 - place.x**2 - place.y**2
    front = np.sqrt(np.clip(inside, 0, 1))
    facing = np.clip(place.x * light[0] + place.y * light[1] + 0.7 * front, 0, None)
    paint = _striped(rng, colour, place.x * 0.8 + front * 0.4, place.y)
    shine = np.float32(rng.choice([0.0, 0.4, 0.9])) * np.clip(facing, 0, 1.2) ** 20
    lay(painting, place, paint * (0.3 + 0.75 * facing)[..., None] + shine[..., None], soft(inside, 3 * place.pixel))


def _drum(rng: np.random.Generator, painting: Array, place: Window, colour: Array, light: Light) -> None:
    high = rng.uniform(0.5, 1.1)
    half = np.clip(1 - (place.x / 0.75) ** 2, 0, 1)
    bow = 0.28 * np.sqrt(half)
    body = np.minimum(np.minimum(high + bow - place.y, place.y + high), 0.75 - np.abs(place.x))
    facing = np.clip(0.35 + 0.55 * np.sqrt(half) + light[0] * place.x, 0.1, 1.3)
    paint = _striped(rng, colour, place.y, place.x)
    lay(painting, place, paint * facing[..., None], soft(body, 2 * place.pixel))
    lid = 1 - (place.x / 0.75) ** 2 - ((place.y + high) / 0.28) ** 2
    lay(painting, place, np.clip(colour[1] * 1.1, 0, 1), soft(lid, 4 * place.pixel))


def _cone(rng: np.random.Generator, painting: Array, place: Window, colour: Array, light: Light) -> None:
    half = 0.4 * (place.y + 1) + 1e-3
    body = np.minimum(half - np.abs(place.x), 0.85 + 0.15 * np.sqrt(np.clip(1 - place.x**2, 0, 1)) - place.y)
    facing = np.clip(0.75 + 0.5 * light[0] * place.x / np.maximum(half, 0.05), 0.15, 1.3)
    lay(painting, place, _striped(rng, colour, place.y, place.x) * facing[..., None], soft(body, 2 * place.pixel))


def _box(rng: np.random.Generator, painting: Array, place: Window, colour: Array, light: Light) -> None:
    wide, high, deep = rng.uniform(0.4, 0.95), rng.uniform(0.3, 0.8), rng.uniform(0.15, 0.45)
    turn = rng.normal(0, 0.15)
    x, y = place.x * np.cos(turn) + place.y * np.sin(turn), place.y * np.cos(turn) - place.x * np.sin(turn)
    brightness = (0.85, 1.1, 0.5) if light[0] < 0 else (0.75, 1.15, 0.95)
    faces = (
        (x, y - 0.2),
        (x - (-(y - 0.2) - high) * 0.6, y - 0.2 + high + deep / 2),
        (x - wide - deep * 0.3, y - 0.2 + (x - wide) / 0.6 * 0.999),
    )
    halves = ((wide, high), (wide, deep / 2), (deep * 0.3, high))
    paint = _striped(rng, colour, y, x)
    for (u, v), (half_u, half_v), bright in zip(faces, halves, brightness, strict=True):
        cover = soft(np.minimum(half_u - np.abs(u), half_v - np.abs(v)), 2 * place.pixel)
        lay(painting, place, np.clip(paint * bright, 0, 1), cover)


def _striped(rng: np.random.Generator, colour: Array, along: Array, across: Array) -> Array:
    """Colours (h, w, 3) of one paint, or of two in stripes or checks."""
    kind = pick(rng, ("plain", "plain", "stripes", "checks"))
    often = rng.uniform(2, 7)
    bands = np.floor(along * often)
    if kind == "plain":
        return np.broadcast_to(colour[0], (*along.shape, 3))
    if kind == "checks":
        bands = bands + np.floor(across * often)
    return colour[bands.astype(np.int64) % 2]


Solid = Callable[[np.random.Generator, Array, Window, Array, Light], None]
SOLIDS: tuple[Solid, ...] = (_ball, _ball, _drum, _cone, _box, _box)
