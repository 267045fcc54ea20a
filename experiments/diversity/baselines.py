"""What is known of the rest of an item without a GPT: baselines, and what a compressor makes of it.

Baselines are continuations that no GPT made, measured like those that one did. All are shown by the tokenizer, as those
of a GPT are: sharper images would be another comparison.

Redundancy is how much of the rest of an item a general-purpose compressor knows from the given part. Half a clip may
tell more of its other half than half an image does, whoever continues it. LZMA is a yardstick that has learned nothing:
it finds what is repeated exactly, and how often values occur. `alone` is the length of the compressed rest, `given`
what it adds to the length of the compressed given part. Pixels are the bytes of an 8-bit video in the order frame, row,
column, channel; tokens are numbers of the fewest bytes that hold them, in raster order.

It is LZMA and not zlib because the window of zlib, 32 kB, does not hold two frames of 128 x 128 pixels. Lengths are
those of the bare code, without headers, checks or the mark of its end. Frequencies are learned from the given part,
too, so that of noise some per cent are saved: what counts is how much more it is for images or clips.

Axes: N continuations, T frames, H rows, W columns of pixels; t, h, w of the token grid.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from einops import rearrange, repeat
from torch import Tensor

from data.frames import to_uint8
from experiments.diversity.distances import Generated
from experiments.diversity.material import PromptLength
from experiments.diversity.tables import RedundancyRow
from experiments.diversity.training_set import TrainingTokens
from sampling.options import PromptEncoding
from sampling.prompts import Size
from vqgan.tokenizer import Tokenizer

NUMBER_TYPES = (np.uint8, np.uint16, np.uint32)
END_MARK = len(lzma.compress(b"", format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1}]))
"""Bytes that say that nothing follows."""
SMALLEST_DICTIONARY = 4096
"""Bytes; LZMA takes no smaller one."""


class Baselines:
    """The baselines of every item for prompts of one length.

    Args:
        prompts: of one length.
        tokenizer: decodes training items.
        training: tokens that the GPT was trained on.
        n: continuations, where a baseline has several.
    """

    def __init__(self, prompts: PromptLength, tokenizer: Tokenizer, training: TrainingTokens, n: int) -> None:
        self.prompts = prompts
        self.tokenizer = tokenizer
        self.training = training
        self.n = n

    def of(self, item: int, encoding: PromptEncoding) -> dict[str, Generated]:
        """Return the baselines of the item at an index, by name; see `experiments.diversity.tables.BASELINES`."""
        continuations = {
            "copy": self._copy(item, encoding),
            "other": self._other(item),
            "nearest": self._nearest(item, encoding),
            "reconstruction": self._reconstructions_of([item]),
        }
        return {name: made for name, made in continuations.items() if len(made.pixels)}

    def _copy(self, item: int, encoding: PromptEncoding) -> Generated:
        """The last given frame or row of pixels, and the last latent frame or row of tokens, again and again."""
        material = self.prompts.material
        prompt = self.prompts.tokens[encoding][item]
        frames, rows, _ = self.prompts.layout.extent.pixels
        clip = material.reconstructions[item]
        truth = self.prompts.truth(item)
        if material.kind == "clip":
            pixels = repeat(clip[:, frames - 1], "C H W -> 1 C T H W", T=truth.pixels.shape[2])
            last = prompt[-1].flatten()
        else:
            pixels = repeat(clip[:, :, rows - 1], "C T W -> 1 C T H W", H=truth.pixels.shape[3])
            last = prompt[:, -1].flatten()
        return Generated(pixels=pixels, tokens=last.repeat(truth.tokens.shape[1] // len(last))[None])

    def _other(self, item: int) -> Generated:
        """The truths of the items of the same group that come after it, around to the first."""
        members = self.prompts.material.members(self.prompts.material.groups[item])
        position = members.index(item)
        count = min(self.n, len(members) - 1)
        return self._reconstructions_of([members[(position + step) % len(members)] for step in range(1, count + 1)])

    def _nearest(self, item: int, encoding: PromptEncoding) -> Generated:
        """What follows in the training item whose tokens agree most with the prompt."""
        prompt = self.prompts.tokens[encoding][item].flatten()
        found = self.training.nearest(prompt[None], self.prompts.given_positions)[0]
        grid = self.training.tokens(found.index).unflatten(0, self.prompts.layout.grid)
        return self.prompts.decode(self.tokenizer, grid[None])

    def _reconstructions_of(self, items: list[int]) -> Generated:
        """The truths of the items at some indices, as the tokenizer shows them."""
        truths = self.prompts.reconstructions
        return Generated(pixels=truths.pixels[items], tokens=truths.tokens[items])


def redundancy_rows(model: str, prompts: PromptLength) -> Iterator[RedundancyRow]:
    """Yield what a compressor knows of the rest of every item from the given part.

    Args:
        model: name of the run.
        prompts: of one length.
    """
    material = prompts.material
    for index, item in enumerate(material.items):
        measured = measure_redundancy(material.clips[index], material.tokens[index], *prompts.layout.extent)
        truth = prompts.truth(index)
        yield RedundancyRow(
            model=model,
            kind=material.kind,
            group=material.groups[index],
            item=index,
            source=item.source.name,
            start=item.start,
            source_group=material.source_groups[index],
            given=prompts.given,
            given_share=prompts.given_share,
            generated_pixels=truth.pixels[0, 0].numel(),
            generated_tokens=truth.tokens.numel(),
            **asdict(measured),
        )


@dataclass(frozen=True)
class Redundancy:
    """Bits that the rest of an item takes by itself, and on top of those of the given part."""

    pixel_bits_alone: int
    """Of its pixels by themselves."""
    pixel_bits_given: int
    """Of its pixels on top of those of the given part."""
    token_bits_alone: int
    """Of its tokens by themselves."""
    token_bits_given: int
    """Of its tokens on top of those of the given part."""


def measure_redundancy(clip: Tensor, tokens: Tensor, given_tokens: Size, given_pixels: Size) -> Redundancy:
    """Measure how much of an item is known from its given part.

    Args:
        clip: (3, T, H, W) in [-1, 1].
        tokens: (t, h, w) int64, from 0 to below 2^32.
        given_tokens: how many tokens are given along each axis, as `sampling.prompts.PromptExtent.tokens`.
        given_pixels: how many pixels are, as `sampling.prompts.PromptExtent.pixels`.
    """
    pixels = rearrange(to_uint8(clip), "C T H W -> T H W C").numpy()
    numbers = tokens.cpu().numpy()
    smallest = next(kind for kind in NUMBER_TYPES if numbers.max() <= np.iinfo(kind).max)
    pixel_bits_alone, pixel_bits_given = _bits(pixels, given_pixels)
    token_bits_alone, token_bits_given = _bits(numbers.astype(smallest), given_tokens)
    return Redundancy(
        pixel_bits_alone=pixel_bits_alone,
        pixel_bits_given=pixel_bits_given,
        token_bits_alone=token_bits_alone,
        token_bits_given=token_bits_given,
    )


def _bits(values: np.ndarray[Any, Any], given: Size) -> tuple[int, int]:
    """Return the bits of what is not given of values (T, H, W, ...), alone and on top of those of what is."""
    known = np.zeros(values.shape[:3], dtype=bool)
    known[tuple(slice(amount) for amount in given)] = True
    first = values[known]
    rest = values[~known]
    on_top = compressed_bits(np.concatenate([first, rest])) - compressed_bits(first)
    return compressed_bits(rest), max(0, on_top)


def compressed_bits(values: np.ndarray[Any, Any]) -> int:
    """Return the bits that LZMA makes of whole numbers (any shape), without headers, checks and the mark of its end."""
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
