"""Textures that fill a square: noise with a power-law spectrum, patterns as people make them, gradients.

All return coded colours (side, side, 3) float32, about [0, 1]; values outside are clipped later.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from data.synthetic.chance import happens, log_uniform, pick
from data.synthetic.colours import Array, between, dulled, hsv, palette

USUAL_SLOPE = (0.9, 1.6)
"""Exponents of the amplitude over spatial frequency; photographs have about 1."""


def noise(rng: np.random.Generator, side: int, slope: float, stretch: float = 1.0) -> Array:
    """Return two independent fields (2, side, side) of mean 0 and variance 1 that repeat at their borders.

    Args:
        rng: where the phases come from.
        side: rows and columns.
        slope: the amplitude falls with this power of spatial frequency.
        stretch: how many times as long as wide the grain is, along a random direction; 1 for none.
    """
    across, down = _frequencies(rng, side, stretch)
    radius = np.sqrt(across**2 + down**2)
    radius[0, 0] = np.inf
    parts = rng.standard_normal((2, side, side), dtype=np.float32)
    spectrum = torch.from_numpy(parts[0] + 1j * parts[1]) * torch.from_numpy(radius ** np.float32(-slope))
    field = torch.fft.ifft2(spectrum)
    both = torch.stack([field.real, field.imag]).numpy()
    fields: Array = both / both.std(axis=(1, 2), keepdims=True)
    return fields


def _frequencies(rng: np.random.Generator, side: int, stretch: float) -> tuple[Array, Array]:
    """Spatial frequencies across and down (side, side), in a grain's own directions."""
    steps = np.fft.fftfreq(side).astype(np.float32) * side
    down, across = np.meshgrid(steps, steps, indexing="ij")
    if stretch == 1.0:
        return across, down
    angle = rng.uniform(0, np.pi)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return (cosine * across + sine * down) * np.float32(stretch), cosine * down - sine * across


def grid(side: int) -> tuple[Array, Array]:
    """Return x and y (side, side) in [-1, 1]."""
    ticks = ((np.arange(side) + 0.5) / side * 2 - 1).astype(np.float32)
    down, across = np.meshgrid(ticks, ticks, indexing="ij")
    return across, down


def turned_grid(rng: np.random.Generator, side: int) -> tuple[Array, Array]:
    """Return x and y (side, side) after a turn: often a small one, as what people build stands upright."""
    across, down = grid(side)
    angle = rng.normal(0, 0.15) if happens(rng, 0.5) else rng.uniform(0, np.pi)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cosine * across + sine * down, cosine * down - sine * across


def noise_texture(rng: np.random.Generator, side: int) -> Array:
    """Return clouds, stone, sand, fabric: noise that runs along a palette or varies around one colour."""
    stretch = log_uniform(rng, 1.5, 8) if happens(rng, 0.3) else 1.0
    runs = happens(rng, 0.4)
    light, tint = noise(rng, side, rng.uniform(*USUAL_SLOPE) + 0.3 * runs, stretch)
    if runs:
        colours = dulled(rng, palette(rng, int(rng.integers(2, 5))))
        return between(colours, 0.5 + 0.25 * light) + np.float32(0.05) * tint[..., None]
    base = dulled(rng, palette(rng, 1))[0]
    bend = rng.normal(0, rng.uniform(0.02, 0.18), 3).astype(np.float32)
    return base + np.float32(rng.uniform(0.05, 0.25)) * light[..., None] + bend * tint[..., None]


def gradient(rng: np.random.Generator, side: int) -> Array:
    """Return a gradient of colours, straight or round, sometimes with clouds."""
    across, down = turned_grid(rng, side)
    place = (down + 1) / 2
    if happens(rng, 0.4):
        centre = rng.uniform(-1, 1, 2).astype(np.float32)
        place = np.sqrt((across - centre[0]) ** 2 + (down - centre[1]) ** 2) / rng.uniform(0.8, 2)
    cloud, _ = noise(rng, side, rng.uniform(1.3, 2.2))
    colours = palette(rng, int(rng.integers(2, 5)))
    return between(colours, place + rng.choice([0.0, 0.04, 0.15]) * cloud)


def sky(rng: np.random.Generator, side: int) -> Array:
    """Return a sky: blue, grey or of dusk, with clouds."""
    _, down = grid(side)
    hue = pick(rng, (0.58, 0.6, 0.56, 0.05, 0.95, 0.08))
    top = hsv(np.array([hue]), rng.uniform(0.2, 0.9, 1), rng.uniform(0.4, 1, 1))
    bottom = hsv(rng.uniform(0.02, 0.6, 1), rng.uniform(0, 0.5, 1), rng.uniform(0.6, 1, 1))
    blue = between(np.concatenate([top, bottom]), (down + 1) / 2)
    cloud, _ = noise(rng, side, rng.uniform(1.2, 1.7), rng.uniform(1, 3))
    cover = np.clip(cloud * rng.uniform(0.2, 0.8) - rng.uniform(-0.3, 0.6), 0, 1)[..., None]
    return blue * (1 - cover) + np.float32(rng.uniform(0.7, 1)) * cover


