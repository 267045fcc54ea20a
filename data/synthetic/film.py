"""What a camera makes of light: exposure, white balance, blur of motion, tone, colour and noise.

A scene is layers from the hindmost to the foremost. T frames, K samples of the shutter, S rows and columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from data.frames import LUMA
from data.synthetic.camera import Camera, Motion, Wander
from data.synthetic.chance import happens, log_uniform, pick
from data.synthetic.colours import GAMMA

CHUNK = 4
"""Frames that are computed together, always as many, so that no pixel depends on how long a clip is."""


@dataclass(frozen=True)
class Layer:
    """A picture that lies in the scene."""

    image: Tensor
    """(4, H, W): linear light, already multiplied by the last channel: where it hides what is behind, in [0, 1]."""
    reach: float
    """Half of its width, in half widths of the picture; its height follows."""
    depth: float = 1.0
    """How much it moves when the camera does."""
    motion: Motion | None = None
    sway: float = 0.0
    """How far wind moves its parts, in half widths of the picture."""


@dataclass(frozen=True)
class Look:
    """What a camera and its maker's taste do to light."""

    exposure: Wander
    """Logarithm of what light is multiplied with over time."""
    bright: float
    """The same, all the time."""
    balance: tuple[Wander, Wander]
    """Logarithms of what red and blue are multiplied with over time."""
    warm: float
    """The same of red, and the inverse of blue, all the time."""
    contrast: float
    """Power of the coded values around middle grey."""
    lift: float
    """Code of black."""
    saturation: float
    vignette: float
    noise: float
    """Standard deviation of coded values."""


def draw_look(rng: np.random.Generator) -> Look:
    """Return a look: most are plain, some grey, dark, pale, tinted or noisy."""
    kind = pick(rng, ("plain", "plain", "plain", "plain", "vivid", "vivid", "vivid", "dark", "hazy", "grey"))
    saturation = {"plain": rng.uniform(0.8, 1.2), "vivid": rng.uniform(1.2, 1.7), "hazy": rng.uniform(0.4, 0.9)}
    grey = 0.0 if happens(rng, 0.5) else rng.uniform(0, 0.3)
    drift = log_uniform(rng, 0.01, 0.5) if happens(rng, 0.5) else 0.0
    turn = log_uniform(rng, 0.01, 0.15) if happens(rng, 0.3) else 0.0
    return Look(
        exposure=Wander.draw(rng, drift, 0.1, 0.8),
        bright=rng.uniform(-2.2, -1.0) if kind == "dark" else rng.normal(0, 0.25),
        balance=(Wander.draw(rng, turn, 0.05, 0.3), Wander.draw(rng, turn, 0.05, 0.3)),
        warm=rng.normal(0, 0.12),
        contrast=rng.uniform(0.9, 1.6),
        lift=rng.uniform(0.05, 0.25) if kind == "hazy" else pick(rng, (0.0, 0.0, 0.03)),
        saturation=saturation.get(kind, grey if kind == "grey" else rng.uniform(0.7, 1.2)),
        vignette=pick(rng, (0.0, 0.0, rng.uniform(0, 0.5))),
        noise=log_uniform(rng, 0.001, 0.006) if happens(rng, 0.75) else log_uniform(rng, 0.006, 0.025),
    )


def shoot(
    layers: Sequence[Layer],
    camera: Camera,
    look: Look,
    grain: np.random.Generator,
    size: int,
    frames: int,
    fps: float,
) -> Tensor:
    """Return the film (3, frames, size, size) in [-1, 1] of a scene."""
    jitter = _jitter(camera, size, fps)
    opening = np.arange(len(jitter)) / len(jitter) * camera.shutter
    chunks = []
    for first in range(0, frames, CHUNK):
        times = (opening[:, None] + np.arange(first, first + CHUNK)) / fps
        maps = [_maps(layer, camera, times) for layer in layers]
        light = torch.zeros(3, CHUNK, size, size)
        for sample, shift in enumerate(jitter):
            light += _composite(layers, [each[sample] for each in maps], times[sample], shift, size)
        chunks.append(_develop(light / len(jitter), look, times[0], grain))
    return torch.cat(chunks, dim=1)[:, :frames] * 2 - 1


