"""The parts toys are made of, and the toys that show something living: people, animals and plants.

A category is a function of five proportions around 1 (the exemplar's) and of the state, 0 or 1, which moves,
adds or removes a part that is large in the image: an arm, a wing, a trunk. Toys stand on the plane z = 0,
face -y or -x and are about one unit large. Paints: 0 main colour (textured), 1 second colour, 2 accent, 3 dark,
4 light.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from data.playroom.solids import BALL, BOX, TUBE

STATES = 2
PROPORTIONS = 5

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """One solid of a toy before it has colours; `paint` is its colour's number in the exemplar's palette."""

    kind: int
    paint: int
    centre: Tensor
    half: Tensor
    axes: Tensor
    taper: float


def part(kind: int, paint: int, at: Vector, half: Vector, taper: float = 1.0) -> Part:
    """An upright part of kind BALL, BOX or TUBE with its centre at `at` and these half extents."""
    return Part(kind, paint, torch.tensor(at), torch.tensor(half), torch.eye(3), taper)


def turned(parts: Sequence[Part], axis: str, degrees: float, pivot: Vector) -> list[Part]:
    """The parts rotated about axis 'x', 'y' or 'z' through a pivot, counter-clockwise seen from its tip."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    spin, middle = torch.eye(3), torch.tensor(pivot)
    spin[i, i], spin[i, j], spin[j, i], spin[j, j] = c, -s, s, c
    return [replace(p, centre=spin @ (p.centre - middle) + middle, axes=spin @ p.axes) for p in parts]


Category = Callable[[Sequence[float], int], list[Part]]


def _robot(p: Sequence[float], s: int) -> list[Part]:
    x, z, leg, head = 0.27 * p[0], 0.28 * p[1], 0.15 * p[2], 0.17 * p[3]
    top = 2 * leg + 2 * z
    arm = 0.32 * p[4]
    parts = [
        part(BOX, 0, (0, 0, 2 * leg + z), (x, 0.2, z)),
        part(BOX, 4, (0, 0, top + head), (head * 1.2, head, head)),
    ]
    for k in (-1, 1):
        limb = part(BOX, 1, (k * (x + 0.09), 0, top - arm), (0.09, 0.12, arm))
        parts += turned([limb], "y", -145 * s * k, (k * (x + 0.09), 0, top - 0.08))
        parts += [part(BOX, 3, (k * 0.55 * x, 0, leg), (0.1, 0.14, leg))]
        parts += [part(BALL, 2, (k * 0.5 * head, -head, top + head * 1.1), (0.05, 0.05, 0.05))]
    return parts


def _teddy(p: Sequence[float], s: int) -> list[Part]:
    body, head, ear = 0.33 * p[0], 0.25 * p[1], 0.1 * p[2]
    up = 1.75 * body + head
    parts = [
        part(BALL, 0, (0, 0, body), (body * p[3], body * 0.9, body)),
        part(BALL, 0, (0, 0, up), (head, head, head)),
    ]
    parts += [part(BALL, 4, (0, -head * 0.85, up - 0.05), (0.1, 0.1, 0.08))]
    for k in (-1, 1):
        parts += [part(BALL, 1, (k * head * 0.8, 0, up + head * 0.8), (ear, 0.07, ear))]
        parts += [part(BALL, 1, (k * 0.24, -body, 0.12), (0.12, 0.22, 0.12))]
        arm = part(BALL, 1, (k * (body * p[3] + 0.05), -0.05, body), (0.11, 0.11, 0.3 * p[4]))
        parts += turned([arm], "y", (20 if s == 0 else -125) * k, (k * body * 0.8, 0, 1.5 * body))
    return parts


def _snowman(p: Sequence[float], s: int) -> list[Part]:
    a, b, c = 0.34 * p[0], 0.26 * p[1], 0.19 * p[2]
    at = (0.15, -a - c - 0.06, c) if s else (0, 0, 1.7 * (a + b) + 0.6 * c)
    head = [
        part(BALL, 4, at, (c, c, c)),
        part(TUBE, 3, (at[0], at[1], at[2] + c), (c * 0.8, c * 0.8, 0.12 * p[3])),
    ]
    nose = turned([part(TUBE, 2, at, (0.06, 0.06, c * 0.9), 0)], "x", 90, at)
    nose = [replace(n, centre=n.centre + torch.tensor([0.0, -c, 0.0])) for n in nose]
    return [
        part(BALL, 0, (0, 0, a), (a, a, a)),
        part(BALL, 1, (0, 0, 1.7 * a + 0.7 * b), (b, b, b)),
        *head,
        *nose,
    ]


def _duck(p: Sequence[float], s: int) -> list[Part]:
    x, z, head = 0.42 * p[0], 0.26 * p[1], 0.2 * p[2]
    at = (-0.75 * x, 0, 2 * z + 0.6 * head)
    bill = [part(TUBE, 2, (at[0] - head, 0, at[2]), (0.09, 0.09, 0.14 * p[3]), 0.3)]
    parts = [part(BALL, 0, (0, 0, z), (x, 0.7 * x, z)), part(BALL, 0, at, (head, head, head))]
    parts += turned(bill, "y", -90, (at[0] - head, 0, at[2]))
    for k in (-1, 1):
        wing = part(BALL, 1, (0.15, 0.68 * x * k, 0.8 * z), (0.3 * p[4], 0.07, 0.8 * z))
        parts += turned([wing], "x", -130 * s * k, (0.15, 0.6 * x * k, 1.5 * z))
    return parts


