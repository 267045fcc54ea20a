"""Still images: any file that people call an image to RGB, to a one-frame clip, and back."""

import hashlib
import importlib
import io
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from data.colours import BAND, boxes, opened, to_srgb
from data.errors import MediaError
from data.frames import Crop, find_square, resize, to_clip, to_uint8

Result = TypeVar("Result")

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".heic", ".heif"}
    | {".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"}
    | {".bmp", ".dib", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".pcx"}
)
"""Lower-case suffixes that name an image; compare with `path.suffix.lower()`."""

GREEDY = {"WEBP": 32_000_000, "JPEG2000": 32_000_000}
"""Most pixels of kinds whose decoders take four times the memory of the pixels and more."""

MOST_ROWS = 2_000_000
"""Pillow takes memory for every row, however short."""

HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"})
"""What the first box of a HEIF file with HEVC inside names as its kind."""


def load_image(source: Path | bytes | IO[bytes], max_pixels: int = 64_000_000) -> Image.Image:
    """Reads one image as sRGB, upright, transparent parts on white; of a moving image the first frame.

    Colours with an embedded profile are converted; grey of 10 to 16 bits is scaled so that white is white.

    Args:
        source: a path, the bytes of a file, or an open binary file.
        max_pixels: larger images are refused from their header alone, before memory is taken for them; WebP and
            JPEG 2000 from 32 million pixels on, whose decoders take more memory.

    Raises:
        MediaError: the file is missing, empty, not an image, damaged, cut short or too large.
    """
    return _reading(source, partial(_open, max_pixels=max_pixels))


def read_sides(source: Path | bytes) -> tuple[int, int]:
    """Return the shorter and the longer side of an image in pixels, from its header alone.

    Raises:
        MediaError: the file is missing, empty or not an image.
    """
    return _reading(source, _sides)


def pixel_digest(image: Image.Image) -> str:
    """Return the SHA-256 of an image's pixels and of their shape: the same for a copy in another file or format."""
    channels = np.asarray(image.crop((0, 0, 1, 1))).shape[2:]
    digest = hashlib.sha256(f"{(image.height, image.width, *channels)}".encode())
    # Part by part: of the whole, Pillow makes two copies more.
    for box in boxes(image.width, image.height):
        digest.update(np.asarray(image.crop(box)).tobytes())
    return digest.hexdigest()


def image_to_clip(image: Image.Image, size: int, crop: Crop = "centre", seed: int = 0) -> Tensor:
    """An RGB image as a clip of one frame: (3, 1, size, size) float32 in [-1, 1].

    The short side is scaled to `size` and a square cut out, as `data.frames.resize_and_crop` does.
    """
    square = find_square(image.height, image.width, size, crop, seed)
    narrow = []
    # The width is scaled band by band: an array of the whole would take as much memory as the image again.
    for left, top, right, bottom in boxes(square.width, square.height, max(BAND, square.width)):
        box = (square.left + left, square.top + top, square.left + right, square.top + bottom)
        band = torch.from_numpy(np.array(image.crop(box).convert("RGB"))).float()
        narrow.append(resize(band, bottom - top, square.scaled_width).permute(1, 2, 0))
    return to_clip(torch.stack([square.cut(torch.cat(narrow))], dim=1))


def clip_to_image(clip: Tensor) -> Image.Image:
    """The RGB image of a (3, H, W) or (3, 1, H, W) clip in [-1, 1]; values outside are clipped.

    Raises:
        ValueError: `clip` has another shape, for instance more than one frame.
    """
    if clip.dim() == 4 and clip.shape[1] == 1:
        clip = clip[:, 0]
    if clip.dim() != 3 or clip.shape[0] != 3:
        raise ValueError(f"clip must be (3, H, W) or (3, 1, H, W), not {tuple(clip.shape)}")
    return Image.fromarray(to_uint8(clip).permute(1, 2, 0).contiguous().numpy())


def _reading(source: Path | bytes | IO[bytes], read: Callable[[Path | bytes, str], Result]) -> Result:
    """Return what `read` makes of a file or its bytes, and of a name for people.

    Raises:
        MediaError: whatever went wrong, in words.
    """
    name = str(source) if isinstance(source, Path) else "the image"
    file: Path | bytes = source if isinstance(source, Path | bytes) else source.read()
    try:
        # Pillow warns where it repairs (odd EXIF, palettes); the pixel count it warns of is checked below.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(file, name)
    except MediaError:
        raise
    except UnidentifiedImageError as error:
        raise MediaError(_not_an_image(file, name)) from error
    except Image.DecompressionBombError as error:
        raise MediaError(f"{name} claims more pixels than Pillow agrees to decode: {error}") from error
    # Pillow reports damage with whatever the broken byte provokes: OSError, SyntaxError, struct.error...
    except Exception as error:
        raise MediaError(_damage(error, name)) from error


def _sides(file: Path | bytes, name: str) -> tuple[int, int]:
    with opened(file) as source:
        if _is_heif(source.read(64)):
            _read_heif_too(name)
    with _header(file) as image:
        return min(image.size), max(image.size)


def _open(file: Path | bytes, name: str, max_pixels: int) -> Image.Image:
    with opened(file) as source:
        if _is_heif(source.read(64)):
            _read_heif_too(name)
    with _header(file) as image:
        _check_size(image, name, max_pixels)
        # Only this compares a PNG's checksums: decoding alone turns a flipped bit into other pixels.
        image.verify()
    with _header(file) as image:
        return to_srgb(image, file, name)


def _header(file: Path | bytes) -> Image.Image:
    return Image.open(io.BytesIO(file) if isinstance(file, bytes) else file)


def _check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    most = min(max_pixels, GREEDY.get(image.format or "", max_pixels))
    if image.width * image.height > most:
        raise MediaError(f"{name} has {image.width}x{image.height} pixels, over the limit of {most:,}: make it smaller")
    if image.height > MOST_ROWS:
        raise MediaError(
            f"{name} has {image.width}x{image.height} pixels, over the limit of {MOST_ROWS:,} rows: make it smaller"
        )


def _is_heif(head: bytes) -> bool:
    """Whether a file of these first bytes is a photo as phones take them, which Pillow alone cannot read."""
    if head[4:8] != b"ftyp":
        return False
    box = head[8 : int.from_bytes(head[:4], "big")]
    return not HEIF_BRANDS.isdisjoint(box[start : start + 4] for start in range(0, len(box), 4))


def _read_heif_too(name: str) -> None:
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError as error:
        raise MediaError(
            f"{name} is a HEIC image, and the package that reads these is missing: `pip install pillow-heif`, or"
            " convert it to PNG or JPEG"
        ) from error


def _not_an_image(file: Path | bytes, name: str) -> str:
    with opened(file) as source:
        head = source.read(64)
    if not head:
        return f"{name} is empty (0 bytes): copy or download it again"
    if head.lstrip().startswith(b"<"):
        return f"{name} holds a web page or other text, not an image: download it again"
    return f"{name} is not an image of a kind that can be read; convert it to PNG or JPEG"


def _damage(error: Exception, name: str) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{name} does not exist"
    if isinstance(error, IsADirectoryError):
        return f"{name} is a folder, not an image"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name} cannot be read: {error.strerror}"
    return f"{name} is damaged or cut short ({error}): copy or download it again"
