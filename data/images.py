"""Still images: any file that people call an image to RGB, to a one-frame clip, and back."""

import hashlib
import io
import warnings
from pathlib import Path
from typing import IO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from data.errors import MediaError
from data.frames import Crop, resize_and_crop, to_uint8

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
"""Lower-case suffixes that name an image; compare with `path.suffix.lower()`."""


def load_image(source: Path | bytes | IO[bytes], max_pixels: int = 64_000_000) -> Image.Image:
    """Reads one image as RGB, upright, transparent parts on white; of a moving image the first frame.

    Args:
        source: a path, the bytes of a file, or an open binary file.
        max_pixels: larger images are refused from their header alone, before memory is taken for them.

    Raises:
        MediaError: the file is missing, empty, not an image, damaged, cut short or too large.
    """
    name = str(source) if isinstance(source, Path) else "the image"
    file: Path | bytes = source if isinstance(source, Path | bytes) else source.read()
    try:
        # Pillow warns where it repairs (odd EXIF, palettes); the pixel count it warns of is checked below.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _open(file, name, max_pixels)
    except MediaError:
        raise
    except UnidentifiedImageError as error:
        raise MediaError(_not_an_image(file, name)) from error
    except Image.DecompressionBombError as error:
        raise MediaError(f"{name} claims more pixels than Pillow agrees to decode: {error}") from error
    # Pillow reports damage with whatever the broken byte provokes: OSError, SyntaxError, struct.error...
    except Exception as error:
        raise MediaError(_damage(error, name)) from error


def pixel_digest(image: Image.Image) -> str:
    """Return the SHA-256 of an image's pixels and of their shape: the same for a copy in another file or format."""
    pixels = np.asarray(image)
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()


def image_to_clip(image: Image.Image, size: int, crop: Crop = "centre", seed: int = 0) -> Tensor:
    """An RGB image as a clip of one frame: (3, 1, size, size) float32 in [-1, 1].

    The short side is scaled to `size` and a square cut out, as `data.frames.resize_and_crop` does for videos.
    """
    pixels = torch.from_numpy(np.array(image.convert("RGB")))
    return resize_and_crop(pixels[None], size, crop, seed)


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


def _open(file: Path | bytes, name: str, max_pixels: int) -> Image.Image:
    with _header(file) as image:
        if image.width * image.height > max_pixels:
            raise MediaError(
                f"{name} has {image.width}x{image.height} pixels, over the limit of {max_pixels:,}: make it smaller"
            )
        # Only this compares a PNG's checksums: decoding alone turns a flipped bit into other pixels.
        image.verify()
    with _header(file) as image:
        image.load()
        return _to_rgb(ImageOps.exif_transpose(image), name)


def _header(file: Path | bytes) -> Image.Image:
    return Image.open(io.BytesIO(file) if isinstance(file, bytes) else file)


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _wide_grey_to_rgb(image, name)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _wide_grey_to_rgb(image: Image.Image, name: str) -> Image.Image:
    """Grey of 16 bits is scaled to 8; Pillow's own conversion would turn all above 255 white."""
    levels = np.asarray(image)
    if image.mode == "F" or levels.min() < 0 or levels.max() > 65535:
        raise MediaError(
            f"{name} has 32-bit grey levels, whose white is not known: save it with 8 or 16 bits per channel"
        )
    return Image.fromarray((levels / 257).round().astype(np.uint8)).convert("RGB")


def _not_an_image(file: Path | bytes, name: str) -> str:
    with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as opened:
        head = opened.read(64)
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