def _elephant(p: Sequence[float], s: int) -> list[Part]:
    x, r, head = 0.36 * p[0], 0.26 * p[1], 0.22 * p[2]
    up = 0.3 + 1.1 * r
    parts = [
        part(BALL, 0, (0.1, 0, 0.28 + r), (x, 0.85 * r, r)),
        part(BALL, 0, (-x, 0, up), (head, head, head)),
    ]
    for a, b in ((-0.5, -1), (0.5, -1), (-0.5, 1), (0.5, 1)):
        parts += [part(TUBE, 0, (0.1 + a * x, 0.5 * b * r, 0.18), (0.1, 0.1, 0.18))]
    for k in (-1, 1):
        parts += [part(BALL, 1, (-x + 0.06, k * head * 1.2, up + 0.04), (0.05, 0.2 * p[3], 0.22))]
    nose = [part(TUBE, 2, (-x - 0.8 * head, 0, up - 0.28), (0.11, 0.11, 0.34 * p[4]))]
    return parts + turned(nose, "y", 150 if s else 10, (-x - 0.8 * head, 0, up))


def _giraffe(p: Sequence[float], s: int) -> list[Part]:
    x, leg, neck = 0.3 * p[0], 0.22 * p[1], 0.3 * p[2]
    parts = [part(BALL, 0, (0.1, 0, 2 * leg + 0.14), (x, 0.17, 0.18 * p[3]))]
    for a, b in ((-0.6, -1), (0.6, -1), (-0.6, 1), (0.6, 1)):
        parts += [part(TUBE, 1, (0.1 + a * x, 0.1 * b, leg), (0.06, 0.06, leg))]
    root = (-0.7 * x, 0, 2 * leg + 0.2)
    head = [part(TUBE, 0, (root[0], 0, root[2] + neck), (0.1, 0.1, neck), 0.8)]
    head += [part(BALL, 2, (root[0] - 0.1, 0, root[2] + 2 * neck), (0.2 * p[4], 0.12, 0.12))]
    return parts + turned(head, "y", -115 if s else -8, root)


def _snail(p: Sequence[float], s: int) -> list[Part]:
    x, shell = 0.5 * p[0], 0.32 * p[1]
    house = part(BALL, 0, (0.12, 0, 0.14 + shell), (shell, shell * 0.7, shell * p[2]))
    if s:
        return [house, part(BALL, 1, (0.1, 0, 0.1), (0.7 * shell, 0.2, 0.1))]
    parts = [
        house,
        part(BALL, 1, (0, 0, 0.1), (x, 0.17, 0.11)),
        part(BALL, 1, (-x, 0, 0.3), (0.16, 0.14, 0.26 * p[3])),
    ]
    return parts + [part(BALL, 2, (-x - 0.04, k * 0.1, 0.62), (0.06, 0.06, 0.12)) for k in (-1, 1)]


def _flower(p: Sequence[float], s: int) -> list[Part]:
    pot, stem, petal = 0.22 * p[0], 0.34 * p[1], 0.17 * p[2]
    top = 2 * pot + 2 * stem
    parts = [
        part(TUBE, 1, (0, 0, pot), (0.26, 0.26, pot)),
        part(TUBE, 3, (0, 0, 2 * pot + stem), (0.035, 0.035, stem)),
    ]
    if s:
        return [
            *parts,
            part(BALL, 3, (0, -0.08, top), (0.1, 0.1, 0.16)),
            part(BALL, 3, (0.2, 0, 2 * pot + 0.2), (0.2, 0.05, 0.08)),
        ]
    for k in range(6):
        leaf = [part(BALL, 0, (0, -0.08, top + petal + 0.08), (petal, 0.06, petal * p[3]))]
        parts += turned(leaf, "y", 60 * k, (0, 0, top))
    return [*parts, part(BALL, 2, (0, -0.13, top), (0.16, 0.09, 0.16))]


def _tree(p: Sequence[float], s: int) -> list[Part]:
    z, crown = 0.2 * p[0], 0.42 * p[1]
    trunk = part(TUBE, 3, (0, 0, z + 0.35), (0.09 * p[2], 0.09 * p[2], z + 0.35), 0.7)
    if s == 0:
        tiers = [(2 * z + 0.2 + 0.3 * k, crown * (1 - 0.22 * k)) for k in range(3)]
        return [trunk, *(part(TUBE, 0, (0, 0, at), (wide, wide, 0.2), 0.1) for at, wide in tiers)]
    branches = [trunk]
    for k, tilt in enumerate((-55, 50, -20, 25)):
        branch = part(TUBE, 3, (0, 0, 2 * z + 0.5 + 0.06 * k), (0.045, 0.045, 0.28), 0.4)
        branches += turned([branch], "y", tilt, (0, 0, 2 * z + 0.25 + 0.06 * k))
    return branches


def _mushroom(p: Sequence[float], s: int) -> list[Part]:
    stem, cap = 0.28 * p[0], 0.42 * p[1]
    hat = [
        part(BALL, 0, (0, 0, 2 * stem), (cap, cap, 0.26 * p[2])),
        part(BALL, 2, (0.1, -0.7 * cap, 2 * stem + 0.1), (0.1, 0.1, 0.1)),
    ]
    small = [
        part(TUBE, 4, (0.42, -0.3, 0.12), (0.08, 0.08, 0.12)),
        part(BALL, 1, (0.42, -0.3, 0.28), (0.24, 0.24, 0.14)),
    ]
    parts = [part(TUBE, 4, (0, 0, stem), (0.16 * p[3], 0.16 * p[3], stem), 0.7)]
    return parts + turned(hat, "y", -75 * s, (0, 0, 1.5 * stem)) + small * s


CREATURES: tuple[Category, ...] = (
    _robot,
    _teddy,
    _snowman,
    _duck,
    _elephant,
    _giraffe,
    _snail,
    _flower,
    _tree,
    _mushroom,
)
