"""Scenes: layers of textures, leaves, things, faces, text and lights that lie behind each other."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from data.synthetic.camera import draw_motion
from data.synthetic.chance import happens, log_uniform, pick
from data.synthetic.colours import Array, palette, to_light
from data.synthetic.faces import faces
from data.synthetic.film import Layer
from data.synthetic.leaves import dead_leaves, foliage
from data.synthetic.lights import night
from data.synthetic.textures import gradient, grid, noise, noise_texture, pattern, sky
from data.synthetic.things import things
from data.synthetic.writing import writing

FINE = 3
"""Pixels of a layer's side per pixel of the film's."""

MOST = 1536
"""Pixels of a layer's side at most: larger films have softer layers."""

WIDE = 1.6
"""Half width of what lies behind everything, in half widths of the picture; beyond it is mirrored."""


def draw_scene(rng: np.random.Generator, kind: str, size: int) -> list[Layer]:
    """Return the layers of a scene of one of the `KINDS`, for films of a size in pixels."""
    side = min(FINE * size, MOST)
    layers = KINDS[kind](rng, side)
    if kind not in ("lights", "foliage") and happens(rng, 0.15):
        layers.append(_twigs(rng, side))
    return layers


def opaque(colours: Array) -> Tensor:
    """Return coded colours (H, W, 3) as light (3, H, W)."""
    return _planes(to_light(np.clip(colours, 0, 1)))


def _planes(light: Array) -> Tensor:
    return torch.from_numpy(light.astype(np.float32)).permute(2, 0, 1).contiguous()


def cut_out(colours: Array, cover: Array) -> Tensor:
    """Return coded colours (H, W, 3) where they cover (H, W) what is behind, as the image (4, H, W) of a layer."""
    light = to_light(np.clip(colours, 0, 1)) * cover[..., None]
    return torch.cat([_planes(light), torch.from_numpy(cover.astype(np.float32))[None]])


def _painted(painting: Array) -> Tensor:
    return cut_out(painting[..., :3], painting[..., 3])


def _behind(rng: np.random.Generator, side: int, *makers: Callable[[np.random.Generator, int], Array]) -> Layer:
    return Layer(opaque(pick(rng, makers)(rng, side)), WIDE, rng.uniform(0.3, 1.0))


def _anything(rng: np.random.Generator, side: int) -> Layer:
    return _behind(rng, side, noise_texture, gradient, sky, pattern, pattern, dead_leaves)


def _textures(rng: np.random.Generator, side: int) -> list[Layer]:
    layers = [_behind(rng, side, noise_texture, pattern, pattern)]
    for depth in (1.1, 1.5)[: rng.integers(0, 3)]:
        layers.append(Layer(cut_out(pick(rng, (noise_texture, pattern))(rng, side), _region(rng, side)), WIDE, depth))
    return layers


def _region(rng: np.random.Generator, side: int) -> Array:
    """Where a wall, a post, a floor or a hill is (side, side)."""
    across, down = grid(side)
    kind = pick(rng, ("wall", "post", "floor", "hill", "board"))
    edge, slope = rng.uniform(-0.4, 0.5), rng.normal(0, 0.2)
    if kind == "wall":
        inside = across * rng.choice([-1, 1]) - edge + slope * down
    elif kind == "post":
        inside = log_uniform(rng, 0.04, 0.3) - np.abs(across - edge + slope * down)
    elif kind == "floor":
        inside = down - edge + slope * across
    elif kind == "board":
        inside = np.minimum(
            rng.uniform(0.15, 0.5) - np.abs(across - edge), rng.uniform(0.15, 0.5) - np.abs(down - slope)
        )
    else:
        inside = down - edge + 0.12 * noise(rng, side, 1.8)[0][:, :1].T
    return np.clip(inside * side / 2 + 0.5, 0, 1).astype(np.float32)


def _gradients(rng: np.random.Generator, side: int) -> list[Layer]:
    layers = [_behind(rng, side, gradient, sky)]
    for depth in (0.6, 0.9, 1.3)[: rng.integers(0, 4)]:
        layers.append(Layer(cut_out(pick(rng, (gradient, noise_texture))(rng, side), _region(rng, side)), WIDE, depth))
    return layers


def _foliage(rng: np.random.Generator, side: int) -> list[Layer]:
    layers = [_behind(rng, side, sky, gradient, noise_texture)]
    for depth in (0.8, 1.3)[: rng.integers(1, 3)]:
        colours, cover = foliage(rng, side)
        if depth > 1 or happens(rng, 0.3):
            cover = cover * (noise(rng, side, 1.6)[0] > rng.uniform(-0.5, 0.7))
        layers.append(Layer(cut_out(colours, cover), WIDE, depth, sway=pick(rng, (0.0, log_uniform(rng, 0.003, 0.03)))))
    return layers


def _twigs(rng: np.random.Generator, side: int) -> Layer:
    """Leaves before everything, at a border of the picture."""
    colours, cover = foliage(rng, side)
    across, down = grid(side)
    angle = rng.uniform(0, 2 * np.pi)
    near = across * np.cos(angle) + down * np.sin(angle) + 0.15 * noise(rng, side, 1.5)[0] > rng.uniform(0.35, 0.6)
    return Layer(cut_out(colours, cover * near), WIDE, rng.uniform(1.2, 1.8), sway=0.01)


def _dead_leaves(rng: np.random.Generator, side: int) -> list[Layer]:
    layers = [_behind(rng, side, dead_leaves)]
    if happens(rng, 0.5):
        layers.append(Layer(cut_out(dead_leaves(rng, side), _region(rng, side)), WIDE, rng.uniform(1.1, 1.6)))
    return layers


def _text(rng: np.random.Generator, side: int) -> list[Layer]:
    moving = draw_motion(rng, 0.2) if happens(rng, 0.4) else None
    return [_anything(rng, side), Layer(_painted(writing(rng, side)), rng.uniform(0.9, 1.5), 1.1, moving)]


def _faces(rng: np.random.Generator, side: int) -> list[Layer]:
    return [_anything(rng, side), Layer(_painted(faces(rng, side)), rng.uniform(1.1, 1.6), 1.1, draw_motion(rng, 0.25))]


def _lights(rng: np.random.Generator, side: int) -> list[Layer]:
    layers = [Layer(_planes(night(rng, side)), WIDE, rng.uniform(0.4, 1))]
    if happens(rng, 0.4):
        dark = palette(rng, 1) * np.float32(0.1) * np.ones((side, side, 1), np.float32)
        layers.append(Layer(cut_out(dark, _region(rng, side)), WIDE, 1.4))
    return layers


def _objects(rng: np.random.Generator, side: int) -> list[Layer]:
    layers = [_anything(rng, side)]
    for depth in (1.0, 1.4)[: rng.integers(1, 3)]:
        moving = draw_motion(rng, 0.4) if happens(rng, 0.6) else None
        layers.append(Layer(_painted(things(rng, side)), rng.uniform(1.1, 1.6), depth, moving))
    return layers


KINDS: dict[str, Callable[[np.random.Generator, int], list[Layer]]] = {
    "textures": _textures,
    "foliage": _foliage,
    "objects": _objects,
    "lights": _lights,
    "faces": _faces,
    "gradients": _gradients,
    "text": _text,
    "dead_leaves": _dead_leaves,
}
"""What a scene shows most of, in the order of the clips."""
