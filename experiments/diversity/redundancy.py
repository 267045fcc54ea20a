"""How much of the rest of an item a general-purpose compressor knows from the given part.

Half a clip may tell more of its other half than half an image does, whoever continues it. LZMA is a yardstick that has
learned nothing: it finds what is repeated exactly, and how often values occur. `alone` is the length of the compressed
rest, `given` what it adds to the length of the compressed given part. Pixels are the bytes of an 8-bit video in the
order frame, row, column, channel; tokens are numbers of the fewest bytes that hold them, in raster order.

It is LZMA and not zlib because the window of zlib, 32 kB, does not hold two frames of 128 x 128 pixels. Lengths are
those of the bare code, without headers, checks or the mark of its end. Frequencies are learned from the given part,
too, so that of noise some per cent are saved: what counts is how much more it is for images or clips.
"""

from __future__ import annotations

import lzma
from dataclasses import dataclass
from typing import Any

import numpy as np
from einops import rearrange
from torch import Tensor

from data.frames import to_uint8
from sampling.prompts import Size

NUMBERS = (np.uint8, np.uint16, np.uint32)
END_MARK = len(lzma.compress(b"", format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1}]))
"""Bytes that say that nothing follows."""
SMALLEST_DICTIONARY = 4096
"""Bytes; LZMA takes no smaller one."""


@dataclass(frozen=True)
class Redundancy:
    """Bits that the rest of an item takes by itself, and on top of those of the given part."""

    pixel_bits_alone: int
    pixel_bits_given: int
    token_bits_alone: int
    token_bits_given: int


def measure_redundancy(clip: Tensor, tokens: Tensor, given_tokens: Size, given_pixels: Size) -> Redundancy:
    """Measure how much of an item is known from its given part.

    Args:
        clip: (3, T, H, W) in [-1, 1].
        tokens: (t, h, w) int64, from 0 to below 2^32.
        given_tokens: how many tokens are given along each axis, as `sampling.prompts.Part.tokens`.
        given_pixels: how many pixels are, as `sampling.prompts.Part.pixels`.
    """
    pixels = rearrange(to_uint8(clip), "C T H W -> T H W C").numpy()
    numbers = tokens.cpu().numpy()
    smallest = next(kind for kind in NUMBERS if numbers.max() <= np.iinfo(kind).max)
    return Redundancy(*_bits(pixels, given_pixels), *_bits(numbers.astype(smallest), given_tokens))


def _bits(values: np.ndarray[Any, Any], given: Size) -> tuple[int, int]:
    """Return the bits of what is not given of values (T, H, W, ...), alone and on top of those of what is."""
    known = np.zeros(values.shape[:3], dtype=bool)
    known[tuple(slice(amount) for amount in given)] = True
    first, rest = values[known], values[~known]
    on_top = _compressed_bits(np.concatenate([first, rest])) - _compressed_bits(first)
    return _compressed_bits(rest), max(0, on_top)


def _compressed_bits(values: np.ndarray[Any, Any]) -> int:
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    # Bytes are predicted by their place in the number, not by the byte before: of the settings and of separate planes
    # for low and high bytes, this makes tokens shortest, and saves least of noise.
    alignment = values.itemsize.bit_length() - 1
    coder = {
        "id": lzma.FILTER_LZMA1,
        "preset": 9 | lzma.PRESET_EXTREME,
        "dict_size": max(SMALLEST_DICTIONARY, len(data)),
        "lc": 0,
        "lp": alignment,
        "pb": alignment,
    }
    code = lzma.compress(data, format=lzma.FORMAT_RAW, filters=[coder])
    return 8 * (len(code) - END_MARK)
