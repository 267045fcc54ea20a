"""The toys that show made things: vehicles, buildings, furniture, food; conventions as in `creatures.py`."""

from collections.abc import Sequence

from data.playroom.creatures import Category, Part, part, turned
from data.playroom.solids import BALL, BOX, TUBE


def _chest(p: Sequence[float], s: int) -> list[Part]:
    x, y, z = 0.5 * p[0], 0.34 * p[1], 0.24 * p[2]
    lid = [part(BOX, 1, (0, 0, 2 * z + 0.07), (x + 0.03, y + 0.03, 0.07))]
    treasure = [part(BALL, 2, (k * x, 0, 2 * z), (0.3 * x, 0.6 * y, 0.16)) for k in (-0.5, 0.4)] * s
    body = [part(BOX, 0, (0, 0, z), (x, y, z)), part(BOX, 3, (0, -y, 1.6 * z), (0.09, 0.04, 0.09))]
    return body + turned(lid, "x", -105 * s, (0, y, 2 * z)) + treasure


def _car(p: Sequence[float], s: int) -> list[Part]:
    x, y, z, cabin = 0.58 * p[0], 0.28 * p[1], 0.13 * p[2], 0.15 * p[3]
    parts = [part(BOX, 0, (0, 0, 0.14 + z), (x, y, z))]
    roof = [part(BOX, 1, (0.05, 0, 0.14 + 2 * z + cabin), (0.55 * x, 0.85 * y, cabin))]
    driver = [part(BALL, 2, (0.1, 0, 0.3 + 2 * z), (0.17, 0.17, 0.2))]
    for at in ((-0.6 * x, -y), (0.6 * x, -y), (-0.6 * x, y), (0.6 * x, y)):
        wheel = [part(TUBE, 3, (at[0], at[1], 0.15), (0.15, 0.15, 0.06))]
        parts += turned(wheel, "x", 90, (at[0], at[1], 0.15))
    return parts + (driver if s else roof)


def _dump_truck(p: Sequence[float], s: int) -> list[Part]:
    x, y, bed = 0.55 * p[0], 0.26 * p[1], 0.15 * p[2]
    parts = [
        part(BOX, 3, (0, 0, 0.2), (x, 0.8 * y, 0.05)),
        part(BOX, 1, (-0.7 * x, 0, 0.44), (0.28 * x, y, 0.22 * p[3])),
    ]
    load = [part(BOX, 0, (0.32 * x, 0, 0.27 + bed), (0.66 * x, y, bed))]
    parts += turned(load, "y", 48 * s, (x, 0, 0.27))
    for at in ((-0.7 * x, -y), (0.6 * x, -y), (-0.7 * x, y), (0.6 * x, y)):
        wheel = [part(TUBE, 3, (at[0], at[1], 0.14), (0.14, 0.14, 0.06))]
        parts += turned(wheel, "x", 90, (at[0], at[1], 0.14))
    return parts


def _house(p: Sequence[float], s: int) -> list[Part]:
    x, z, roof = 0.38 * p[0], 0.3 * p[1], 0.22 * p[2]
    parts = [
        part(BOX, 0, (0, 0, z), (x, 0.8 * x, z)),
        part(BOX, 3, (0, -0.8 * x, 0.5 * z), (0.3 * x, 0.02, 0.5 * z)),
    ]
    top = part(TUBE, 1, (0, 0, 2 * z + roof), (1.35 * x, 1.2 * x, roof), 0.05)
    off = part(TUBE, 1, (0.5 * x, -1.3 * x, roof), (1.35 * x, 1.2 * x, roof), 0.05)
    return [*parts, off if s else top]


def _rocket(p: Sequence[float], s: int) -> list[Part]:
    r, z, nose = 0.2 * p[0], 0.36 * p[1], 0.18 * p[2]
    parts = [
        part(TUBE, 0, (0, 0, 0.12 + z), (r, r, z)),
        part(TUBE, 1, (0, 0, 0.12 + 2 * z + nose), (r, r, nose), 0.05),
    ]
    parts += [part(BALL, 4, (0, -r, 0.12 + 1.4 * z), (0.09, 0.05, 0.09))]
    for k in range(4):
        fin = [part(BOX, 2, (r + 0.08, 0, 0.2), (0.13, 0.03, 0.2 * p[3]))]
        parts += turned(fin, "z", 45 + 90 * k, (0, 0, 0))
    return turned(parts, "y", -62 * s, (r, 0, 0.1))


def _parasol(p: Sequence[float], s: int) -> list[Part]:
    z, wide = 0.5 * p[0], 0.52 * p[1]
    parts = [
        part(TUBE, 3, (0, 0, z), (0.04, 0.04, z)),
        part(TUBE, 2, (0, 0, 0.05), (0.2 * p[2], 0.2 * p[2], 0.05)),
    ]
    spread = part(TUBE, 0, (0, 0, 2 * z), (wide, wide, 0.17 * p[3]), 0.03)
    return [*parts, part(TUBE, 0, (0, 0, 2 * z - 0.25), (0.1, 0.1, 0.36), 0.3) if s else spread]


