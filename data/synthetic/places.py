"""Rooms and landscapes: a floor or ground in perspective, and what stands on it.

All return coded colours (side, side, 3) or paintings (side, side, 4), see `data.synthetic.things`.
"""

import numpy as np
import torch
import torch.nn.functional as F

from data.synthetic.chance import happens, log_uniform, pick
from data.synthetic.colours import Array, hsv, palette, vivid
from data.synthetic.leaves import dead_leaves, foliage
from data.synthetic.textures import gradient, grid, noise, noise_texture, pattern, sky

NEAR = 0.35
"""Height of the camera above a floor, in half widths of its texture."""


def floor(rng: np.random.Generator, side: int, horizon: float) -> tuple[Array, Array]:
    """Return a floor that reaches to a horizon (-1 for the upper border, 1 for the lower), and where it is."""
    flat = pick(rng, (noise_texture, pattern))(rng, side)
    across, down = grid(side)
    below = np.maximum(down - horizon, 1e-3)
    far = np.float32(NEAR) / below
    places = np.stack([across * far * 2, far * 2 - 1], axis=-1)
    seen = F.grid_sample(
        torch.from_numpy(flat.astype(np.float32)).permute(2, 0, 1)[None],
        torch.from_numpy(places.astype(np.float32))[None],
        padding_mode="reflection",
        align_corners=False,
    )[0].permute(1, 2, 0)
    # Far away a pixel covers many of the texture: their mean is seen.
    clear = np.clip(1.6 - 0.5 * far, 0, 1)[..., None]
    colours = flat.mean((0, 1)) * (1 - clear) + seen.numpy() * clear
    return colours.astype(np.float32), np.clip((down - horizon) * side / 2 + 0.5, 0, 1).astype(np.float32)


def room(rng: np.random.Generator, side: int) -> Array:
    """Return a room without its furniture: walls, a floor, windows, doors, pictures, uneven light."""
    across, down = grid(side)
    wall = pick(rng, (gradient, noise_texture, pattern))(rng, side)
    plain = palette(rng, 1)[0]
    colours = (plain + rng.uniform(0.1, 0.6) * (wall - plain)).astype(np.float32)
    corner = rng.uniform(-0.9, 0.9)
    aside = np.clip((across - corner) * side / 2, 0, 1)[..., None]
    colours = colours * (1 - rng.uniform(0.1, 0.5) * (aside if happens(rng, 0.5) else 1 - aside))
    for _ in range(rng.integers(0, 4)):
        _hang(rng, colours)
    ground, cover = floor(rng, side, rng.uniform(0.0, 0.6))
    cover = cover[..., None]
    colours = colours * (1 - cover) + 0.85 * ground * cover
    glow = np.exp(-((across - rng.uniform(-1, 1)) ** 2 + (down - rng.uniform(-1, 1)) ** 2) / rng.uniform(0.3, 2))
    lit: Array = colours * (rng.uniform(0.4, 0.9) + rng.uniform(0.3, 0.8) * glow)[..., None]
    return lit


def _hang(rng: np.random.Generator, colours: Array) -> None:
    """A window, a door or a picture on a wall, with its frame."""
    side = len(colours)
    wide, high = (rng.uniform(0.1, 0.35, 2) * side).astype(int)
    top, left = (rng.uniform(0.1, 0.6, 2) * side).astype(int)
    edge = max(1, int(rng.uniform(0.008, 0.03) * side))
    colours[top : top + high, left : left + wide] = palette(rng, 1)[0]
    inside = colours[top + edge : top + high - edge, left + edge : left + wide - edge]
    inside[:] = pick(rng, (sky, gradient, dead_leaves))(rng, max(*inside.shape[:2], 2))[
        : inside.shape[0], : inside.shape[1]
    ]
    if happens(rng, 0.4):
        middle = inside.shape[1] // 2
        inside[:, middle : middle + edge] = colours[top, left]


def landscape(rng: np.random.Generator, side: int) -> Array:
    """Return sky, hills and ground."""
    colours = sky(rng, side)
    _, down = grid(side)
    horizon = rng.uniform(-0.3, 0.4)
    haze = colours.mean((0, 1))
    for nearness in np.linspace(0.3, 0.9, int(rng.integers(0, 4))):
        ridge = horizon - rng.uniform(0, 0.35) * (1 - nearness) + 0.1 * noise(rng, side, 1.8)[0][:1]
        hill = _earth(rng, side) * nearness + haze * (1 - nearness)
        cover = np.clip((down - ridge) * side / 2, 0, 1)[..., None]
        colours = colours * (1 - cover) + hill * cover
    ground, cover = floor(rng, side, horizon)
    if happens(rng, 0.6):
        ground = 0.3 * ground + 0.7 * _earth(rng, side)
    return (colours * (1 - cover[..., None]) + ground * cover[..., None]).astype(np.float32)


