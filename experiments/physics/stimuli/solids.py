"""The things of a stage: objects of events, and what they rest on, bounce off or are hidden by.

A stage has its own directions: x to the viewer's right, y away from the viewer, z up, in metres, with its middle on the
floor.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from data.playroom.creatures import STATES
from data.playroom.solids import BALL, BOX, CHECKS, DOTS, PLAIN, STRIPES, TUBE, Solids
from data.playroom.toys import CATEGORIES, make_toy, rgb
from data.synthetic.chance import pick

Shape = Literal["ball", "box", "cone", "post"]
Colours = tuple[tuple[float, float, float], tuple[float, float, float]]

SHAPES: dict[Shape, tuple[int, tuple[float, float, float], float]] = {
    "ball": (BALL, (1.0, 1.0, 1.0), 1.0),
    "box": (BOX, (0.9, 0.8, 0.9), 1.0),
    "cone": (TUBE, (1.05, 1.05, 1.25), 0.02),
    "post": (TUBE, (0.5, 0.5, 1.6), 1.0),
}
"""Kind of solid, half extents in radii of the ball, and taper."""


def draw_colours(rng: np.random.Generator) -> Colours:
    """Return a saturated ground colour and a texture colour that is lighter or darker."""
    hue = rng.uniform()
    bright = rng.uniform() < 0.5
    ground = rgb(hue, 0.9, 0.92)
    return ground, rgb(hue, 0.35, 1.0) if bright else rgb(hue, 0.9, 0.4)


def draw_pattern(rng: np.random.Generator) -> int:
    """Return a texture by which one sees that a ball rolls."""
    return pick(rng, (STRIPES, CHECKS, DOTS))


def make_solid(shape: Shape, radius: float, colours: Colours, pattern: int) -> Solids:
    """Return a simple solid around the origin."""
    kind, extents, taper = SHAPES[shape]
    half = radius * torch.tensor(extents)
    return _solid(kind, half, torch.zeros(3), colours, pattern, taper)


def draw_toy(rng: np.random.Generator, seed: int, extent: float) -> Solids:
    """Return a toy of the playroom around the origin, whose longest side is `extent` metres, as seen by the viewer."""
    category, exemplar, state = (int(rng.integers(count)) for count in (len(CATEGORIES), 2**31, STATES))
    toy = make_toy(category, exemplar, state, seed).placed(torch.zeros(3), math.radians(rng.uniform(-40, 40)), 1.0)
    reach = [toy.reach(axis) for axis in torch.eye(3)]
    scale = extent / max(high - low for low, high in reach)
    middle = torch.tensor([(low + high) / 2 for low, high in reach])
    return toy.placed(-scale * middle, 0.0, scale)


def recoloured(solids: Solids, shift: float) -> Solids:
    """Return the same with all hues shifted by a part of the colour circle."""
    colours = [_shifted(colour, shift) for colour in solids.colours.flatten(0, 1).tolist()]
    return replace(solids, colours=torch.tensor(colours).view_as(solids.colours))


def turned(solids: Solids, spin: Tensor) -> Solids:
    """Return the same, rotated about the origin by a matrix (3, 3)."""
    return replace(solids, centre=solids.centre @ spin.T, axes=spin @ solids.axes)


def board(centre: Sequence[float], half: Sequence[float], colours: Colours, pattern: int = PLAIN) -> Solids:
    """Return an upright box."""
    return _solid(BOX, torch.tensor(half), torch.tensor(centre), colours, pattern, 1.0)


def joined(parts: Sequence[Solids]) -> Solids:
    """Return several solids as one thing."""
    names = ("kind", "centre", "axes", "half", "taper", "colours", "pattern")
    return Solids(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def _solid(kind: int, half: Tensor, centre: Tensor, colours: Colours, pattern: int, taper: float) -> Solids:
    return Solids(
        kind=torch.tensor([kind]),
        centre=centre[None],
        axes=torch.eye(3)[None],
        half=half[None],
        taper=torch.tensor([taper]),
        colours=torch.tensor([colours]),
        pattern=torch.tensor([pattern]),
    )


def _shifted(colour: Sequence[float], shift: float) -> tuple[float, float, float]:
    hue, saturation, value = colorsys.rgb_to_hsv(*colour)
    return rgb(hue + shift, saturation, value)