def _lamp(p: Sequence[float], s: int) -> list[Part]:
    z, shade = 0.36 * p[0], 0.32 * p[1]
    parts = [
        part(TUBE, 3, (0, 0, 0.05), (0.28 * p[2],) * 2 + (0.05,)),
        part(TUBE, 2, (0, 0, z), (0.05, 0.05, z)),
    ]
    head = [
        part(TUBE, 0, (0, 0, 2 * z), (shade, shade, 0.26 * p[3]), 0.45),
        part(BALL, 4, (0, 0, 2 * z - 0.2), (0.14, 0.14, 0.14)),
    ]
    return parts + turned(head, "y", 85 * s, (0, 0, 2 * z - 0.25))


def _cup(p: Sequence[float], s: int) -> list[Part]:
    r, z = 0.32 * p[0], 0.34 * p[1]
    parts = [
        part(TUBE, 0, (0, 0, z), (0.72 * r, 0.72 * r, z)),
        part(TUBE, 1, (0, 0, 2 * z), (0.78 * r, 0.78 * r, 0.05)),
    ]
    parts += [
        part(BOX, 2, (r, 0, z), (0.2 * p[2], 0.06, 0.5 * z)),
        part(TUBE, 3, (0, 0, 2 * z + 0.052), (0.6 * r, 0.6 * r, 0.01)),
    ]
    spill = [part(TUBE, 3, (-1.2 * z - 0.3, -0.1, 0.01), (0.34, 0.26, 0.01))]
    return turned(parts, "y", -90 * s, (0, 0, 0.72 * r)) + spill * s


def _ring_stack(p: Sequence[float], s: int) -> list[Part]:
    parts = [part(TUBE, 3, (0, 0, 0.42), (0.05, 0.05, 0.42)), part(TUBE, 3, (0, 0, 0.03), (0.3, 0.3, 0.03))]
    for k in range(4):
        r = (0.42 - 0.08 * k) * p[k]
        lifted = part(TUBE, k % 3, (0, 0, 0.15 + 0.18 * k), (r, r, 0.09))
        dropped = part(TUBE, k % 3, (0.62 - 0.5 * (k - 2), -0.5, 0.09), (r, r, 0.09))
        parts += [dropped if s and k > 1 else lifted]
    return parts


def _block_tower(p: Sequence[float], s: int) -> list[Part]:
    a, b, c = 0.26 * p[0], 0.22 * p[1], 0.18 * p[2]
    parts = [part(BOX, 0, (0, 0, a), (a, a, a))]
    if s:
        return [
            *parts,
            part(BOX, 1, (a + b + 0.08, -0.15, b), (b, b, b)),
            part(BOX, 2, (0.1, -a - c - 0.1, c), (c, c, c)),
        ]
    return [
        *parts,
        part(BOX, 1, (0, 0, 2 * a + b), (b, b, b)),
        part(BOX, 2, (0, 0, 2 * (a + b) + c), (c, c, c)),
    ]


def _windmill(p: Sequence[float], s: int) -> list[Part]:
    r, z, blade = 0.3 * p[0], 0.42 * p[1], 0.24 * p[2]
    hub = (0.0, -0.75 * r, 1.7 * z)
    parts = [
        part(TUBE, 0, (0, 0, z), (r, r, z), 0.6),
        part(TUBE, 1, (0, 0, 2 * z + 0.1), (0.75 * r, 0.75 * r, 0.1), 0.1),
    ]
    for k in range(2 if s else 4):
        arm = [part(BOX, 2, (0, hub[1] - 0.06, hub[2] + 1.1 * blade), (0.11 * p[3], 0.03, blade))]
        parts += turned(arm, "y", 90 + 180 * k if s else 90 * k + 45, hub)
    return [*parts, part(BALL, 3, hub, (0.09, 0.12, 0.09))]


def _plane(p: Sequence[float], s: int) -> list[Part]:
    x, wing, r = 0.52 * p[0], 0.5 * p[1], 0.15 * p[2]
    parts = [part(BALL, 0, (0, 0, 0.3), (x, r, r)), part(BOX, 1, (-0.05, 0, 0.3), (0.16 * p[3], wing, 0.03))]
    parts += [
        part(BOX, 2, (0.85 * x, 0, 0.45), (0.1, 0.03, 0.16)),
        part(BOX, 1, (0.85 * x, 0, 0.34), (0.09, 0.24, 0.02)),
    ]
    parts += [
        part(BALL, 4, (-0.45 * x, 0, 0.38), (0.14, 0.1, 0.1)),
        part(BALL, 3, (-x, 0, 0.3), (0.07, 0.09, 0.09)),
    ]
    return turned(parts, "y", 55 * s, (0, 0, 0.3))