def pattern(rng: np.random.Generator, side: int) -> Array:
    """Return stripes, checks, bricks, boards, dots or plaid, worn by noise and unevenly lit."""
    place = turned_grid(rng, side)
    wear, light = noise(rng, side, rng.uniform(*USUAL_SLOPE))
    bend = np.float32(pick(rng, (0.0, 0.0, 0.01, 0.05)))
    place = (place[0] + bend * light, place[1] + bend * wear)
    kind = pick(rng, (_stripes, _checks, _bricks, _bricks, _wood, _dots, _plaid))
    colours = kind(rng, *place)
    worn = 1 + np.float32(log_uniform(rng, 0.02, 0.25)) * wear[..., None]
    return colours * worn * _lit(rng, side)


def _lit(rng: np.random.Generator, side: int) -> Array:
    """Brightness (side, side, 1): light falls off to one side."""
    across, down = grid(side)
    slope = rng.normal(0, 0.2, 2).astype(np.float32)
    return np.clip(1 + slope[0] * across + slope[1] * down, 0.3, 1.7)[..., None]


def _stripes(rng: np.random.Generator, across: Array, down: Array) -> Array:
    colours = palette(rng, int(rng.integers(2, 6)))
    turns = across * log_uniform(rng, 1.5, 14)
    if happens(rng, 0.3):
        return between(colours[:2], 0.5 + 0.5 * np.sin(np.pi * turns))
    return colours[np.floor(turns).astype(np.int64) % len(colours)]


def _checks(rng: np.random.Generator, across: Array, down: Array) -> Array:
    often = log_uniform(rng, 2, 12)
    cells = np.floor(across * often) + np.floor(down * often)
    return palette(rng, 2)[cells.astype(np.int64) % 2]


class _Cells(NamedTuple):
    """Which brick or tile each place (side, side) belongs to, and how near to its edge it is, 0 to .5."""

    number: NDArray[np.int64]
    edge: Array


def _cells(across: Array, down: Array, wide: float, high: float, shift: float) -> _Cells:
    row = np.floor(down / high)
    moved = across / wide + shift * row
    column = np.floor(moved)
    inside = np.minimum(np.minimum(moved - column, column + 1 - moved) * wide / high, 0.5)
    upright = down / high - row
    edge = np.minimum(inside, np.minimum(upright, 1 - upright))
    return _Cells((row.astype(np.int64) * 7919 + column.astype(np.int64) * 104729) % 997, edge)


def _bricks(rng: np.random.Generator, across: Array, down: Array) -> Array:
    high = log_uniform(rng, 0.08, 0.4)
    cells = _cells(across, down, high * rng.uniform(1, 3), high, pick(rng, (0.0, 0.5, 0.5)))
    base = palette(rng, 3)
    spread = rng.normal(0, rng.uniform(0.01, 0.12), (997, 3)) + rng.normal(0, 0.06, (997, 1))
    bricks = base[rng.integers(pick(rng, (1, 1, 2)), size=997)] + spread
    mortar = cells.edge < rng.uniform(0.02, 0.12)
    return np.where(mortar[..., None], base[2], bricks[cells.number]).astype(np.float32)


def _wood(rng: np.random.Generator, across: Array, down: Array) -> Array:
    wide = log_uniform(rng, 0.2, 1.2)
    cells = _cells(down, across, rng.uniform(1, 6), wide, 0.37)
    rings = across * rng.uniform(8, 40) + np.sin(down * rng.uniform(1, 4) + cells.number) * rng.uniform(0.5, 3)
    hue = rng.uniform(0.03, 0.12)
    dark = hsv(np.array([hue, hue + 0.02]), rng.uniform(0.3, 0.8, 2), np.array([0.25, 0.6]) + rng.uniform(0, 0.3))
    boards = between(dark, 0.5 + 0.35 * np.sin(rings) + rng.normal(0, 0.2, 997)[cells.number])
    return np.where((cells.edge < 0.02)[..., None], 0.4 * dark[0], boards).astype(np.float32)


def _dots(rng: np.random.Generator, across: Array, down: Array) -> Array:
    often = log_uniform(rng, 2, 9)
    row = np.floor(down * often)
    x, y = (across * often + 0.5 * row) % 1 - 0.5, (down * often) % 1 - 0.5
    colours = palette(rng, 3)
    inside = np.sqrt(x**2 + y**2) < rng.uniform(0.15, 0.45)
    return np.where(inside[..., None], colours[row.astype(np.int64) % 2], colours[2])


def _plaid(rng: np.random.Generator, across: Array, down: Array) -> Array:
    colours = palette(rng, 4)
    often = log_uniform(rng, 1.5, 5)
    widths = rng.integers(4, size=24)
    first = colours[widths[np.floor(across * often * 4).astype(np.int64) % 24]]
    second = colours[widths[np.floor(down * often * 4).astype(np.int64) % 24]]
    return (first + second) / 2
