"""Images of every kind as sRGB: colour profiles, transparency, grey of more than 8 bits, white stored as zero."""

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin

from data.colour_profiles import colour_mode, profile_converter
from data.errors import MediaError

BAND = 1_000_000
"""Pixels that are converted at a time: copies of a whole large image would cost several times its memory."""

Box = tuple[int, int, int, int]
"""First column, first row, column and row after the last."""

MOST_WIDE_COLOURS = 32_000_000
"""Most pixels of 16-bit colours of which more than the high bytes is needed: they are decoded twice."""

# TIFFs of 12 and 16 bits that Pillow can unpack and does not list.
for _order in (TiffImagePlugin.II, TiffImagePlugin.MM):
    for _zero in (0, 1):
        TiffImagePlugin.OPEN_INFO.setdefault((_order, _zero, (1,), 1, (12,), ()), ("I;16", "I;12"))
TiffImagePlugin.OPEN_INFO.setdefault((TiffImagePlugin.MM, 0, (1,), 1, (16,), ()), ("I;16B", "I;16B"))


def to_srgb(image: Image.Image, file: Path | bytes, name: str) -> Image.Image:
    """Decodes an opened image, upright and transparent parts on white, as sRGB in mode RGB, and closes it.

    Args:
        image: opened, not yet decoded.
        file: what it was opened from.
        name: what messages call it.

    Raises:
        MediaError: its grey levels have 32 bits.
    """
    picture = _decode(image, file, name)
    convert = _wide_converter(picture) if picture.is_wide else _narrow_converter(image)
    width, height = image.size
    if width * height <= BAND:
        only = convert((0, 0, width, height))
        only.info.clear()
        return only
    converted = [(box, np.asarray(convert(box))) for box in boxes(width, height)]
    picture.close()
    # Not filled with black, so that its memory is taken as that of the bands is given back.
    srgb = Image.new("RGB", (width, height), None)
    while converted:
        box, band = converted.pop()
        srgb.paste(Image.fromarray(band), box)
    return srgb


def boxes(width: int, height: int, pixels: int = BAND) -> Iterator[Box]:
    """Bands of whole rows that make up an image, in order; a row of more than this many pixels in pieces."""
    rows = max(1, pixels // width)
    columns = width if width <= pixels else pixels
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield left, top, min(left + columns, width), min(top + rows, height)


@dataclass(frozen=True)
class _Picture:
    """A decoded image, and what its header says that Pillow leaves out."""

    image: Image.Image
    low: Image.Image | None
    """The low bytes of 16-bit RGB, of which `image` holds the high ones."""
    name: str
    claimed_white: int = 65535
    """The highest level that its grey or RGB can have, if that is meant literally."""
    is_scaled: bool = False
    """Whether levels with fewer bits are meant to be scaled to 16 bits, as PNG demands."""
    white_is_zero: bool = False
    transparent: tuple[int, ...] | None = None
    """The 16-bit level or colour that is transparent."""

    @property
    def is_wide(self) -> bool:
        """Whether there are levels of more than 8 bits."""
        return self.low is not None or self.image.mode.startswith("I") or self.image.mode == "F"

    def levels(self, box: Box) -> NDArray[Any]:
        """(h, w, 1 or 3) levels of a part."""
        levels = np.asarray(self.image.crop(box))
        if self.low is None:
            return levels[..., None]
        return levels.astype(np.uint16) << 8 | np.asarray(self.low.crop(box))

    def all_levels(self) -> Iterator[NDArray[Any]]:
        """Those of the image, part by part."""
        return (self.levels(box) for box in boxes(*self.image.size))

    def white(self) -> int:
        """The level that is white.

        Raises:
            MediaError: the levels have 32 bits, and nothing says which of them is white.
        """
        if self.image.mode == "F" or (
            self.image.mode == "I" and any(part.min() < 0 or part.max() > 65535 for part in self.all_levels())
        ):
            raise MediaError(
                f"{self.name} has 32-bit grey levels, whose white is not known: save it with 8 or 16 bits per channel"
            )
        claimed = self.claimed_white
        if claimed == 65535 or any(part.max() > claimed for part in self.all_levels()):
            return 65535
        return 65535 if self.is_scaled and all(_are_scaled(part, claimed) for part in self.all_levels()) else claimed

    def close(self) -> None:
        """Give back the memory of the pixels."""
        self.image.close()
        if self.low is not None:
            self.low.close()


def _decode(image: Image.Image, file: Path | bytes, name: str) -> _Picture:
    if image.format == "PNG":
        picture = _decode_png(image, file, name)
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        picture = _decode_tiff(image, name)
    else:
        image.load()
        picture = _Picture(image, None, name)
    for part in (picture.image, picture.low):
        if part is not None:
            # In place: the copy that it otherwise makes also of upright images stays beside the original.
            ImageOps.exif_transpose(part, in_place=True)
    return picture


def _decode_png(image: Image.Image, file: Path | bytes, name: str) -> _Picture:
    chunks = _png_chunks(file)
    depth = chunks[b"IHDR"][8]
    if depth == 16 and image.mode in ("I;16", "RGB"):
        return _decode_wide_png(image, file, name, chunks.get(b"sBIT", b""))
    image.load()
    if image.mode == "L" and "transparency" in image.info:
        # Pillow scales grey of 2 and 4 bits to 8, but not the level that is transparent.
        highest = 2**depth - 1
        image.info["transparency"] = (image.info["transparency"] & highest) * 255 // highest
    return _Picture(image, None, name)


def _decode_wide_png(image: Image.Image, file: Path | bytes, name: str, significant: bytes) -> _Picture:
    level = image.info.pop("transparency", None)
    transparent = (level,) if isinstance(level, int) else level
    bits = significant[0] if len(set(significant)) == 1 else 16
    has_hint = 8 < bits < 16
    low = None
    if image.mode == "RGB" and (transparent or has_hint):
        low = _low_bytes(file, name)
    image.load()
    return _Picture(
        image=image,
        low=low,
        name=name,
        claimed_white=2**bits - 1 if has_hint else 65535,
        is_scaled=True,
        transparent=transparent,
    )


def _decode_tiff(image: TiffImagePlugin.TiffImageFile, name: str) -> _Picture:
    tags = image.tag_v2
    white_is_zero = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
    bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))[0]
    highest = tags.get(281, (65535,))  # MaxSampleValue
    highest = highest[0] if isinstance(highest, tuple) else highest
    image.load()
    # Cameras write the depth of their sensor there; what other programs write is the brightest pixel they found.
    is_depth = highest in (2**depth - 1 for depth in range(9, 16))
    return _Picture(
        image=image,
        low=None,
        name=name,
        claimed_white=4095 if bits == 12 else highest if is_depth else 65535,
        white_is_zero=white_is_zero,
    )


