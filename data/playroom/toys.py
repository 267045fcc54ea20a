"""Toys told by integers: category (the parts), exemplar (proportions, colours) and state (the pose)."""

import colorsys
import hashlib

import torch
from torch import Tensor

from data.playroom.creatures import CREATURES, PROPORTIONS, STATES
from data.playroom.solids import CHECKS, DOTS, PLAIN, STRIPES, Solids
from data.playroom.things import THINGS

CATEGORIES = {make.__name__.removeprefix("_"): make for make in (*THINGS, *CREATURES)}
"""Name of every category and the function that builds it, in the order of the category numbers."""

GOLDEN = 0.618034
"""Steps of the golden ratio around the colour circle: exemplars with near numbers get far hues."""


def generator(domain: str, *numbers: int) -> torch.Generator:
    """A CPU generator that depends on the name and the integers only, and on all of them."""
    digest = hashlib.sha256(":".join([domain, *map(str, numbers)]).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def rgb(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    """Red, green and blue in [0, 1] of a colour told by hue (in turns, any real), saturation and value."""
    return colorsys.hsv_to_rgb(hue % 1.0, saturation, value)


def make_toy(category: int, exemplar: int, state: int, seed: int = 0) -> Solids:
    """Builds one toy, a pure function of its four integers.

    Args:
        category: 0 to len(CATEGORIES) - 1.
        exemplar: which individual of the category, >= 0.
        state: 0 or 1; both states share proportions, colours and texture.
        seed: of the whole world of toys.

    Returns:
        The toy's solids, standing on z = 0 around the origin, about one unit large.

    Raises:
        ValueError: an integer is out of its range.
    """
    ranges = {
        "category": (category, len(CATEGORIES)),
        "exemplar": (exemplar, 2**62),
        "state": (state, STATES),
    }
    for name, (value, count) in ranges.items():
        if not 0 <= value < count:
            raise ValueError(f"{name} must lie in 0 ... {count - 1}, got {value}")
    draws = torch.rand(PROPORTIONS + 8, generator=generator("toy", seed, category, exemplar)).tolist()
    proportions = [0.76 * 1.75**u for u in draws[:PROPORTIONS]]
    parts = list(CATEGORIES.values())[category](proportions, state)
    base = torch.rand(1, generator=generator("hue", seed, category)).item() + GOLDEN * exemplar
    colours, patterns = _palette(base, draws[PROPORTIONS:])
    paints = torch.tensor([p.paint for p in parts])
    return Solids(
        kind=torch.tensor([p.kind for p in parts]),
        centre=torch.stack([p.centre for p in parts]),
        axes=torch.stack([p.axes for p in parts]),
        half=torch.stack([p.half for p in parts]),
        taper=torch.tensor([p.taper for p in parts]),
        colours=colours[paints],
        pattern=patterns[paints],
    )


def _palette(hue: float, draws: list[float]) -> tuple[Tensor, Tensor]:
    """Colours (5, 2, 3) and patterns (5,) of the five paints of an exemplar, saturated, to stand out from white."""
    second, accent = hue + 0.22 + 0.2 * draws[0], hue + 0.55 + 0.2 * draws[1]
    vivid, deep = 0.65 + 0.3 * draws[2], 0.7 + 0.3 * draws[3]
    texture = rgb(hue + 0.3 * draws[4], 0.35, 1.0) if draws[4] > 0.5 else rgb(hue, vivid, 0.6 * deep)
    colours = [
        (rgb(hue, vivid, 0.95 * deep), texture),
        (rgb(second, 0.75, 0.9), rgb(second, 0.75, 0.6)),
        (rgb(accent, 0.85, 0.85), rgb(accent, 0.4, 0.95)),
        (rgb(hue + 0.5 * draws[5], 0.45, 0.38), (0.1, 0.1, 0.1)),
        (rgb(accent, 0.22, 0.92), rgb(accent, 0.4, 0.8)),
    ]
    main = (PLAIN, STRIPES, CHECKS, DOTS)[int(4 * draws[6])]
    other = (PLAIN, PLAIN, STRIPES)[int(3 * draws[7])]
    return torch.tensor(colours), torch.tensor([main, other, PLAIN, PLAIN, PLAIN])
