"""Nights: lamps, windows and signs that shine, with the bloom of a lens around them. Colours are linear light."""

import numpy as np
import torch

from data.synthetic.chance import happens, log_uniform, pick
from data.synthetic.colours import Array, hsv, to_light, vivid
from data.synthetic.textures import grid, noise


def night(rng: np.random.Generator, side: int) -> Array:
    """Return a night with lights, linear light (side, side, 3) that can be above 1."""
    _, down = grid(side)
    sky = hsv(rng.uniform(0.5, 0.8, 1), rng.uniform(0.2, 0.9, 1), rng.uniform(0.02, 0.35, 1))[0]
    ground = hsv(rng.uniform(size=1), rng.uniform(0, 0.5, 1), rng.uniform(0.02, 0.3, 1))[0]
    place = np.clip((down + 1) / 2, 0, 1)[..., None]
    grain, _ = noise(rng, side, 1.2)
    light = to_light(np.clip((sky * (1 - place) + ground * place) * (1 + 0.12 * grain[..., None]), 0, 1))
    if happens(rng, 0.6):
        _houses(rng, light)
    return light + _bloom(rng, _lamps(rng, side))


def _houses(rng: np.random.Generator, light: Array) -> None:
    """Dark houses with rows of windows, some of them lit."""
    side = len(light)
    left = 0
    while left < side:
        wide = int(rng.uniform(0.08, 0.3) * side) + 2
        top = int(rng.uniform(0.15, 0.75) * side)
        light[top:, left : left + wide] = rng.uniform(0.0, 0.03) * rng.uniform(0.6, 1, 3)
        pitch = max(4, int(rng.uniform(0.03, 0.08) * side))
        colour = to_light(hsv(rng.normal(0.11, 0.05, 1), rng.uniform(0.2, 0.9, 1), np.ones(1)))[0]
        for row in range(top + pitch // 2, side, pitch):
            for column in range(left + pitch // 3, min(left + wide, side) - pitch // 2, pitch):
                if happens(rng, 0.35):
                    shine = colour * rng.uniform(0.2, 1.3)
                    light[row : row + pitch // 2, column : column + pitch // 2] = shine
        left += wide + int(rng.uniform(0, 0.05) * side)


def _lamps(rng: np.random.Generator, side: int) -> Array:
    """Points, rows and discs of light (side, side, 3)."""
    lamps = np.zeros((side, side, 3), np.float32)
    count = int(log_uniform(rng, 4, 90))
    colours = to_light(
        vivid(rng, count) if happens(rng, 0.6) else hsv(rng.normal(0.1, 0.05, count), *_warm(rng, count))
    )
    radius = pick(rng, (0.5, 0.5, log_uniform(rng, 0.02, 0.09) * side))
    down, across = np.indices((side, side), dtype=np.float32) if radius > 0.5 else (None, None)
    places = rng.uniform(0, side, (count, 2))
    if happens(rng, 0.3):  # a street, or a string of lamps
        places[:, 1] = side * rng.uniform(0.3, 0.8) + 0.2 * side * np.sin(places[:, 0] / side * rng.uniform(1, 6))
    for (x, y), colour in zip(places, colours, strict=True):
        bright = log_uniform(rng, 0.4, 2)
        if down is None or across is None:
            lamps[int(y) : int(y) + 2, int(x) : int(x) + 2] += colour * bright * 16
        else:
            disc = np.clip(radius - np.sqrt((across - x) ** 2 + (down - y) ** 2) + 0.5, 0, 1)
            lamps += disc[..., None] * colour * bright * np.float32(0.35)
    return lamps


def _warm(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """Saturations and values (count,) of lamps of a town."""
    return rng.uniform(0.1, 0.9, count).astype(np.float32), np.ones(count, np.float32)


def _bloom(rng: np.random.Generator, lamps: Array) -> Array:
    """Return light (side, side, 3) spread by a lens: most stays, some goes far."""
    side = len(lamps)
    steps = np.fft.fftfreq(side).astype(np.float32) * side
    gap = np.sqrt(steps[:, None] ** 2 + steps[None] ** 2) / side
    near, far = log_uniform(rng, 0.008, 0.03), log_uniform(rng, 0.03, 0.15)
    spread = np.exp(-((gap / near) ** 2)) * 0.6 + rng.uniform(0.05, 0.35) * (near / far) * np.exp(-gap / far)
    kernel = torch.fft.rfft2(torch.from_numpy((spread / spread.sum()).astype(np.float32)))
    light = torch.fft.irfft2(torch.fft.rfft2(torch.from_numpy(lamps).permute(2, 0, 1)) * kernel, s=(side, side))
    return np.asarray(lamps + light.clamp(min=0).permute(1, 2, 0).numpy(), np.float32)