def _png_chunks(file: Path | bytes) -> dict[bytes, bytes]:
    """The header of a PNG, and how many bits of its levels are significant."""
    chunks = {}
    with opened(file) as png:
        png.seek(8)
        while len(head := png.read(8)) == 8:
            length, name = struct.unpack(">I4s", head)
            if name in (b"IDAT", b"IEND"):
                break
            start = png.tell()
            if name in (b"IHDR", b"sBIT"):
                chunks[name] = png.read(length)
            png.seek(start + length + 4)
    return chunks


def _low_bytes(file: Path | bytes, name: str) -> Image.Image:
    """The low byte of every level of a 16-bit RGB PNG: what Pillow keeps when told that the bytes are swapped."""
    with opened(file) as source:
        image = Image.open(source)
        if image.width * image.height > MOST_WIDE_COLOURS:
            raise MediaError(
                f"{name} has {image.width}x{image.height} pixels of 16-bit colours, over the limit of"
                f" {MOST_WIDE_COLOURS:,}: make it smaller, or save it with 8 bits per channel"
            )
        image.tile = [tile._replace(args="RGB;16L") for tile in image.tile]
        image.load()
    return image


def opened(file: Path | bytes) -> IO[bytes]:
    """A file or its bytes, opened for reading."""
    return io.BytesIO(file) if isinstance(file, bytes) else file.open("rb")


def _are_scaled(levels: NDArray[Any], white: int) -> bool:
    """Whether these are levels up to `white` that were scaled to 16 bits, in one of the three ways that are used."""
    wide = levels.astype(np.int64)
    bits = white.bit_length()
    narrow = wide >> (16 - bits)
    shifted = narrow << (16 - bits)
    repeated = shifted | narrow >> (2 * bits - 16)
    exact = np.rint(narrow * (65535 / white))
    return bool(((wide == shifted) | (wide == repeated) | (wide == exact)).all())


def _wide_converter(picture: _Picture) -> Callable[[Box], Image.Image]:
    """Levels of 16 bits are scaled to 8; Pillow's own conversion would turn all grey above 255 white."""
    white = picture.white()
    from_profile = profile_converter(picture.image)

    def convert(box: Box) -> Image.Image:
        levels = picture.levels(box)
        if picture.low is not None and white == 65535:
            # What Pillow makes of 16-bit colours.
            narrow = (levels >> 8).astype(np.uint8)
        else:
            narrow = np.rint((white - levels if picture.white_is_zero else levels) / (white / 255)).astype(np.uint8)
        coloured = Image.fromarray(narrow if narrow.shape[2] == 3 else narrow[..., 0])
        rgb = from_profile(coloured) if from_profile else coloured.convert("RGB")
        if picture.transparent:
            transparent = (levels == picture.transparent).all(axis=2)
            rgb.paste((255, 255, 255), mask=Image.fromarray(transparent.astype(np.uint8) * 255))
        return rgb

    return convert


def _narrow_converter(image: Image.Image) -> Callable[[Box], Image.Image]:
    from_profile = profile_converter(image)
    mode = colour_mode(image)

    def convert(box: Box) -> Image.Image:
        band = image.crop(box)
        if not band.has_transparency_data:
            return from_profile(band.convert(mode)) if from_profile else band.convert("RGB")
        # Pillow knows one way only from grey whose alpha is multiplied in.
        rgba = (band.convert("LA") if band.mode == "La" else band).convert("RGBA")
        if from_profile:
            alpha = rgba.getchannel("A")
            rgba = from_profile(rgba.convert(mode))
            rgba.putalpha(alpha)
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")

    return convert
