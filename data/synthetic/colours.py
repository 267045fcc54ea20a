"""Colours: sRGB and linear light, and palettes of colours that occur together.

N colours; arrays are float32 in [0, 1].
"""

import numpy as np
from numpy.typing import NDArray

from data.synthetic.chance import happens, pick

Array = NDArray[np.float32]

GAMMA = 2.2
"""Exponent between coded values and light."""

NATURAL_HUES = ((0.52, 0.64), (0.17, 0.40), (0.04, 0.12), (0.0, 0.05), (0.10, 0.17), (0.9, 1.0))
"""Ranges of hue, in turns: sky and water, plants, earth and wood, brick and skin, straw and sand, dusk and flowers."""


def to_light(coded: Array) -> Array:
    """Return the linear light of coded values."""
    light: Array = np.maximum(coded, 0) ** np.float32(GAMMA)
    return light


def hsv(hue: NDArray[np.floating], saturation: NDArray[np.floating], value: NDArray[np.floating]) -> Array:
    """Return the colours (N, 3) of hues in turns (any real), saturations and values, each (N,) in [0, 1]."""
    corner = (np.array([5.0, 3.0, 1.0]) + 6 * np.asarray(hue)[:, None]) % 6
    drop = np.clip(np.minimum(corner, 4 - corner), 0, 1)
    return (np.asarray(value)[:, None] * (1 - np.asarray(saturation)[:, None] * drop)).astype(np.float32)


def palette(rng: np.random.Generator, count: int) -> Array:
    """Return colours (count, 3) that occur together: vivid, natural, pale, or of one hue."""
    kind = pick(rng, ("vivid", "vivid", "natural", "natural", "related", "pale", "any"))
    if kind == "natural":
        low, high = np.array([pick(rng, NATURAL_HUES) for _ in range(count)]).T
        return hsv(rng.uniform(low, high), rng.beta(2, 2, count), rng.uniform(0.15, 1.0, count))
    if kind == "related":
        hue = rng.uniform() + rng.normal(0, 0.06, count)
        return hsv(hue, rng.uniform(0.2, 1.0, count), rng.uniform(0.15, 1.0, count))
    if kind == "pale":
        return hsv(rng.uniform(size=count), rng.uniform(0.05, 0.4, count), rng.uniform(0.6, 1.0, count))
    if kind == "any":
        return rng.uniform(size=(count, 3)).astype(np.float32)
    hue = rng.uniform() + pick(rng, (0.5, 1 / 3, 0.61803)) * np.arange(count) + rng.normal(0, 0.04, count)
    return hsv(hue, rng.uniform(0.65, 1.0, count), rng.uniform(0.35, 1.0, count))


def vivid(rng: np.random.Generator, count: int) -> Array:
    """Return saturated colours (count, 3) of all hues."""
    return hsv(rng.uniform(size=count), rng.uniform(0.75, 1.0, count), rng.uniform(0.45, 1.0, count))


def between(colours: Array, place: NDArray[np.floating]) -> Array:
    """Return colours (..., 3) between those (N, 3) of a palette, at places in [0, 1] along it."""
    scaled = np.clip(place, 0, 1) * (len(colours) - 1)
    below = np.minimum(scaled.astype(np.int64), len(colours) - 2)
    part = (scaled - below)[..., None].astype(np.float32)
    return colours[below] * (1 - part) + colours[below + 1] * part


def dulled(rng: np.random.Generator, colours: Array) -> Array:
    """Return colours of which some palettes have lost a part of their saturation, as most surfaces have."""
    if happens(rng, 0.6):
        return colours
    grey = colours.mean(axis=-1, keepdims=True)
    return (grey + rng.uniform(0.2, 0.8) * (colours - grey)).astype(np.float32)
