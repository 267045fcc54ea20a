"""What a compressor knows of the rest from the given part."""

from dataclasses import astuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import make_clips
from torch import Tensor

from experiments.diversity.baselines import Redundancy, measure_redundancy

HALF_CLIP = {"given_tokens": (2, 4, 4), "given_pixels": (8, 16, 16)}
"""Of 4 x 4 x 4 tokens and 16 frames of 16 x 16 pixels."""


def grid(seed: int = 0, codes: int = 1024, frames: int = 4, rows: int = 4) -> Tensor:
    return torch.randint(codes, (frames, rows, 4), generator=torch.Generator().manual_seed(seed))


def half_clip(clip: Tensor, tokens: Tensor) -> Redundancy:
    return measure_redundancy(clip, tokens, **HALF_CLIP)


def test_a_clip_that_repeats_its_first_half_takes_next_to_nothing_more() -> None:
    first = make_clips(1, 8)[0]
    tokens = grid(frames=8, rows=16)[:2].repeat(2, 1, 1)
    result = measure_redundancy(torch.cat([first, first], dim=1), tokens, (2, 16, 4), (8, 16, 16))
    assert result.pixel_bits_given < 0.01 * result.pixel_bits_alone
    assert result.token_bits_given < 0.1 * result.token_bits_alone


def test_noise_takes_as_much_as_alone() -> None:
    clip = make_clips(1)[0]
    result = half_clip(clip, grid())
    assert result.pixel_bits_given == pytest.approx(result.pixel_bits_alone, rel=0.01)
    # Eight bits a pixel and channel; the coder of noise loses a little.
    assert result.pixel_bits_alone == pytest.approx(8 * clip.numel() / 2, rel=0.02)


def test_noise_of_tokens_takes_nearly_as_much_as_alone() -> None:
    tokens = grid(frames=4, rows=64)
    result = measure_redundancy(make_clips(1)[0], tokens, (2, 64, 4), (8, 16, 16))
    assert result.token_bits_given == pytest.approx(result.token_bits_alone, rel=0.08)
    assert result.token_bits_alone == pytest.approx(10 * 512, rel=0.15)


def test_the_lower_half_of_an_image_is_the_rest_when_its_upper_rows_are_given() -> None:
    image = make_clips(1, 1)[0]
    image[:, :, 8:] = 0.5  # one colour, nothing to say about it
    tokens = grid(frames=1)
    result = measure_redundancy(image, tokens, (1, 2, 4), (1, 8, 16))
    assert result.pixel_bits_alone < 200
    upside_down = measure_redundancy(image.flip(2), tokens, (1, 2, 4), (1, 8, 16))
    assert upside_down.pixel_bits_alone > 8 * 3 * 8 * 16


def test_with_nothing_given_both_lengths_are_the_same() -> None:
    result = measure_redundancy(make_clips(1, 2)[0], grid(frames=1), (0, 0, 0), (0, 0, 0))
    assert result.pixel_bits_given == result.pixel_bits_alone > 0
    assert result.token_bits_given == result.token_bits_alone > 0


def test_with_everything_given_nothing_is_left() -> None:
    result = measure_redundancy(make_clips(1, 2)[0], grid(frames=1), (1, 4, 4), (2, 16, 16))
    assert astuple(result) == (0, 0, 0, 0)


@pytest.mark.parametrize("codes", [2**8, 2**16, 2**20])
def test_tokens_of_any_vocabulary_are_held(codes: int) -> None:
    tokens = grid(codes=codes, rows=32)
    tokens[-1, -1, -1] = codes - 1
    result = measure_redundancy(make_clips(1)[0], tokens, (2, 32, 4), (8, 16, 16))
    bits = 256 * (codes - 1).bit_length()
    assert bits < result.token_bits_alone < 1.13 * bits


@given(st.integers(0, 99), st.integers(1, 300))
@settings(max_examples=20, deadline=None)
def test_the_same_item_gives_the_same_bits(seed: int, codes: int) -> None:
    clip = make_clips(1, 16, 16, seed)[0].round()
    tokens = grid(seed, codes)
    assert half_clip(clip, tokens) == half_clip(clip.clone(), tokens.clone())


def test_a_rest_that_makes_the_code_shorter_takes_no_bits() -> None:
    # The last token makes LZMA find another, shorter code for all of them.
    tokens = torch.tensor([0, 1, 1, 0, 0, 1, 1, 0]).view(1, 8, 1)
    result = measure_redundancy(make_clips(1, 1)[0], tokens, (1, 7, 1), (1, 14, 16))
    assert result.token_bits_given == 0 < result.token_bits_alone