def _jitter(camera: Camera, size: int, fps: float) -> NDArray[np.float64]:
    """Where in a pixel (K, 2) samples are taken, one after the other while the shutter is open; more of fast films."""
    pixels = camera.speed * camera.shutter / fps * size / 2
    count = 4 if pixels < 3 else 7
    steps = np.arange(1, count + 1)[:, None] * np.array([0.7548776662466927, 0.5698402909980532])
    return (steps % 1 - 0.5) * 2 / size


def _maps(layer: Layer, camera: Camera, times: NDArray[np.float64]) -> Tensor:
    """Homographies (..., 3, 3, 1, 1) from the picture to a layer, whose sides are at -1 and 1, at times (...)."""
    to_layer = camera.matrices(times, layer.depth)
    if layer.motion is not None:
        to_layer = layer.motion.matrices(times) @ to_layer
    high, wide = layer.image.shape[1:]
    to_layer[..., 0, :] /= layer.reach
    to_layer[..., 1, :] /= layer.reach * high / wide
    return torch.from_numpy(to_layer.astype(np.float32))[..., None, None]


def _composite(
    layers: Sequence[Layer], maps: Sequence[Tensor], times: NDArray[np.float64], shift: NDArray[np.float64], size: int
) -> Tensor:
    """Light (3, T, S, S) at times (T,), through one point of each pixel."""
    ticks = ((torch.arange(size) + 0.5) / size * 2 - 1)[None]
    x, y = ticks[:, None] + float(shift[0]), ticks[..., None] + float(shift[1])
    light = torch.zeros(3, len(times), size, size)
    for layer, to_layer in zip(layers, maps, strict=True):
        seen = _see(layer, to_layer, times, x, y)
        hides_all = layer.image.shape[0] == 3
        light = seen if hides_all else torch.addcmul(seen[:3] + light, seen[3:], light, value=-1)
    return light


def _see(layer: Layer, to_layer: Tensor, times: NDArray[np.float64], x: Tensor, y: Tensor) -> Tensor:
    """A layer (4, T, S, S) as it is seen at places x (1, 1, S) and y (1, S, 1)."""
    across, down = (row[:, 0] * x + (row[:, 1] * y + row[:, 2]) for row in to_layer[:, :2].unbind(1))
    places = torch.stack([across, down], dim=-1)
    near = to_layer[:, 2]
    if near[:, :2].any():
        places /= (near[:, 0] * x + (near[:, 1] * y + near[:, 2]))[..., None]
    if layer.sway:
        phase = torch.from_numpy((2.5 * times).astype(np.float32))[:, None, None]
        places[..., 0] += layer.sway * torch.sin(5 * places[..., 1] + phase)
        places[..., 1] += 0.5 * layer.sway * torch.sin(6 * places[..., 0] + 1.3 * phase)
    padding = "reflection" if layer.image.shape[0] == 3 else "zeros"
    seen = F.grid_sample(layer.image[None], places.flatten(0, 1)[None], "bilinear", padding, align_corners=False)[0]
    return seen.unflatten(1, (len(times), -1))


def _develop(light: Tensor, look: Look, times: NDArray[np.float64], grain: np.random.Generator) -> Tensor:
    """Coded values (3, T, S, S) in [0, 1] of light at times (T,)."""
    exposure = look.exposure(times) + look.bright
    gains = np.stack([exposure + look.balance[0](times) + look.warm, exposure, exposure + look.balance[1](times)])
    gains[2] -= look.warm
    light = light * torch.from_numpy(np.exp(gains).astype(np.float32))[..., None, None]
    if look.vignette:
        ticks = torch.linspace(-1, 1, light.shape[-1]) ** 2
        light = light * (1 - 0.5 * look.vignette * (ticks[:, None] + ticks))
    light = light.clamp(min=0)
    bright = torch.where(light > 0.8, 1 - 0.2 * torch.exp((0.8 - light) * 5), light)
    coded = bright ** (1 / GAMMA)
    coded = 0.5 + (coded - 0.5) * look.contrast
    grey = (coded * torch.tensor(LUMA)[:, None, None, None]).sum(0, keepdim=True)
    coded = look.lift + (1 - look.lift) * (grey + look.saturation * (coded - grey)).clamp(0, 1)
    shape = (coded.shape[1], 3, *coded.shape[2:])
    speckle = torch.from_numpy(grain.standard_normal(shape, dtype=np.float32)).transpose(0, 1)
    return (coded + look.noise * speckle).clamp(0, 1)
