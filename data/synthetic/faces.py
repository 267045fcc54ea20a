"""Blobs that look like faces: head, hair, eyes, mouth and shoulders, of many colours, lit from a side."""

import numpy as np

from data.synthetic.chance import happens, log_uniform, pick
from data.synthetic.colours import Array, hsv, vivid
from data.synthetic.things import Window, lay, soft, window

EYES = ((0.08, 0.7, 0.3), (0.07, 0.6, 0.15), (0.58, 0.6, 0.6), (0.35, 0.4, 0.4), (0.0, 0.0, 0.1))
"""Hue, saturation and value of irises."""


def faces(rng: np.random.Generator, side: int) -> Array:
    """Return a painting (side, side, 4), see `data.synthetic.things`, of one to five people."""
    painting = np.zeros((side, side, 4), np.float32)
    count = pick(rng, (1, 1, 1, 2, 2, 3, 5))
    radius = log_uniform(rng, 0.1, 0.24) * side * count**-0.35
    places = np.linspace(-1, 1, count) if count > 1 else np.zeros(1)
    for place in rng.permutation(places):
        centre = side * (0.5 + 0.24 * place + rng.normal(0, 0.03))
        part = window(side, (centre, side * rng.uniform(0.4, 0.56)), radius * rng.uniform(0.85, 1.15), reach=3.2)
        if part is not None:
            _person(rng, painting, part)
    return painting


def _person(rng: np.random.Generator, painting: Array, place: Window) -> None:
    light = rng.normal(0, 0.3)
    skin = _skin(rng)
    hair = _hair(rng)
    long_hair = rng.uniform(0.7, 1.9)
    cloth = (
        vivid(rng, 1)[0] if happens(rng, 0.6) else hsv(rng.uniform(size=1), rng.uniform(0, 0.5, 1), rng.random(1))[0]
    )
    turned = rng.normal(0, 0.12)
    _oval(painting, place, (0, -0.15), (0.95, 1.18), hair * 0.7)
    if long_hair > 1.1:
        _oval(painting, place, (0, 0.4), (0.95, long_hair), hair * 0.6)
    _oval(painting, place, (0, 2.6), (1.9, 1.35), cloth * (1 + light * np.clip(place.x, -1, 1))[..., None])
    _oval(painting, place, (0, 1.05), (0.42, 0.6), skin * 0.75)
    _oval(painting, place, (0, 0), (0.78, 1.0), _lit_skin(skin, place, light))
    for k in (-1, 1):
        _eye(rng, painting, place, (turned + 0.33 * k, -0.12), hair)
    _oval(painting, place, (turned * 1.3 + 0.03, 0.25), (0.1, 0.08), skin * 0.72)
    lips = skin * np.array([0.9, 0.55, 0.55], np.float32) + np.array([0.1, 0, 0], np.float32)
    _oval(painting, place, (turned, 0.55), (rng.uniform(0.18, 0.34), rng.uniform(0.05, 0.12)), lips)
    if happens(rng, 0.3):
        _oval(painting, place, (turned, 0.55), (0.18, 0.03), np.array([0.9, 0.88, 0.85], np.float32))
    _fringe(rng, painting, place, hair)


def _skin(rng: np.random.Generator) -> Array:
    """A skin colour, from very light to very dark."""
    value = rng.uniform(0.25, 1.0)
    saturation = np.clip(0.72 - 0.42 * value + rng.normal(0, 0.07), 0.12, 0.8)
    return hsv(rng.normal([0.055], 0.014), np.array([saturation]), np.array([value]))[0]


def _hair(rng: np.random.Generator) -> Array:
    if happens(rng, 0.08):
        return vivid(rng, 1)[0]
    hue, saturation, value = pick(
        rng, ((0.07, 0.5, 0.1), (0.06, 0.6, 0.22), (0.06, 0.65, 0.4), (0.11, 0.55, 0.8), (0.04, 0.8, 0.5), (0, 0, 0.75))
    )
    return hsv(np.array([hue]), np.array([saturation]), np.array([value * rng.uniform(0.7, 1.2)]).clip(0, 1))[0]


def _lit_skin(skin: Array, place: Window, light: float) -> Array:
    round_off = np.clip(1 - place.x**2 - 0.7 * place.y**2, 0, 1)
    shade = 0.72 + 0.33 * np.sqrt(round_off) + light * place.x
    cheeks = np.exp(-(((np.abs(place.x) - 0.45) / 0.22) ** 2) - ((place.y - 0.28) / 0.2) ** 2)
    flush = np.array([0.05, -0.03, -0.03], np.float32)
    return np.clip(skin * shade[..., None] + cheeks[..., None] * flush, 0, 1)


def _eye(rng: np.random.Generator, painting: Array, place: Window, at: tuple[float, float], hair: Array) -> None:
    x, y = at
    open_ = rng.uniform(0.05, 0.1)
    _oval(painting, place, (x, y), (0.17, open_), np.array([0.93, 0.92, 0.9], np.float32))
    hue, saturation, value = pick(rng, EYES)
    iris = hsv(np.array([hue]), np.array([saturation]), np.array([value]))[0]
    _oval(painting, place, (x, y), (0.085, open_ + 0.01), iris)
    _oval(painting, place, (x, y), (0.04, 0.04), np.full(3, 0.03, np.float32))
    _oval(painting, place, (x, y - 0.22), (0.21, 0.045), hair * 0.7)


def _fringe(rng: np.random.Generator, painting: Array, place: Window, hair: Array) -> None:
    """Hair above the forehead, with strands."""
    line = rng.uniform(-0.75, -0.35) + rng.uniform(0, 0.3) * np.abs(place.x) + rng.normal(0, 0.2) * place.x
    top = np.minimum(line - place.y, 1.1 - (place.x / 0.92) ** 2 - ((place.y + 0.2) / 1.0) ** 2)
    strands = 1 + rng.uniform(0.03, 0.15) * np.sin(place.x * rng.uniform(12, 30) + 3 * place.y)
    lay(painting, place, np.clip(hair * strands[..., None], 0, 1), soft(top, 2 * place.pixel))


def _oval(
    painting: Array, place: Window, centre: tuple[float, float], half: tuple[float, float], colours: Array
) -> None:
    """Lay an oval of a colour (3,) or colours (h, w, 3); only the part of the window around it is computed."""
    soft_edge = 2 * place.pixel / min(half)
    rows = _span(place.y[:, 0], centre[1], half[1] * (1 + soft_edge))
    columns = _span(place.x[0], centre[0], half[0] * (1 + soft_edge))
    gap = ((place.x[rows, columns] - centre[0]) / half[0]) ** 2 + ((place.y[rows, columns] - centre[1]) / half[1]) ** 2
    part = Window(
        slice(place.rows.start + rows.start, place.rows.start + rows.stop),
        slice(place.columns.start + columns.start, place.columns.start + columns.stop),
        place.x[rows, columns],
        place.y[rows, columns],
        place.pixel,
    )
    paint = colours if colours.ndim == 1 else colours[rows, columns]
    lay(painting, part, paint.astype(np.float32), soft((1 - gap).astype(np.float32), soft_edge))


def _span(ticks: Array, middle: float, half: float) -> slice:
    """Which of rising places lie within half a width of a middle."""
    low, high = np.searchsorted(ticks, [middle - half, middle + half])
    return slice(int(low), int(high))
