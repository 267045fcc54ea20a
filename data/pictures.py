"""Drawing grids of pictures with captions, so that people can look instead of read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from data.images import clip_to_image

MARGIN = 6
CAPTION = 18


@dataclass(frozen=True)
class Tile:
    """One picture of a grid."""

    image: Image.Image
    caption: str = ""
    border: str = "white"
    """Colour of the frame around the picture."""


def draw_grid(rows: Sequence[Sequence[Tile]], side: int = 96) -> Image.Image:
    """Draw rows of tiles, each `side` pixels high, captions below, cut to the width of their picture."""
    heights = CAPTION if any(tile.caption for row in rows for tile in row) else 0
    scaled = [[_scale(tile, side) for tile in row] for row in rows]
    width = max(sum(image.width + MARGIN for image in row) for row in scaled) + MARGIN
    canvas = Image.new("RGB", (width, len(rows) * (side + heights + MARGIN) + MARGIN), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=11)
    for number, (row, images) in enumerate(zip(rows, scaled, strict=True)):
        x, y = MARGIN, MARGIN + number * (side + heights + MARGIN)
        for tile, image in zip(row, images, strict=True):
            canvas.paste(image, (x, y))
            if tile.border != "white":
                pen.rectangle((x - 2, y - 2, x + image.width + 1, y + side + 1), outline=tile.border, width=2)
            pen.text((x, y + side + 3), _cut(tile.caption, image.width, font), fill="black", font=font)
            x += image.width + MARGIN
    return canvas


def film_strip(clip: Tensor, frames: int = 8) -> Image.Image:
    """Put `frames` evenly spaced frames of a clip (3, T, H, W) in [-1, 1] side by side."""
    count = min(frames, clip.shape[1])
    images = [clip_to_image(clip[:, number * clip.shape[1] // count]) for number in range(count)]
    strip = Image.new("RGB", (sum(image.width for image in images), images[0].height))
    x = 0
    for image in images:
        strip.paste(image, (x, 0))
        x += image.width
    return strip


def picture_of(clip: Tensor, frames: int = 8) -> Image.Image:
    """Return a film strip of a clip (3, T, H, W) in [-1, 1], or the picture itself of a still."""
    return clip_to_image(clip) if clip.shape[1] == 1 else film_strip(clip, frames)


def save_picture(path: Path, image: Image.Image) -> None:
    """Write a PNG, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)


def _scale(tile: Tile, side: int) -> Image.Image:
    image = tile.image
    # Nearest-neighbour, so that pixels of small pictures stay what they are.
    return image.resize((max(1, round(image.width * side / image.height)), side), Image.Resampling.NEAREST)


def _cut(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Return as much of a caption as `width` pixels hold."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
