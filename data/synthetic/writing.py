"""Text in the font that Pillow brings along: signs, pages and single large letters."""

import string

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data.synthetic.chance import happens, log_uniform, pick
from data.synthetic.colours import Array, palette, vivid

VOWELS = "aeiou"
CONSONANTS = "bcdfghklmnprstvwz"


def writing(rng: np.random.Generator, side: int) -> Array:
    """Return a painting (side, side, 4), see `data.synthetic.things`, of lines of text, with or without a board."""
    board, ink = _colours(rng)
    shown = Image.new("L", (side, side))
    covered = Image.new("L", (side, side))
    if happens(rng, 0.7):
        _board(rng, ImageDraw.Draw(covered), side)
    high = log_uniform(rng, 0.05, 0.45) * side
    _lines(rng, ImageDraw.Draw(shown), side, high)
    turn = float(rng.normal(0, 12)) if happens(rng, 0.6) else float(rng.uniform(0, 360))
    marks, cover = (
        np.asarray(image.rotate(turn, Image.Resampling.BILINEAR), np.float32) / 255 for image in (shown, covered)
    )
    painting = np.empty((side, side, 4), np.float32)
    painting[..., :3] = board + marks[..., None] * (ink - board)
    painting[..., 3] = np.maximum(marks, cover)
    return painting


def _colours(rng: np.random.Generator) -> tuple[Array, Array]:
    """A ground and an ink that stands out from it."""
    ground = pick(rng, (palette(rng, 1)[0], vivid(rng, 1)[0], np.full(3, rng.uniform(0.75, 1), np.float32)))
    for _ in range(20):
        ink = pick(rng, (palette(rng, 1)[0], vivid(rng, 1)[0], np.full(3, rng.uniform(0, 0.2), np.float32)))
        if np.abs(ink.mean() - ground.mean()) > 0.3:
            return ground, ink
    return ground, np.full(3, 0.0 if ground.mean() > 0.5 else 1.0, np.float32)


def _board(rng: np.random.Generator, pen: ImageDraw.ImageDraw, side: int) -> None:
    half_wide, half_high = rng.uniform(0.2, 0.48, 2) * side
    box = (side / 2 - half_wide, side / 2 - half_high, side / 2 + half_wide, side / 2 + half_high)
    pen.rounded_rectangle(box, radius=float(rng.choice([0, 0.03, 0.12]) * side), fill=255)


def _lines(rng: np.random.Generator, pen: ImageDraw.ImageDraw, side: int, high: float) -> None:
    font = ImageFont.load_default(max(5, round(high)))
    bold = int(high * 0.03) if happens(rng, 0.4) else 0
    top = rng.uniform(0.12, 0.4) * side
    left = rng.uniform(0.1, 0.3) * side
    while top + high < 0.88 * side:
        words = ""
        while pen.textlength(words, font) < rng.uniform(0.4, 0.75) * side:
            words += f"{_word(rng)} "
        pen.text((left, top), words, fill=255, font=font, stroke_width=bold)
        top += high * rng.uniform(1.05, 1.4)


def _word(rng: np.random.Generator) -> str:
    """A word that can be spoken, a number, or capitals."""
    kind = pick(rng, ("word", "word", "word", "number", "capitals"))
    if kind == "number":
        return "".join(pick(rng, string.digits) for _ in range(rng.integers(1, 5)))
    word = "".join(pick(rng, CONSONANTS) + pick(rng, VOWELS) for _ in range(rng.integers(1, 4)))
    return word.upper() if kind == "capitals" else word
