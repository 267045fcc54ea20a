"""Scenes: layers of textures, leaves, things, faces, text and lights that lie behind each other."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from data.synthetic.camera import draw_motion
from data.synthetic.chance import happens, log_uniform, pick
from data.synthetic.colours import Array, palette, to_light
from data.synthetic.faces import faces
from data.synthetic.film import Layer
from data.synthetic.leaves import dead_leaves, foliage
from data.synthetic.lights import night
from data.synthetic.places import furniture, landscape, outdoors, room
from data.synthetic.textures import gradient, grid, noise, noise_texture, pattern, sky
from data.synthetic.things import things
from data.synthetic.writing import writing

FINE = 2.5
"""Pixels of a layer's side per pixel of the film's."""

MOST = 1536
"""Pixels of a layer's side at most: larger films have softer layers."""

WIDE = 1.6
"""Half width of what lies behind everything, in half widths of the picture; beyond it is mirrored."""


def draw_scene(rng: np.random.Generator, kind: str, size: int) -> list[Layer]:
    """Return the layers of a scene of one of the `KINDS`, for films of a size in pixels."""
    side = min(max(int(FINE * size), 16), MOST)
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


def _painted(rng: np.random.Generator, painting: Array) -> Tensor:
    return _cast(rng, cut_out(painting[..., :3], painting[..., 3]))


def _cast(rng: np.random.Generator, image: Tensor) -> Tensor:
    """The image (4, H, W) of a layer that may cast a soft shadow on what is behind."""
    if happens(rng, 0.5):
        return image
    grain = max(1, image.shape[-1] // int(rng.integers(16, 48)))
    shift = [int(part) for part in rng.normal(0, 1.5 * grain, 2)]
    small = F.avg_pool2d(image[None, 3:].roll(shift, (2, 3)), grain, ceil_mode=True)
    shadow = F.interpolate(small, image.shape[1:], mode="bilinear")[0]
    cover = image[3:] + (1 - image[3:]) * shadow * float(rng.uniform(0.2, 0.7))
    return torch.cat([image[:3], cover])


def _out_of_focus(rng: np.random.Generator, image: Tensor, share: float) -> Tensor:
    """The image of a layer at fewer pixels, which blurs it, in a share of cases."""
    if not happens(rng, share):
        return image
    small = F.avg_pool2d(image[None], int(rng.integers(2, 7)), ceil_mode=True)
    return F.avg_pool2d(small, 3, stride=1, padding=1, count_include_pad=False)[0]


def _behind(rng: np.random.Generator, side: int, *makers: Callable[[np.random.Generator, int], Array]) -> Layer:
    image = opaque(pick(rng, makers)(rng, side))
    return Layer(_out_of_focus(rng, image, 0.2), WIDE, rng.uniform(0.3, 1.0))


def _anything(rng: np.random.Generator, side: int) -> Layer:
    return _behind(rng, side, noise_texture, gradient, sky, pattern, pattern, dead_leaves, room, room, landscape)


def _textures(rng: np.random.Generator, side: int) -> list[Layer]:
    layers = [_behind(rng, side, noise_texture, pattern, pattern)]
    for depth in (1.1, 1.5)[: rng.integers(0, 3)]:
        layers.append(_cut_out_of(rng, side, depth, noise_texture, pattern))
    return layers


def _cut_out_of(
    rng: np.random.Generator, side: int, depth: float, *makers: Callable[[np.random.Generator, int], Array]
) -> Layer:
    image = cut_out(pick(rng, makers)(rng, side), _region(rng, side))
    return Layer(_cast(rng, image), WIDE, depth)


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
        layers.append(_cut_out_of(rng, side, depth, gradient, noise_texture))
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
    return Layer(_out_of_focus(rng, cut_out(colours, cover * near), 0.5), WIDE, rng.uniform(1.2, 1.8), sway=0.01)


def _dead_leaves(rng: np.random.Generator, side: int) -> list[Layer]:
    layers = [_behind(rng, side, dead_leaves)]
    if happens(rng, 0.5):
        layers.append(_cut_out_of(rng, side, rng.uniform(1.1, 1.6), dead_leaves))
    return layers


def _text(rng: np.random.Generator, side: int) -> list[Layer]:
    moving = draw_motion(rng, 0.2) if happens(rng, 0.4) else None
    return [_anything(rng, side), Layer(_painted(rng, writing(rng, side)), rng.uniform(0.9, 1.5), 1.1, moving)]


def _faces(rng: np.random.Generator, side: int) -> list[Layer]:
    return [
        _anything(rng, side),
        Layer(_painted(rng, faces(rng, side)), rng.uniform(1.1, 1.6), 1.1, draw_motion(rng, 0.25)),
    ]


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
        layers.append(Layer(_painted(rng, things(rng, side)), rng.uniform(1.1, 1.6), depth, moving))
    return layers


def _indoors(rng: np.random.Generator, side: int) -> list[Layer]:
    layers = [_behind(rng, side, room)]
    if happens(rng, 0.7):
        layers.append(Layer(_painted(rng, furniture(rng, side)), 1.4, 1.1))
    maker = pick(rng, (things, things, faces, None))
    if maker is not None:
        layers.append(Layer(_painted(rng, maker(rng, side)), rng.uniform(1.0, 1.6), 1.3, draw_motion(rng, 0.3)))
    return layers


def _outdoors(rng: np.random.Generator, side: int) -> list[Layer]:
    layers = [_behind(rng, side, landscape)]
    layers.append(Layer(_painted(rng, outdoors(rng, side)), WIDE, 1.0))
    if happens(rng, 0.4):
        maker = pick(rng, (things, faces))
        layers.append(Layer(_painted(rng, maker(rng, side)), rng.uniform(1.0, 1.6), 1.3, draw_motion(rng, 0.4)))
    return layers


KINDS: dict[str, Callable[[np.random.Generator, int], list[Layer]]] = {
    "textures": _textures,
    "foliage": _foliage,
    "outdoors": _outdoors,
    "objects": _objects,
    "lights": _lights,
    "indoors": _indoors,
    "faces": _faces,
    "gradients": _gradients,
    "text": _text,
    "dead_leaves": _dead_leaves,
}
"""What a scene shows most of, in the order of the clips."""