def _earth(rng: np.random.Generator, side: int) -> Array:
    """Grass, earth, sand, snow or water."""
    hue, saturation, value = pick(
        rng,
        ((0.26, 0.65, 0.5), (0.2, 0.6, 0.6), (0.08, 0.5, 0.45), (0.12, 0.4, 0.8), (0.6, 0.05, 0.95), (0.56, 0.6, 0.5)),
    )
    colour = hsv(np.array([hue + rng.normal(0, 0.02)]), np.array([saturation]), np.array([value]))
    light, tint = noise(rng, side, rng.uniform(0.9, 1.5), rng.uniform(1, 3))
    bend = rng.normal(0, 0.04, 3).astype(np.float32)
    return colour * (1 + 0.22 * light[..., None]) + bend * tint[..., None]


def outdoors(rng: np.random.Generator, side: int) -> Array:
    """Return a painting of houses and trees."""
    painting = np.zeros((side, side, 4), np.float32)
    base = rng.uniform(0.05, 0.45)
    for _ in range(rng.integers(1, 5)):
        pick(rng, (_house, _tree, _tree))(rng, painting, base)
        base += rng.uniform(0, 0.15)
    return painting


def _lay(painting: Array, colours: Array, inside: Array) -> None:
    """Lay colours over a whole painting where a distance inwards, in half widths of it, is positive."""
    cover = np.clip(inside * len(painting) / 2 + 0.5, 0, 1)[..., None]
    painting[..., :3] += cover * (colours - painting[..., :3])
    painting[..., 3:] += cover * (1 - painting[..., 3:])


def _house(rng: np.random.Generator, painting: Array, base: float) -> None:
    side = len(painting)
    across, down = grid(side)
    half, high, middle = rng.uniform(0.15, 0.45), rng.uniform(0.3, 0.9), rng.uniform(-0.8, 0.8)
    x, up = across - middle, base - down
    wall = pick(rng, (pattern, noise_texture))(rng, side)
    body = np.minimum(half - np.abs(x), np.minimum(up, high - up))
    _lay(painting, wall * 0.6 + 0.4 * palette(rng, 1)[0], body)
    pitch = rng.uniform(0.4, 1.2)
    roof = np.minimum(up - high, pitch * (half * 1.12 - np.abs(x)) - (up - high))
    _lay(painting, palette(rng, 1)[0] * (1 + 0.15 * np.sin(60 * up))[..., None], roof)
    spacing = half / rng.uniform(1, 3)
    column, row = (x / spacing + 0.5) % 1 - 0.5, (up / (1.3 * spacing)) % 1 - 0.55
    pane = np.minimum(0.28 - np.abs(column), 0.3 - np.abs(row)) * spacing
    glass = hsv(np.array([0.58]), rng.uniform(0.1, 0.5, 1), rng.uniform(0.1, 0.9, 1))[0]
    _lay(painting, glass, np.minimum(pane, body - 0.02))


def _tree(rng: np.random.Generator, painting: Array, base: float) -> None:
    side = len(painting)
    across, down = grid(side)
    middle, wide, high = rng.uniform(-0.9, 0.9), log_uniform(rng, 0.15, 0.5), rng.uniform(0.2, 0.5)
    trunk = np.minimum(0.14 * wide - np.abs(across - middle), np.minimum(base - down, down - base + 2 * high))
    bark = hsv(np.array([0.07]), rng.uniform(0.2, 0.6, 1), rng.uniform(0.15, 0.5, 1))[0]
    _lay(painting, bark * (1 - 2 * (across - middle) / wide)[..., None], trunk)
    top = base - high - 0.7 * wide
    gap = ((across - middle) / wide) ** 2 + ((down - top) / (wide * rng.uniform(0.8, 1.5))) ** 2
    colours, cover = foliage(rng, side)
    shade = np.clip(1 - 0.5 * (down - top) / wide - 0.3 * (across - middle) / wide, 0.3, 1.4)[..., None]
    crown = (1 - gap + 0.35 * noise(rng, side, 1.4)[0]) * wide * 0.5
    _lay(painting, colours * shade, np.where(cover > 0, crown, -1.0))


def furniture(rng: np.random.Generator, side: int) -> Array:
    """Return a painting of a table, a shelf or a bed: large boxes of one paint, darker to one side."""
    painting = np.zeros((side, side, 4), np.float32)
    across, down = grid(side)
    for _ in range(rng.integers(1, 4)):
        x, y = across - rng.uniform(-0.7, 0.7), down - rng.uniform(0.1, 0.6)
        wide, high, deep = rng.uniform(0.15, 0.5), rng.uniform(0.08, 0.4), rng.uniform(0.05, 0.2)
        paint = pick(rng, (vivid(rng, 1)[0], palette(rng, 1)[0]))
        grain = 1 + 0.12 * noise(rng, side, 1.1, 4.0)[0][..., None]
        front = np.minimum(wide - np.abs(x), high - np.abs(y))
        _lay(painting, paint * 0.7 * grain, front)
        slant = x + (y + high + deep / 2) * 0.8
        top = np.minimum(wide - np.abs(slant), deep / 2 - np.abs(y + high + deep / 2))
        _lay(painting, np.clip(paint * grain, 0, 1), top)
        if happens(rng, 0.5):
            _lay(painting, paint * 0.35, np.minimum(front, 0.008 - np.abs(x)))
            _lay(painting, vivid(rng, 1)[0], 0.03 - np.hypot(np.abs(x) - 0.06, y))
    return painting