def _crane(p: Sequence[float], s: int) -> list[Part]:
    z, arm, load = 0.44 * p[0], 0.4 * p[1], 0.15 * p[2]
    hook = (-1.6 * arm, 0.0, 2 * z - 1.2 * load)
    tower = [part(BOX, 3, (0, 0, 0.08), (0.3 * p[3], 0.28, 0.08)), part(BOX, 0, (0, 0, z), (0.12, 0.12, z))]
    boom = [
        part(BOX, 1, (-0.7 * arm, 0, 2 * z + 0.05), (1.2 * arm, 0.09, 0.08)),
        part(BOX, 2, hook, (1.3 * load, load, load)),
    ]
    return tower + turned(boom, "z", 180 * s, (0, 0, 0))


def _cake(p: Sequence[float], s: int) -> list[Part]:
    a, b, z = 0.46 * p[0], 0.3 * p[1], 0.15 * p[2]
    parts = [
        part(TUBE, 4, (0, 0, 0.03), (a + 0.08, a + 0.08, 0.03)),
        part(TUBE, 0, (0, 0, 0.06 + z), (a, a, z)),
    ]
    if s:
        return parts
    parts += [part(TUBE, 1, (0, 0, 0.06 + 2 * z + 0.14), (b, b, 0.14))]
    candles = [
        part(TUBE, 2, (x, y, 2 * z + 0.46 * p[3]), (0.05, 0.05, 0.15)) for x, y in ((-0.15, 0), (0.15, 0), (0, -0.15))
    ]
    return parts + candles


def _boat(p: Sequence[float], s: int) -> list[Part]:
    x, mast, sail = 0.5 * p[0], 0.44 * p[1], 0.34 * p[2]
    parts = [
        part(BALL, 0, (0, 0, 0.2), (x, 0.24 * p[3], 0.2)),
        part(BOX, 3, (0, 0, 0.3 + mast), (0.035, 0.035, mast)),
    ]
    if s:
        return [*parts, part(BOX, 4, (0.1, 0, 0.42), (0.3, 0.1, 0.07))]
    return [
        *parts,
        part(BOX, 1, (sail + 0.05, 0, 0.42 + mast), (sail, 0.02, 0.85 * mast)),
        part(BOX, 2, (-0.22, 0, 0.3 + mast), (0.17, 0.02, 0.6 * mast)),
    ]


def _ice_cream(p: Sequence[float], s: int) -> list[Part]:
    r, z = 0.25 * p[0], 0.3 * p[1]
    cone = turned([part(TUBE, 1, (0, 0, z), (r, r, z), 0.1)], "x", 180, (0, 0, z))
    scoops = [
        part(BALL, k, (x, 0, 2 * z + up), (r * p[2 + k],) * 3)
        for k, x, up in ((0, -0.13, 0.12), (2, 0.15, 0.12), (0, 0, 0.42))
    ]
    return cone + (scoops[:1] if s else scoops)


def _chair(p: Sequence[float], s: int) -> list[Part]:
    x, leg, back = 0.32 * p[0], 0.2 * p[1], 0.36 * p[2]
    parts = [part(BOX, 1, (0, 0, 2 * leg + 0.06), (x, x, 0.06))]
    for a, b in ((-1, -1), (1, -1), (-1, 1), (1, 1)):
        parts += [part(BOX, 3, (0.85 * a * x, 0.85 * b * x, leg), (0.05, 0.05, leg))]
    rest = [part(BOX, 0, (0, x, 2 * leg + 0.12 + back), (x, 0.05, back))]
    return parts + turned(rest, "x", 88 * s, (0, x, 2 * leg + 0.18))


def _seesaw(p: Sequence[float], s: int) -> list[Part]:
    x, z, rider = 0.62 * p[0], 0.2 * p[1], 0.2 * p[2]
    k = 1 if s else -1
    plank = [
        part(BOX, 1, (0, 0, 2 * z), (x, 0.16, 0.05)),
        part(BALL, 0, (0.75 * x * k, 0, 2 * z + rider), (rider,) * 3),
    ]
    return [part(TUBE, 3, (0, 0, z), (0.24 * p[3], 0.2, z), 0.3), *turned(plank, "y", 20 * k, (0, 0, 2 * z))]


THINGS: tuple[Category, ...] = (
    _chest,
    _car,
    _dump_truck,
    _house,
    _rocket,
    _parasol,
    _lamp,
    _cup,
    _ring_stack,
    _block_tower,
    _windmill,
    _plane,
    _crane,
    _cake,
    _boat,
    _ice_cream,
    _chair,
    _seesaw,
)
